"""Execution of the operations in a plan: those of a batch, and those on lists and shares."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from todo.lists.service import ListService
from todo.plans.accounts import lock_accounts
from todo.plans.list_names import fetch_list_names
from todo.plans.operation import PlanOperation
from todo.tasks.batch import run_each, run_operation
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService
from todo.writes.hash_chain import Entry
from todo.writes.unit_of_work import UnitOfWork

MAX_CHANGES = 1500
"""Maximum number of changes in a plan, each of which is stored for the comparison."""

_SCOPES = {
    "delete": "delete",
    "delete_list": "delete",
    "share_list": "admin",
    "unshare_list": "admin",
}
_KINDS = {"delete_list": "list", "share_list": "share", "unshare_list": "share"}
"""Kinds of entities by operation, for operations that do not change tasks."""


class TooManyChangesError(Exception):
    """The operations make more than MAX_CHANGES changes; the caller must not commit."""


@dataclass(slots=True)
class Outcome:
    """Results of operations, in addition to the recorded changes.

    Attributes:
        list_names: Names of the lists in the operations, by ID.
        named: Indexes of the changes that the operations name; all other changes are effects.
    """

    list_names: dict[str, str]
    results: list[bytes] = field(default_factory=list)
    named: set[int] = field(default_factory=set)


def list_scopes(operations: Sequence[PlanOperation]) -> list[str]:
    """Return the token scopes that the operations require, sorted."""
    return sorted({_SCOPES.get(operation["op"], "write") for operation in operations})


async def run_operations(
    work: UnitOfWork, rules: RuleEvaluation, operations: Sequence[PlanOperation]
) -> Outcome:
    """Run the operations in order; after an exception the caller must not commit.

    Raises:
        BatchFailedError: Operations failed; `errors` lists all of them.
        TooManyChangesError: The operations make more than MAX_CHANGES changes.
    """
    await lock_accounts(work, operations)
    of_lists = {each["id"] for each in operations if "id" in each and each["op"] in _KINDS}
    outcome = Outcome(await fetch_list_names(work, of_lists))
    tasks, lists = TaskService(work, rules), ListService(work)

    async def run_one(operation: PlanOperation) -> bytes | None:
        start = len(work.recorded)
        document = await _run_one(tasks, lists, operation)
        made = enumerate(work.recorded[start:], start)
        outcome.named |= {index for index, (_, entry) in made if _is_named(operation, entry)}
        if len(work.recorded) > MAX_CHANGES:
            raise TooManyChangesError
        return document

    outcome.results = await run_each(operations, run_one, _KINDS)
    return outcome


def _is_named(operation: PlanOperation, entry: Entry) -> bool:
    """Return whether a change is the one that its operation names, and not a side effect."""
    if operation["op"] in _KINDS:
        return entry.kind == _KINDS[operation["op"]]
    return "id" not in operation or entry.entity_id == operation["id"]


async def _run_one(
    tasks: TaskService, lists: ListService, operation: PlanOperation
) -> bytes | None:
    match operation["op"]:
        case "delete_list":
            version = operation.get("if_match")
            expected = None if version is None else frozenset({version})
            # The plan names the tasks, so they need no further confirmation.
            await lists.delete(operation["id"], expected, with_tasks=True)
        case "share_list":
            await lists.share(operation["id"], operation["user"], operation["access"])
        case "unshare_list":
            await lists.unshare(operation["id"], operation["user"])
        case _:
            return await run_operation(tasks, operation)
    return None
