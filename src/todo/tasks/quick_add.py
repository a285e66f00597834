"""Quick add: the fields of a new task from one line of text, in an account's zone and lists."""

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

# Without one of them, no text names a list.
_MARKS = frozenset("#~^:")


@dataclass(frozen=True, slots=True)
class QuickAddContext:
    """Context in which a text is interpreted, besides the time.

    Attributes:
        zone: IANA name of the zone of the caller's account, regardless of the owner of the lists: a
            text means the same in all of them.
        lists: The lists that a name can mean.
    """

    zone: str
    lists: VisibleLists


class TaskPlace(TypedDict, total=False):
    """List and parent of a new task, which take precedence over its text."""

    list_id: str
    parent_id: str


@dataclass(frozen=True, slots=True)
class QuickAddFields:
    """The fields of a new task, and the result of the parser.

    Attributes:
        task: The fields that the text gives.
        parsed: The spans and questions.
    """

    task: NewTask
    parsed: QuickAdd


async def fetch_context(
    session: Session, caller: Caller, text: str | None = None
) -> QuickAddContext:
    """Read what the meaning of texts depends on.

    Args:
        session: A session that reads.
        caller: The user; with a token for one list, only that list has a name.
        text: If it cannot name a list, no lists are read; None for any text.
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
    """Parse a text into the fields of a new task, which are not validated yet.

    Args:
        text: One line of text.
        context: Context of the caller, from `fetch_context`.
        now: The present instant.
        more: Fields that replace those of the text.
        list_argument: Argument that accepts the ID of a list, for the error about an ambiguous
            list name.

    Raises:
        ValidationFailedError: The text is too long, or the name of its list is ambiguous.
    """
    # The grammar is loaded when it is first used: it is not needed at start.
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
    """Return the validated fields of a new task, as `TaskService.create` takes them.

    Args:
        found: From `parse_fields`.

    Raises:
        AmbiguousTextError: The text has a part with more than one meaning.
        ValidationFailedError: The text does not make a task.
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
    """Return why a text makes no task, in words that fit every interface; nothing if it does.

    Each fault has `code` and `message`, and the other keys of `describe_question` where it is one.
    """
    if parsed.questions:
        return [describe_question(each) for each in parsed.questions]
    if parsed.title:
        return []
    message = "has no title beside what was recognized; add words, or put them in quotes"
    return [{"code": "no-title", "message": message}]


def describe_question(question: Question) -> dict[str, Any]:
    """Return a question as JSON has it."""
    return {
        "start": question.start,
        "end": question.end,
        "code": question.code,
        "message": question.message,
        "choices": list(question.choices),
    }


def describe_recurrence(parsed: QuickAdd) -> dict[str, str]:
    """Return the field `recurrence_text`, if the task repeats."""
    if parsed.recurrence is None:
        return {}
    from todo.quickadd.words import describe_rule  # noqa: PLC0415 - loaded with the grammar

    rule = read_rule(parsed.recurrence)
    return {"recurrence_text": describe_rule(rule, parsed.recurrence_from)}
