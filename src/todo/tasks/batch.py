"""Batches: several operations on tasks in one transaction, all or none."""

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
    """Operation that creates a task."""

    op: Literal["create"]
    task: NewTask


@final
class Update(TypedDict):
    """Operation that changes a task, which must have the version `if_match`, if given."""

    op: Literal["update"]
    id: str
    if_match: NotRequired[int | None]
    task: TaskChanges


@final
class Action(TypedDict):
    """Operation that completes, reopens or deletes a task; `if_match` as in `Update`."""

    op: Literal["complete", "reopen", "delete"]
    id: str
    if_match: NotRequired[int | None]


Operation = Creation | Update | Action


async def prepare_batch(rules: RuleEvaluation, given: Iterable[NewTask | TaskChanges]) -> None:
    """Evaluate the rules in the given fields before the transaction of the batch starts.

    Invalid rules are reported by `run_batch`, together with all other failures.
    """
    for fields in given:
        with contextlib.suppress(ValidationFailedError):
            await rules.prepare(fields)


async def run_batch(tasks: TaskService, operations: Sequence[Operation]) -> bytes:
    """Run the operations in order and return their results as JSON.

    Raises:
        BatchFailedError: Operations failed; `errors` lists them. The caller must not commit.
    """
    results = await run_each(operations, partial(run_operation, tasks))
    return b'{"results":[%b]}' % b",".join(results)


async def run_each(
    operations: Sequence[T],
    run_one: Callable[[T], Awaitable[bytes | None]],
    not_of_tasks: Container[str] = (),
) -> list[bytes]:
    """Run operations in order and return the result of each as JSON.

    Operations in `not_of_tasks` have their fields directly, not nested in `task`.

    Raises:
        BatchFailedError: Operations failed; `errors` lists them. The caller must not commit.
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
    """Run one operation and return the task's document; None if the task was deleted.

    Raises:
        ProblemError: The operation failed.
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

    With `of_task`, the fields in the error are those of the operation's `task`.
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
