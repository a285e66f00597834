"""How a write is answered: once, whole, and the same again when it is repeated."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from todo.api.answer import Answer
from todo.api.idempotency import claim, find_key, store
from todo.auth.caller import Caller
from todo.db import ConflictError, Database
from todo.errors import PreconditionRequiredError, RateLimitedError, WriteConflictError
from todo.journal.feed import Feed
from todo.metrics import Metrics
from todo.work import Work

Action = Callable[[Work], Awaitable[Answer]]

# How long a write is tried again that others were in the way of; well below a caller's patience.
_RETRY_S = 5.0
_PAUSE_S = 0.02
# Whoever lost often must not wait while others, who begin anew, go by.
_MOST_PAUSE_S = 0.16


async def answer_write(
    request: Request,
    caller: Caller,
    action: Action,
    *,
    changes_existing: bool = False,
) -> Response:
    """Run a write in one transaction and answer when it is committed.

    Args:
        request: The request; its body has been read.
        caller: Who asks.
        action: Does it, and says what to answer. It may run more than once.
        changes_existing: Whether `If-Match` makes sense, so that a token may require it.

    Raises:
        PreconditionRequiredError: The token requires a header that is missing.
        KeyReusedError: The Idempotency-Key came with another request before.
        RateLimitedError: The token may not make so many changes an hour.
        WriteConflictError: Other writes were in the way for too long.
    """
    key = find_key(request)
    if caller.require_key and key is None:
        raise PreconditionRequiredError("This token requires an Idempotency-Key on every write.")
    if caller.require_match and changes_existing and "if-match" not in request.headers:
        raise PreconditionRequiredError("This token requires an If-Match on every change.")
    database: Database = request.app.state.database
    deadline = time.monotonic() + _RETRY_S
    attempt = 0
    while True:
        try:
            return (await _try(request, caller, action, database, key)).render()
        except RateLimitedError:
            _metrics(request).count_limited("writes")
            raise
        except ConflictError:
            _metrics(request).count_retry()
            attempt += 1
            # Random, so that those who met do not meet again.
            pause_s = random.uniform(0, min(_PAUSE_S * 2**attempt, _MOST_PAUSE_S))  # noqa: S311 - no secret
            if time.monotonic() + pause_s > deadline:
                raise WriteConflictError from None
        await asyncio.sleep(pause_s)


async def _try(
    request: Request,
    caller: Caller,
    action: Action,
    database: Database,
    key: str | None,
) -> Answer:
    async with database.unit_of_work() as session:
        work = Work(session, caller)
        if key is not None:
            stored = await claim(work, request, key)
            if stored is not None:
                _metrics(request).count_replay()
                return stored
        answer = await action(work)
        if key is not None:
            work.finally_run(store(caller, key, answer))
        await work.commit()
        # At once: nothing may come between what is committed and its being told.
        _feed(request).notify(work.changed)
        for operation in work.operations:
            _metrics(request).count_journal(operation)
    return answer


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed
