"""Quick add: parses one line of text into the fields of a new task."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from pydantic import ValidationError

from todo.api.schemas import to_json_dict
from todo.core.caller import Caller
from todo.core.domain import NewTask
from todo.core.errors import AmbiguousTextError, ValidationFailedError
from todo.core.validation_errors import field_error, word_error
from todo.db.session import Session
from todo.quickadd.result import Question, QuickAdd
from todo.schedule.due import check_zone
from todo.schedule.rule import read_rule
from todo.tasks.account_zone import fetch_zone
from todo.tasks.schemas import TaskCreate
from todo.tasks.visible_lists import VisibleLists, fetch_visible_lists

# A text without any of these characters does not name a list.
_MARKS = frozenset("#~^:")


@dataclass(frozen=True, slots=True)
class QuickAddContext:
    """Context in which a text is interpreted: the lists that it can name, and the time zone.

    The zone is that of the caller's account, even for lists of other users.
    """

    zone: str
    lists: VisibleLists


class TaskPlace(TypedDict, total=False):
    """List and parent of a new task, which take precedence over its text."""

    list_id: str
    parent_id: str


@dataclass(frozen=True, slots=True)
class QuickAddFields:
    """Fields of a new task, not yet validated, and the parser's result with spans and questions."""

    task: NewTask
    parsed: QuickAdd


async def fetch_context(
    session: Session, caller: Caller, text: str | None = None
) -> QuickAddContext:
    """Return the context in which texts of a caller are interpreted.

    No lists are fetched if `text` cannot name one; None stands for any text. With a token for one
    list, only that list can be named.
    """
    zone = await fetch_zone(session, caller.user)
    if text is not None and _MARKS.isdisjoint(text):
        return QuickAddContext(zone, VisibleLists())
    return QuickAddContext(zone, await fetch_visible_lists(session, caller))


def parse_fields(
    text: str,
    context: QuickAddContext,
    now: datetime,
    more: TaskPlace,
    list_argument: str = "`list_id`",
) -> QuickAddFields:
    """Parse one line of text into the fields of a new task, without validating them.

    Fields in `more` replace those of the text. `list_argument` is the name of the argument for a
    list's ID, for the error about an ambiguous list name.

    Raises:
        ValidationFailedError: The text is too long, or the list name in it is ambiguous.
    """
    # Loaded on first use: the grammar is not needed at startup.
    from todo.quickadd.parser import parse_quick_add  # noqa: PLC0415

    try:
        parsed = parse_quick_add(text, now, check_zone(context.zone), context.lists.names)
    except ValueError as error:
        raise field_error("text", str(error)) from None
    task: NewTask = {"title": parsed.title}
    if parsed.due_date is not None:
        task["due_date"] = parsed.due_date.isoformat()
    if parsed.due_at is not None:
        task["due_at"] = parsed.due_at.isoformat()
        task["due_zone"] = context.zone
    if parsed.priority != "none":
        task["priority"] = parsed.priority
    if parsed.tags:
        task["tags"] = list(parsed.tags)
    if parsed.reminders:
        task["reminders"] = list(parsed.reminders)
    if parsed.recurrence is not None:
        task["recurrence"] = parsed.recurrence
        task["recurrence_from"] = parsed.recurrence_from
    if parsed.list_name is not None and "list_id" not in more:
        task["list_id"] = _choose_list(parsed.list_name, context, list_argument)
    return QuickAddFields({**task, **more}, parsed)


def _choose_list(name: str, context: QuickAddContext, argument: str) -> str:
    ids = context.lists.names[name]
    if len(ids) > 1:
        raise field_error(
            "text",
            f'names the list "{name}", and {len(ids)} lists have that name: set {argument}',
            code="ambiguous-list",
        )
    return ids[0]


def complete_fields(found: QuickAddFields) -> NewTask:
    """Return the validated fields of a new task, for `TaskService.create`.

    Raises:
        AmbiguousTextError: A part of the text has more than one meaning.
        ValidationFailedError: The text has no title, or a field is invalid.
    """
    errors = [{"in": "body", "field": "text", **fault} for fault in find_faults(found.parsed)]
    if errors:
        raise (AmbiguousTextError if found.parsed.questions else ValidationFailedError)(
            errors=errors
        )
    try:
        fields: NewTask = to_json_dict(TaskCreate.model_validate(found.task))
    except ValidationError as error:
        items = error.errors(include_url=False)
        errors = [
            {
                "in": "body",
                "field": "text",
                "code": item["type"],
                "message": f"gives the field `{item['loc'][0]}`, which {word_error(item)}",
            }
            for item in items
        ]
        raise ValidationFailedError(errors=errors) from None
    return fields


def find_faults(parsed: QuickAdd) -> list[dict[str, Any]]:
    """Return the faults that prevent a text from becoming a task; empty if it has none.

    Each has a `code` and a `message`. Questions also have the other keys of `describe_question`.
    """
    if parsed.questions:
        return [describe_question(each) for each in parsed.questions]
    if parsed.title:
        return []
    message = "has no title beside what was recognized; add words, or put them in quotes"
    return [{"code": "no-title", "message": message}]


def describe_question(question: Question) -> dict[str, Any]:
    """Return a question as a JSON object."""
    return {
        "start": question.start,
        "end": question.end,
        "code": question.code,
        "message": question.message,
        "choices": list(question.choices),
    }


def describe_recurrence(parsed: QuickAdd) -> dict[str, str]:
    """Return the field `recurrence_text`, or no field if the task does not repeat."""
    if parsed.recurrence is None:
        return {}
    from todo.quickadd.words import describe_rule  # noqa: PLC0415 - loaded with the grammar

    rule = read_rule(parsed.recurrence)
    return {"recurrence_text": describe_rule(rule, parsed.recurrence_from)}
