"""Items of a call: their arguments as fields of the API, and their faults by item."""

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
    """ID of an existing task, and its expected version."""

    id: str
    if_match: int | None


_REMOVED = {"", "none"}
# What the grammar reads; it takes a few milliseconds for the longest of them.
_TEXTS = ("text", "due", "recurrence")
_SHORT_LENGTH = 200
_SERIES_KINDS = {"due", "recurrence"}
# Before a tag in quick add.
_TAG_SIGNS = ("#", "@")


def is_removed(given: str | None) -> bool:
    """Return whether a due, a recurrence, a list or a parent is to be removed.

    The schemas have a word for that, since they have no null; null is accepted as well.
    """
    return given is None or given.strip().casefold() in _REMOVED


async def read_items(
    rules: RuleEvaluation,
    read: Callable[[Json, "Items", str], T],
    given: Sequence[Json],
    items: "Items",
    nothing: T,
) -> list[T]:
    """Return the result of a function for each item; long texts are parsed off the event loop.

    Args:
        rules: Evaluation with the budget of the call.
        read: Parses an item, and adds its errors to the items.
        given: Items of the call.
        items: Receives the errors.
        nothing: Result for an item that exceeds the budget.
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
        # Others have their turn between the lines.
        await asyncio.sleep(0)
    return found


def read_tag(given: str) -> str:
    """Return a tag without the sign that it has in quick add."""
    tag = given.strip()
    return tag[1:] if tag.startswith(_TAG_SIGNS) and len(tag) > 1 else tag


@dataclass(slots=True)
class Items:
    """The items of a call while they are read, and the faults that were found in them."""

    clock: AccountTime
    lookup: ListLookup
    errors: list[Json] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    @property
    def quick_add(self) -> QuickAddContext:
        """Context in which a line of quick add is interpreted."""
        return QuickAddContext(self.clock.name, self.lists)

    @property
    def lists(self) -> VisibleLists:
        """The lists that the caller sees."""
        return self.lookup.lists

    def add_error(self, path: str, message: str, code: str = "invalid", **more: Any) -> None:  # noqa: ANN401 - JSON
        """Note a fault."""
        self.errors.append({"field": path, "code": code, "message": message, **more})

    def is_faulty(self, number: int) -> bool:
        """Return whether a fault of one of the tasks of the call was found."""
        return any(Items.number_of(each) == number for each in self.errors)

    @staticmethod
    def number_of(error: Json) -> int:
        """Return the number of the item that a fault is about, -1 for none."""
        number = str(error["field"]).removeprefix("tasks.").partition(".")[0]
        return int(number) if number.isdecimal() else -1

    def identify(self, item: Json, path: str) -> TargetedTask:
        """Return id and version of an operation on a task that there is."""
        task_id = self.read_id(item["id"], f"{path}.id") or item["id"]
        if task_id in self._ids:
            self.add_error(f"{path}.id", "comes twice; join the two items")
        self._ids.add(task_id)
        return {"id": task_id, "if_match": item.get("version")}

    def read_due(self, given: str, path: str) -> TaskChanges:
        """Return the fields of a due that is given as text; none where it is not one."""
        try:
            found = parse_due(given, self.clock.now, self.clock.zone)
        except ValueError as error:
            self.add_due_error(given, path, error)
            return {}
        if isinstance(found, datetime):
            return {"due_at": found.isoformat(), "due_zone": self.clock.name}
        return {"due_date": found.isoformat()}

    def add_due_error(self, given: str, path: str, error: ValueError) -> None:
        """Add the error for a text that is not a due."""
        message = str(error)
        if len(given) <= MAX_TEXT:
            found = parse_quick_add(given, self.clock.now, self.clock.zone)
            if found.recurrence is not None and not found.title:
                message = "repeats: give that as recurrence, and the first day or time as due"
        self.add_error(path, message)

    def read_parent(self, given: str | None, path: str) -> str | None:
        """Return the id of a task above, None for none."""
        return None if given is None or is_removed(given) else self.read_id(given, path)

    def read_id(self, given: str, path: str) -> str | None:
        """Return the id of a task as the services write it."""
        try:
            return str(UUID(given))
        except ValueError:
            self.add_error(path, "is not an id; find it with find_tasks")
            return None

    def read_recurrence(self, given: str, path: str) -> TaskChanges:
        """Return the fields of a recurrence that is given as text; none where it is not one."""
        try:
            rule, basis = parse_recurrence(given, self.clock.now, self.clock.zone)
        except ValueError as error:
            self.add_error(path, str(error))
            return {}
        return {"recurrence": rule, "recurrence_from": basis}

    def read_series(self, given: str, path: str) -> TaskChanges:
        """Return the fields of a recurrence with its first due; none where it is not one."""
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
        """Return fields as the services accept them; none if they are invalid.

        Args:
            model: Model of the services.
            fields: Fields to validate.
            path: Path of the item.
            names: Field of the model -> argument, if their names differ.
        """
        try:
            return to_json_dict(model.model_validate(fields))
        except ValidationError as error:
            self.add_validation_errors(error, names, path)
            return {}

    def add_validation_errors(
        self, error: ValidationError, names: Mapping[str, str], path: str = ""
    ) -> None:
        """Add the errors of a model's validation.

        Args:
            error: Exception of the model.
            names: Field of the model -> argument, if their names differ.
            path: Path of the item.
        """
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        for each in word_errors(found):
            first, dot, rest = each["field"].partition(".")
            name = f"{names.get(first, first)}{dot}{rest}"
            self.add_error(".".join(filter(None, (path, name))), each["message"])


def raise_for_arguments(items: Items) -> None:
    """Refuse a call whose arguments are invalid.

    Raises:
        ToolError: Faults were found.
    """
    if items.errors:
        message = "The arguments are invalid; nothing was done."
        raise ToolError(message, "correct them, and repeat the call.", errors=items.errors)


async def open_view(
    session: Session, call: ToolCall, given: str | None
) -> tuple[Items, str | None]:
    """Return the arguments of a read about all tasks or one list, none read yet, and its id.

    Args:
        session: Reads.
        call: The call.
        given: The list, by name or id; None for all.
    """
    # What words mean depends on the same as over HTTP.
    context = await fetch_context(session, call.caller)
    items = Items(AccountTime(call.now, context.zone), ListLookup(context.lists))
    return items, None if given is None else items.resolve_list(given, "list")


async def open_items(call: ToolCall) -> Items:
    """Return the items of a write, none read yet.

    They are read before the write begins, whose locks others wait for. Their faults refuse it only
    in the write, by `raise_for_items`: an earlier call with the same key may have been carried out,
    when the text was clear or a list had the only name of its kind.
    """
    async with call.state.database.reading(call.caller.user) as session:
        items, _ = await open_view(session, call, None)
    return items


async def run_task_operations(
    work: UnitOfWork, rules: RuleEvaluation, operations: Sequence[Operation]
) -> list[Task]:
    """Run operations as the batch does, and return the tasks that they led to.

    Raises:
        ToolError: Some cannot be done; its errors name the items. Nothing may be committed.
    """
    try:
        results = orjson.loads(await run_batch(TaskService(work, rules), operations))["results"]
    except BatchFailedError as error:
        raise_for_items(translate_batch_error(error))
        raise
    return [result["task"] for result in results]
