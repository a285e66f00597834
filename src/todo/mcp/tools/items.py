"""Items of a call: conversion of arguments to fields of the API, with errors by item."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError

from todo.api.schemas import to_json_dict
from todo.core.domain import Task, TaskChanges
from todo.core.errors import BatchFailedError, ValidationFailedError
from todo.core.validation_errors import word_errors
from todo.db.session import Session
from todo.mcp.tool import Json, ToolCall, ToolError
from todo.mcp.tools.account_time import AccountTime
from todo.mcp.tools.list_lookup import ListLookup, ListNameError
from todo.mcp.tools.write import FIELDS, explain, raise_for_items, translate_batch_error
from todo.quickadd.parser import parse_due, parse_quick_add, parse_recurrence
from todo.quickadd.result import MAX_TEXT
from todo.tasks.batch import Operation, run_batch
from todo.tasks.document import select_fields
from todo.tasks.quick_add import QuickAddContext, fetch_context, parse_fields
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService
from todo.tasks.visible_lists import VisibleLists
from todo.writes.unit_of_work import UnitOfWork

DUE = frozenset({"due_date", "due_at", "due_zone"})
RULE = frozenset({"recurrence", "recurrence_from"})
T = TypeVar("T")


class TargetedTask(TypedDict):
    """ID and expected version of an existing task."""

    id: str
    if_match: int | None


_REMOVED = {"", "none"}
# Arguments that the grammar parses, which takes a few milliseconds for the longest texts.
_TEXTS = ("text", "due", "recurrence")
_SHORT_LENGTH = 200
_SERIES_KINDS = {"due", "recurrence"}
# Prefixes of a tag in quick add.
_TAG_SIGNS = ("#", "@")


def is_removed(given: str | None) -> bool:
    """Return whether an argument removes a due date, a recurrence, a list or a parent.

    The schemas use `none`, because they cannot express null; null is accepted as well.
    """
    return given is None or given.strip().casefold() in _REMOVED


async def read_items(
    rules: RuleEvaluation,
    read: Callable[[Json, "Items", str], T],
    given: Sequence[Json],
    items: "Items",
    nothing: T,
) -> list[T]:
    """Return the parsed items of a call; long texts are parsed off the event loop.

    `read` parses an item and adds its errors to `items`. An item for which the time budget is
    exceeded becomes `nothing`.
    """
    found: list[T] = []
    for index, item in enumerate(given):
        arguments = (item, items, f"tasks.{index}")
        try:
            if sum(len(item.get(name) or "") for name in _TEXTS) <= _SHORT_LENGTH:
                found.append(read(*arguments))
            else:
                found.append(await rules.run(read, *arguments))
        except ValidationFailedError as error:
            items.errors += explain(index, error)
            found.append(nothing)
        # Let other requests run between the items.
        await asyncio.sleep(0)
    return found


def read_tag(given: str) -> str:
    """Return a tag without its quick-add prefix."""
    tag = given.strip()
    return tag[1:] if tag.startswith(_TAG_SIGNS) and len(tag) > 1 else tag


@dataclass(slots=True)
class Items:
    """Parser for the items of a call, which collects their errors."""

    clock: AccountTime
    lookup: ListLookup
    errors: list[Json] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    @property
    def quick_add(self) -> QuickAddContext:
        """Context for parsing a quick-add line."""
        return QuickAddContext(self.clock.name, self.lists)

    @property
    def lists(self) -> VisibleLists:
        """Lists that the caller can see."""
        return self.lookup.lists

    def add_error(self, path: str, message: str, code: str = "invalid", **more: Any) -> None:  # noqa: ANN401 - JSON
        """Add an error for the argument at a path."""
        self.errors.append({"field": path, "code": code, "message": message, **more})

    def is_faulty(self, number: int) -> bool:
        """Return whether the task with this index has errors."""
        return any(Items.number_of(each) == number for each in self.errors)

    @staticmethod
    def number_of(error: Json) -> int:
        """Return the index of the item that an error refers to, or -1."""
        number = str(error["field"]).removeprefix("tasks.").partition(".")[0]
        return int(number) if number.isdecimal() else -1

    def identify(self, item: Json, path: str) -> TargetedTask:
        """Return the ID and expected version in an item; add an error for a repeated ID."""
        task_id = self.read_id(item["id"], f"{path}.id") or item["id"]
        if task_id in self._ids:
            self.add_error(f"{path}.id", "comes twice; join the two items")
        self._ids.add(task_id)
        return {"id": task_id, "if_match": item.get("version")}

    def read_due(self, given: str, path: str) -> TaskChanges:
        """Return the fields of a due date; if the text is invalid, add an error and return none."""
        try:
            found = parse_due(given, self.clock.now, self.clock.zone)
        except ValueError as error:
            self.add_due_error(given, path, error)
            return {}
        if isinstance(found, datetime):
            return {"due_at": found.isoformat(), "due_zone": self.clock.name}
        return {"due_date": found.isoformat()}

    def add_due_error(self, given: str, path: str, error: ValueError) -> None:
        """Add the error for an invalid due date, with a hint if the text is a recurrence."""
        message = str(error)
        if len(given) <= MAX_TEXT:
            found = parse_quick_add(given, self.clock.now, self.clock.zone)
            if found.recurrence is not None and not found.title:
                message = "repeats: give that as recurrence, and the first day or time as due"
        self.add_error(path, message)

    def read_parent(self, given: str | None, path: str) -> str | None:
        """Return the ID of a parent task; None if the parent is removed."""
        return None if given is None or is_removed(given) else self.read_id(given, path)

    def read_id(self, given: str, path: str) -> str | None:
        """Return a task ID in its canonical form; if it is not a UUID, add an error."""
        try:
            return str(UUID(given))
        except ValueError:
            self.add_error(path, "is not an id; find it with find_tasks")
            return None

    def read_recurrence(self, given: str, path: str) -> TaskChanges:
        """Return the fields of a recurrence; if the text is invalid, add an error."""
        try:
            rule, basis = parse_recurrence(given, self.clock.now, self.clock.zone)
        except ValueError as error:
            self.add_error(path, str(error))
            return {}
        return {"recurrence": rule, "recurrence_from": basis}

    def read_series(self, given: str, path: str) -> TaskChanges:
        """Return the fields of a recurrence and its first due date; if invalid, add an error."""
        try:
            found = parse_fields(given, self.quick_add, self.clock.now, {})
        except ValidationFailedError:
            return self.read_recurrence(given, path)
        parsed = found.parsed
        has_more = parsed.title or any(span.kind not in _SERIES_KINDS for span in parsed.spans)
        if parsed.recurrence is None or parsed.questions or has_more:
            return self.read_recurrence(given, path)
        series: TaskChanges = select_fields(found.task, RULE | DUE)
        return series

    def resolve_list(self, given: str, path: str) -> str | None:
        """Return the ID of a list from its name or ID; add an error if it does not exist."""
        if any(each["field"] == path for each in self.errors):
            return None
        try:
            return self.lookup.get_id(given)
        except ListNameError as error:
            self.add_error(path, error.message, choices=list(error.choices))
            return None

    def validate(
        self,
        model: type[BaseModel],
        fields: Mapping[str, object],
        path: str,
        names: Mapping[str, str] = FIELDS,
    ) -> Any:  # noqa: ANN401 - the caller names its TypedDict
        """Return the fields validated by a model; if they are invalid, add errors.

        `names` maps fields of the model to arguments whose names differ.
        """
        try:
            return to_json_dict(model.model_validate(fields))
        except ValidationError as error:
            self.add_validation_errors(error, names, path)
            return {}

    def add_validation_errors(
        self, error: ValidationError, names: Mapping[str, str], path: str = ""
    ) -> None:
        """Add the errors of a model's validation, with `names` as in `validate`."""
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        for each in word_errors(found):
            first, dot, rest = each["field"].partition(".")
            name = f"{names.get(first, first)}{dot}{rest}"
            self.add_error(".".join(filter(None, (path, name))), each["message"])


