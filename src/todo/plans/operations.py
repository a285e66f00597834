"""Operations of a plan: those of a batch, and those about lists and their shares."""

from typing import Any

from todo.core.errors import BatchFailedError, ProblemError
from todo.lists.service import ListService
from todo.plans.accounts import lock_accounts
from todo.tasks.batch import explain_failure, run_operation
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

MAX_CHANGES = 1500
"""Of a plan: of each, a line is stored that it is compared by."""

_SCOPES = {"delete": "delete", "delete_list": "delete", "share_list": "admin"}
_SCOPES["unshare_list"] = "admin"
_KINDS = {"delete_list": "list", "share_list": "share", "unshare_list": "share"}
"""What the operations that are not about tasks change."""


class TooManyChangesError(Exception):
    """The operations make more than MAX_CHANGES changes; nothing may be committed."""


def list_scopes(operations: list[dict[str, Any]]) -> list[str]:
    """Return the scopes that a token needs to run operations, in alphabetical order."""
    return sorted({_SCOPES.get(operation["op"], "write") for operation in operations})


async def run_operations(
    work: UnitOfWork, rules: RuleEvaluation, operations: list[dict[str, Any]]
) -> list[bytes]:
    """Run the operations in their order and return the result of each as JSON.

    Raises:
        BatchFailedError: Some cannot be done; its errors name each. Nothing may be committed.
        TooManyChangesError: They change too much.
    """
    await lock_accounts(work, operations)
    tasks, lists = TaskService(work, rules), ListService(work)
    results: list[bytes] = []
    errors: list[dict[str, object]] = []
    for index, operation in enumerate(operations):
        try:
            document = await _run_one(tasks, lists, operation)
        except ProblemError as error:
            errors += explain_failure(index, error, of_task=operation["op"] not in _KINDS)
        else:
            name = operation["op"].encode()
            results.append(b'{"op":"%b","task":%b}' % (name, document or b"null"))
        if len(work.recorded) > MAX_CHANGES:
            raise TooManyChangesError
    if errors:
        raise BatchFailedError(errors=errors)
    return results


async def _run_one(
    tasks: TaskService, lists: ListService, operation: dict[str, Any]
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
