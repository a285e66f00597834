"""Health of the process, the same for all endpoints: alive, started, ready."""

import asyncio
import time

from todo.core.errors import (
    DatabaseUnavailableError,
    ProblemError,
    SchemaMismatchError,
    StartingError,
    UnavailableError,
)
from todo.db.database import Database

# Shorter than the probe's timeout of one second, so that the probe receives the reason.
_CHECK_TIMEOUT_S = 0.8
# Limits the database queries that callers of a public endpoint can cause.
_CACHE_S = 0.5

CHECKS = ("livez", "readyz", "startupz")


class Health:
    """State of the process and the cached state of its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._check: asyncio.Task[ProblemError | None] | None = None
        self._checked_at = 0.0
        self._result: ProblemError | None = None
        self._schema_was_right = False
        self.listening = False
        self.stopping = False
        # Whether other instances accept the new connections.
        self.holding = False
        # Result of `/readyz` while the database is available; set by the instance's self-test.
        self.self_test_problem: ProblemError | None = None

    @property
    def is_leaving(self) -> bool:
        """Whether clients should open another connection for their next request."""
        return self.stopping or self.holding

    async def find_problem(self, check: str) -> ProblemError | None:
        """Return the problem that a check of `CHECKS` finds, or None."""
        if check == "livez":
            # If this line runs, the event loop runs.
            return None
        if check == "readyz":
            return await self._find_database_problem() or self.self_test_problem
        if not self.listening:
            return StartingError()
        if self._schema_was_right:
            return None
        problem = await self._find_database_problem()
        return problem if isinstance(problem, SchemaMismatchError) else None

    async def _find_database_problem(self) -> ProblemError | None:
        if self._check is None:
            fresh = time.monotonic() - self._checked_at < _CACHE_S
            if fresh and (self._result or self._database.breaker.state == "closed"):
                return self._result
            self._check = asyncio.create_task(self._query())
        # The check is never canceled, because canceling a hung query also waits for the database.
        done, _pending = await asyncio.wait({self._check}, timeout=_CHECK_TIMEOUT_S)
        if not done:
            return DatabaseUnavailableError("The database did not respond in time.")
        return self._result

    async def _query(self) -> ProblemError | None:
        try:
            self._result = await self._ask()
        finally:
            self._checked_at = time.monotonic()
            self._check = None
        return self._result

    async def _ask(self) -> ProblemError | None:
        pool = self._database.pool
        if pool.checkedout() >= pool.size() and self._database.breaker.state == "closed":
            # All connections are in use: the database is busy, not broken, and a query would wait.
            return None
        try:
            version = await self._database.fetch_schema_version()
        except UnavailableError as error:
            return error
        if version.supports():
            self._schema_was_right = True
            return None
        return SchemaMismatchError(version.mismatch)

    async def close(self) -> None:
        """Wait briefly for a check in progress."""
        if self._check is not None:
            await asyncio.wait({self._check}, timeout=_CHECK_TIMEOUT_S)
