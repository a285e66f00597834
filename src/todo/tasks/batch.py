"""Batches: several changes of tasks in one transaction, all or none."""

import contextlib
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, NotRequired, TypedDict, TypeVar, final

from todo.core.domain import NewTask, TaskChanges
from todo.core.errors import BatchFailedError, ProblemError, ValidationFailedError
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService

T = TypeVar("T", bound=Mapping[str, object])


@final
class Creation(TypedDict):
    """Create a task."""

    op: Literal["create"]
    task: NewTask


@final
class Update(TypedDict):
    """Change a task, which must have the version `if_match` if there is one."""

    op: Literal["update"]
    id: str
    if_match: NotRequired[int | None]
    task: TaskChanges


@final
class Action(TypedDict):
    """Complete, reopen or delete a task; otherwise as `Update`."""

    op: Literal["complete", "reopen", "delete"]
    id: str
    if_match: NotRequired[int | None]


Operation = Creation | Update | Action


async def prepare_batch(rules: RuleEvaluation, given: Iterable[NewTask | TaskChanges]) -> None:
    """Evaluate the rules of a batch before its transaction starts.

    Those that are refused fail with all others in `run_batch`, which names every operation that
    fails.

    Args:
        rules: Evaluation of the request's rules.
        given: Fields that the operations set.
    """
    for fields in given:
        with contextlib.suppress(ValidationFailedError):
            await rules.prepare(fields)


async def run_batch(tasks: TaskService, operations: Sequence[Operation]) -> bytes:
    """Do the operations in their order and return their results as JSON.

    Args:
        tasks: The tasks, within the one transaction.
        operations: The operations.

    Raises:
        BatchFailedError: Some cannot be done; its errors name each. Nothing may be committed.
    """
    results = await run_each(operations, partial(run_operation, tasks))
    return b'{"results":[%b]}' % b",".join(results)


async def run_each(
    operations: Sequence[T],
    run_one: Callable[[T], Awaitable[bytes | None]],
    not_of_tasks: Container[str] = (),
) -> list[bytes]:
    """Run operations in their order and return the result of each as JSON.

    Args:
        operations: Each with `op`.
        run_one: Runs one operation; returns the task's document, or None.
        not_of_tasks: Operations whose fields are their own, not those of a `task`.

    Raises:
        BatchFailedError: As `run_batch`.
    """
    results: list[bytes] = []
    errors: list[dict[str, object]] = []
    for index, operation in enumerate(operations):
        name = str(operation["op"])
        try:
            document = await run_one(operation)
        except ProblemError as error:
            errors += _explain_failure(index, error, of_task=name not in not_of_tasks)
        else:
            results.append(b'{"op":"%b","task":%b}' % (name.encode(), document or b"null"))
    if errors:
        raise BatchFailedError(errors=errors)
    return results


async def run_operation(tasks: TaskService, operation: Operation) -> bytes | None:
    """Run one operation and return the task's document, None when it was deleted.

    Raises:
        ProblemError: It cannot be done.
    """
    if operation["op"] == "create":
        return (await tasks.create(operation["task"])).body
    version = operation.get("if_match")
    expected = None if version is None else frozenset({version})
    match operation["op"]:
        case "update":
            return (await tasks.update(operation["id"], operation["task"], expected)).body
        case "complete":
            return (await tasks.complete(operation["id"], expected)).body
        case "reopen":
            return (await tasks.reopen(operation["id"], expected)).body
        case "delete":
            await tasks.delete(operation["id"], expected)
            return None


def _explain_failure(index: int, error: ProblemError, *, of_task: bool) -> list[dict[str, object]]:
    """Return the entries of `errors` for a failed operation.

    Args:
        index: Index of the operation.
        error: Cause of the failure.
        of_task: Whether the fields in the error belong to the operation's `task`.
    """
    located: dict[str, object] = {"in": "body", "field": f"operations.{index}"}
    if not error.errors:
        return [{**located, "code": error.code, "message": error.detail}]
    path = f"operations.{index}.task" if of_task else f"operations.{index}"
    return [
        {
            **located,
            "field": f"{path}.{each['field']}",
            "code": each["code"],
            "message": each["message"],
        }
        for each in error.errors
    ]
