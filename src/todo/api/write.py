"""Execution of write requests: one transaction, retries after conflicts, idempotent replay."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from todo.api.conditional import find_if_match
from todo.api.idempotency import Repeatable, claim, identify_repeatable, store
from todo.api.responses import StoredResponse
from todo.app_state import AppState, get_state
from todo.core.caller import Caller
from todo.core.errors import (
    MalformedRequestError,
    PreconditionRequiredError,
    RateLimitedError,
    WriteConflictError,
)
from todo.db.errors import ConflictError
from todo.db.pool_admission import AccountBusyError
from todo.writes.storage_quota import QuotaExceededError
from todo.writes.unit_of_work import UnitOfWork

WriteHandler = Callable[[UnitOfWork], Awaitable[StoredResponse]]

# Time for which a write is retried after conflicts; well below usual client timeouts.
_RETRY_S = 5.0
_PAUSE_S = 0.02
# Short, because newer writes overtake a write that waits.
_MAX_PAUSE_S = 0.16


async def run_write(
    request: Request,
    caller: Caller,
    handler: WriteHandler,
    *,
    changes_existing: bool,
) -> Response:
    """Run a write in one transaction and return its response after the commit.

    `handler` makes the changes and returns the response; it may run several times.
    `changes_existing` states whether the operation changes a resource that has a version, so that
    `If-Match` applies and a token can require it.

    Raises:
        MalformedRequestError: A condition does not apply to the operation.
        PreconditionRequiredError: The token requires a header that is missing.
        KeyReusedError: The Idempotency-Key was used with a different request.
        RateLimitedError: The token has used up its changes per hour.
        QuotaExceededError: The account would exceed its storage quota.
        WriteConflictError: Concurrent writes conflicted in every attempt.
    """
    repeatable = await identify_repeatable(request, caller)
    check_conditions(request, caller, changes_existing=changes_existing)
    return (await execute_write(get_state(request), caller, handler, repeatable)).render()


async def execute_write(
    state: AppState, caller: Caller, handler: WriteHandler, repeatable: Repeatable | None = None
) -> StoredResponse:
    """Run a write in one transaction and return its response after the commit.

    `handler` makes the changes and returns the response; it may run several times. `repeatable`
    identifies a repeated request.

    Raises:
        PreconditionRequiredError: The token requires an idempotency key.
        KeyReusedError: The key was used with a different request.
        RateLimitedError: The token has used up its changes per hour.
        QuotaExceededError: The account would exceed its storage quota.
        WriteConflictError: Concurrent writes conflicted in every attempt.
    """
    if caller.require_key and repeatable is None:
        raise PreconditionRequiredError("This token requires an Idempotency-Key on every write.")
    deadline = time.monotonic() + _RETRY_S
    attempt = 0
    accounts = [caller.user]
    while True:
        try:
            return await _try(state, caller, handler, repeatable, accounts)
        except AccountBusyError as error:
            # The next attempt also queues for that account, without holding a connection.
            accounts.append(error.account)
            continue
        except RateLimitedError:
            state.metrics.count_limited("writes")
            raise
        except QuotaExceededError:
            state.metrics.count_over_quota()
            raise
        except ConflictError:
            state.metrics.count_retry()
            attempt += 1
            # Random, so that conflicting writes do not meet again.
            pause_s = random.uniform(0, min(_PAUSE_S * 2**attempt, _MAX_PAUSE_S))  # noqa: S311 - no secret
            if time.monotonic() + pause_s > deadline:
                raise WriteConflictError from None
        await asyncio.sleep(pause_s)


def check_conditions(request: Request, caller: Caller, *, changes_existing: bool) -> None:
    """Reject conditions that do not apply, and changes that lack a required condition."""
    if "if-none-match" in request.headers:
        raise MalformedRequestError(
            "If-None-Match applies to reads only. Send If-Match with a change."
        )
    condition = find_if_match(request)
    # If-Match takes precedence (RFC 9110, 13.1.4).
    if condition is None and "if-unmodified-since" in request.headers:
        raise MalformedRequestError(
            "If-Unmodified-Since is not supported, because resources have no modification date. "
            "Send If-Match with a change."
        )
    if not changes_existing:
        if condition is not None:
            raise MalformedRequestError(
                "If-Match does not apply to this operation, because it changes nothing that has a "
                "version. Omit the header; in a batch, send `if_match` with each operation."
            )
    elif caller.require_match and (
        condition is None or condition.strip() == "*" or "," in condition
    ):
        # A client has read one version; several tags would be guesses.
        raise PreconditionRequiredError(
            "This token requires an If-Match with one entity tag on every change."
        )


async def _try(
    state: AppState,
    caller: Caller,
    handler: WriteHandler,
    repeatable: Repeatable | None,
    accounts: list[str],
) -> StoredResponse:
    async with state.database.unit_of_work(*accounts) as session:
        work = UnitOfWork(session, caller, quota=state.storage_quota)
        if repeatable is not None:
            stored = await claim(work, repeatable)
            if stored is not None:
                state.metrics.count_replay()
                return stored
        answer = await handler(work)
        if repeatable is not None:
            work.before_commit(store(caller, repeatable.key, answer))
        await work.commit()
        # Notify immediately: nothing may happen between a commit and its notification.
        state.feed.notify(work.changed)
        for operation in work.operations:
            state.metrics.count_journal(operation)
    return answer
