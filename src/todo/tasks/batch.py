"""Batches: several changes of tasks in one transaction, all or none."""

import contextlib
from collections.abc import Awaitable, Callable, Container, Sequence
from functools import partial
from typing import Any

from todo.core.errors import BatchFailedError, ProblemError, ValidationFailedError
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService


async def prepare_batch(rules: RuleEvaluation, operations: list[dict[str, Any]]) -> None:
    """Evaluate the rules of a batch before its transaction begins.

    Those that are refused fail with all others in `run_batch`, which names every operation that
    fails.
    """
    for operation in operations:
        with contextlib.suppress(ValidationFailedError):
            await rules.prepare(operation.get("task", {}))


async def run_batch(tasks: TaskService, operations: Sequence[dict[str, Any]]) -> bytes:
    """Do the operations in their order and return their results as JSON.

    Args:
        tasks: The tasks, within the one transaction.
        operations: Each with `op`, and `id`, `if_match`, `task` where it has them.

    Raises:
        BatchFailedError: Some cannot be done; its errors name each. Nothing may be committed.
    """
    results = await run_each(operations, partial(run_operation, tasks))
    return b'{"results":[%b]}' % b",".join(results)


async def run_each(
    operations: Sequence[dict[str, Any]],
    run_one: Callable[[dict[str, Any]], Awaitable[bytes | None]],
    not_of_tasks: Container[str] = (),
) -> list[bytes]:
    """Run operations in their order and return the result of each as JSON.

    Args:
        operations: Each with `op`.
        run_one: Runs one; returns the task's document, None where there is none.
        not_of_tasks: Operations whose fields are their own, not those of a `task`.

    Raises:
        BatchFailedError: As `run_batch`.
    """
    results: list[bytes] = []
    errors: list[dict[str, object]] = []
    for index, operation in enumerate(operations):
        name: str = operation["op"]
        try:
            document = await run_one(operation)
        except ProblemError as error:
            errors += _explain_failure(index, error, of_task=name not in not_of_tasks)
        else:
            results.append(b'{"op":"%b","task":%b}' % (name.encode(), document or b"null"))
    if errors:
        raise BatchFailedError(errors=errors)
    return results


async def run_operation(tasks: TaskService, operation: dict[str, Any]) -> bytes | None:
    """Run one operation and return the task's document, None when it was deleted.

    Raises:
        ProblemError: It cannot be done.
    """
    version = operation.get("if_match")
    expected = None if version is None else frozenset({version})
    match operation["op"]:
        case "create":
            return await tasks.create(operation["task"])
        case "update":
            return await tasks.update(operation["id"], operation["task"], expected)
        case "complete":
            return await tasks.complete(operation["id"], expected)
        case "reopen":
            return await tasks.reopen(operation["id"], expected)
        case _:
            await tasks.delete(operation["id"], expected)
            return None


def _explain_failure(index: int, error: ProblemError, *, of_task: bool) -> list[dict[str, object]]:
    """Return what `errors` has about an operation that failed.

    Args:
        index: Of the operation.
        error: Why it failed.
        of_task: Whether the fields that the error names are those of the operation's `task`.
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
