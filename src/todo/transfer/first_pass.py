"""First pass of an import: indexes references between lines and finds the lines to skip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from todo.tasks.repository import MAX_DEPTH
from todo.transfer.records import (
    ConversationRecord,
    ListRecord,
    MessageRecord,
    NotTakenError,
    TaskRecord,
    read_line,
)

if TYPE_CHECKING:
    from todo.core.domain import Task


@dataclass(frozen=True, slots=True)
class TaskPlacement:
    """Owner, list and parent of a task."""

    owner: str
    list_id: str | None
    parent_id: str | None


@dataclass(slots=True)
class FileIndex:
    """Index of the records in an export file.

    By ID: owners of `lists` and `conversations`, placements of `tasks`, line numbers of tasks
    (`lines`) and of `messages`. By line number: reasons for `skipped` lines.
    """

    lists: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, TaskPlacement] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    conversations: dict[str, str] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)

    def named(self) -> tuple[set[str], set[str]]:
        """Return the IDs of all lists and of all tasks that the file contains or refers to."""
        lists = {place.list_id for place in self.tasks.values()} | set(self.lists)
        tasks = {place.parent_id for place in self.tasks.values()} | set(self.tasks)
        return {each for each in lists if each}, {each for each in tasks if each}


def survey_lines(lines: Iterable[bytes], owner: str | None) -> FileIndex:
    """Index the lines of a file; if an owner is given, skip the records of others."""
    survey = FileIndex()
    is_export = False
    for number, line in enumerate(lines, 1):
        try:
            record = read_line(line)
        except NotTakenError as error:
            survey.skipped[number] = str(error)
            continue
        if record is None:
            is_export = True
        elif not is_export:
            survey.skipped[number] = 'the line {"todo-backend":{"format":1}} must come first'
        elif owner is not None and getattr(record, "owner", owner) != owner:
            survey.skipped[number] = "another owner's"
        elif isinstance(record, ListRecord):
            survey.lists.setdefault(str(record.id), record.owner)
        elif isinstance(record, TaskRecord):
            _note_task(survey, number, record)
        elif isinstance(record, ConversationRecord):
            survey.conversations.setdefault(str(record.id), record.owner)
        elif isinstance(record, MessageRecord):
            _note_message(survey, number, record)
    return survey


def _note_task(survey: FileIndex, number: int, record: TaskRecord) -> None:
    task: Task = record.to_json_dict()
    task_id = task["id"]
    if task_id in survey.tasks:
        survey.skipped[number] = f"duplicates the ID on line {survey.lines[task_id]}"
        return
    survey.lines[task_id] = number
    survey.tasks[task_id] = TaskPlacement(task["owner"], task["list_id"], task["parent_id"])


def _note_message(survey: FileIndex, number: int, record: MessageRecord) -> None:
    message_id = str(record.id)
    if str(record.conversation_id) not in survey.conversations:
        survey.skipped[number] = (
            "conversation_id: this file has no importable conversation with this ID"
        )
    elif message_id in survey.messages:
        survey.skipped[number] = f"duplicates the ID on line {survey.messages[message_id]}"
    else:
        survey.messages[message_id] = number


def settle(
    survey: FileIndex, stored_lists: Mapping[str, str], stored_tasks: Mapping[str, TaskPlacement]
) -> None:
    """Skip tasks whose list or parent does not exist, and their subtasks.

    `stored_lists` (owners by ID) and `stored_tasks` are from the database; the import does not
    change them.
    """
    owners = {**survey.lists, **stored_lists}
    refused: dict[str, str] = {}
    for task_id, place in survey.tasks.items():
        if task_id in stored_tasks:
            continue
        if place.list_id is not None and owners.get(place.list_id) != place.owner:
            refused[task_id] = "list_id: the owner has no list with this ID"
    # Each pass rejects the subtasks of tasks rejected before; the maximum depth limits the passes.
    for _ in range(MAX_DEPTH + 1):
        before = len(refused)
        for task_id, place in survey.tasks.items():
            if task_id not in refused and task_id not in stored_tasks and place.parent_id:
                why = _find_fault(place, survey, stored_tasks, refused)
                if why:
                    refused[task_id] = why
        if len(refused) == before:
            break
    survey.skipped |= {survey.lines[task_id]: why for task_id, why in refused.items()}


def _find_fault(
    place: TaskPlacement,
    survey: FileIndex,
    stored: Mapping[str, TaskPlacement],
    refused: Mapping[str, str],
) -> str | None:
    assert place.parent_id is not None  # noqa: S101 - narrows the type
    depth, above = 1, place.parent_id
    parent = stored.get(above) or survey.tasks.get(above)
    if parent is None or above in refused:
        return "parent_id: the task does not exist or is not imported"
    if (parent.owner, parent.list_id) != (place.owner, place.list_id):
        return "parent_id: a subtask must have the owner and the list of its parent"
    while parent is not None:
        depth += 1
        if depth > MAX_DEPTH:
            return f"parent_id: tasks can be nested at most {MAX_DEPTH} levels deep"
        parent = (
            (stored.get(parent.parent_id) or survey.tasks.get(parent.parent_id))
            if parent.parent_id
            else None
        )
    return None