def raise_for_arguments(items: Items) -> None:
    """Raise a ToolError if the arguments are invalid."""
    if items.errors:
        message = "The arguments are invalid; nothing was done."
        raise ToolError(message, "correct them, and repeat the call.", errors=items.errors)


async def open_view(
    session: Session, call: ToolCall, given: str | None
) -> tuple[Items, str | None]:
    """Return the parser for a read, and the ID of the list given by name or ID, if any."""
    context = await fetch_context(session, call.caller)
    items = Items(AccountTime(call.now, context.zone), ListLookup(context.lists))
    return items, None if given is None else items.resolve_list(given, "list")


async def open_items(call: ToolCall) -> Items:
    """Return the parser for a write.

    Items are parsed before the write takes locks. Only the write raises their errors, by
    `raise_for_items`, because the call may repeat one that succeeded before its texts became
    ambiguous.
    """
    async with call.state.database.reading(call.caller.user) as session:
        items, _ = await open_view(session, call, None)
    return items


async def run_task_operations(
    work: UnitOfWork, rules: RuleEvaluation, operations: Sequence[Operation]
) -> list[Task]:
    """Run operations as a batch, and return the resulting tasks.

    Raises:
        ToolError: Some operations failed; the caller must not commit.
    """
    try:
        results = orjson.loads(await run_batch(TaskService(work, rules), operations))["results"]
    except BatchFailedError as error:
        raise_for_items(translate_batch_error(error))
        raise
    return [result["task"] for result in results]
