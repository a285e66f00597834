"""Accept gate: decides when an instance accepts connections from the shared listening socket."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from todo.core.errors import ProblemError, StartingError
from todo.observability.health import Health
from todo.server.listener import Listener
from todo.server.siblings import Siblings

# Interval between readiness checks of this instance and its siblings.
_POLL_S = 0.2

_log = logging.getLogger("todo.server")


class AcceptGate:
    """Gate that accepts connections while this instance is ready, or while no sibling is.

    The kernel gives a connection to any accepting instance, even to one that can only answer 503.
    If no instance is ready, all of them accept, so that clients receive the reason.

    Args:
        listener: Listener of the public address, not started yet.
        self_test: Tests the service once; raises `ProblemError` if it fails.
    """

    def __init__(
        self,
        listener: Listener,
        health: Health,
        siblings: Siblings,
        self_test: Callable[[], Awaitable[None]],
    ) -> None:
        self._listener = listener
        self._health = health
        self._siblings = siblings
        self._self_test = self_test
        self._problem = ""
        listener.hold()
        health.holding = True
        health.self_test_problem = StartingError()

    async def run(self) -> None:
        """Open and close the gate until canceled."""
        while True:
            problem = await self._find_problem()
            self._siblings.mark(ready=problem is None)
            self._set_holding(problem)
            await asyncio.sleep(_POLL_S)

    def is_replaced(self) -> bool:
        """Return whether another instance accepts connections instead of this one."""
        return self._siblings.is_another_ready()

    async def _find_problem(self) -> ProblemError | None:
        health = self._health
        problem = await health.find_problem("readyz")
        if problem is None or problem is not health.self_test_problem:
            return problem
        try:
            await self._self_test()
        except ProblemError as error:
            health.self_test_problem = error
        else:
            health.self_test_problem = None
        return health.self_test_problem

    def _set_holding(self, problem: ProblemError | None) -> None:
        holding = problem is not None and self._siblings.is_another_ready()
        if holding != self._health.holding:
            self._health.holding = holding
            if holding:
                self._listener.hold()
            else:
                self._listener.resume()
        reason = problem.detail if problem is not None else ""
        if reason != self._problem:
            self._problem = reason
            if reason:
                _log.warning("this instance is not ready: %s", reason)
            else:
                _log.info("this instance is ready")
