"""Comparison of the candidate's responses with those of a running instance to the same requests.

Time limits are relative to the running instance, which serves on the same machine at the same time.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deploy.stack.addresses import Address

FACTOR = 10.0
"""Maximum ratio of the candidate's durations to those of the running instance."""
MIN_LIMIT_S = 5.0
"""Minimum timeout of a request."""
HANG_TIMEOUT_S = 60.0
"""Timeout of a request if there is no earlier duration to compare, as for the first request."""
_FLOOR_S = 0.01
"""Minimum reference duration; shorter ones of the running instance count as this."""
_MIN_SAMPLES = 12
_ERROR = 500
_CLASS = 100


@dataclasses.dataclass(frozen=True)
class Call:
    """Request without side effects; `body` is JSON or empty."""

    method: str
    path: str
    body: str = ""


CALLS = (
    Call("GET", "/api/v1/tasks?limit=1"),
    Call("GET", "/api/v1/lists"),
    Call("GET", "/api/v1/tags"),
    Call(
        "POST", "/api/v1/quick-add?preview=true", json.dumps({"text": "call the dentist tomorrow"})
    ),
)
"""Test requests, authenticated as a user without data."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """Outcome of a request.

    Attributes:
        status: Status code; 0 without a response.
        seconds: Duration in seconds.
        reason: Error, if there was no response.
    """

    status: int
    seconds: float
    reason: str = ""

    @property
    def serves(self) -> bool:
        """Whether a response arrived that is not a server error."""
        return 0 < self.status < _ERROR


def send(address: Address, call: Call, token: str, limit_s: float) -> Answer:
    """Send a request on a new connection."""
    started = time.monotonic()
    connection = address.open_http(limit_s)
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    if call.body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(call.method, call.path, call.body or None, headers)
        response = connection.getresponse()
        response.read()
        return Answer(response.status, time.monotonic() - started)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, time.monotonic() - started, str(error) or type(error).__name__)
    finally:
        connection.close()


class Comparison:
    """Comparison of the candidate's responses with those of a running instance.

    Args:
        candidate: Function that sends a request to the candidate, with a timeout in seconds.
        running: Function that sends it to the running instances; None if none of them serves.
        known: Durations of the running instances' responses in seconds, to which this comparison
            appends. Later comparisons share it, because the candidate may then accept requests to
            the public socket, too.
    """

    def __init__(
        self,
        candidate: Callable[[Call, float], Answer],
        running: Callable[[Call, float], Answer] | None,
        known: list[float],
    ) -> None:
        self._candidate = candidate
        self._running = running
        self._known = known
        self._calls = self._repeat()
        self._mine: list[float] = []
        self._theirs: list[float] = []

    @property
    def count(self) -> int:
        """Number of compared requests."""
        return len(self._mine)

    def step(self) -> str:
        """Send the next request to both; return the candidate's problem, or an empty string."""
        call = next(self._calls)
        # The running instance is first, because its duration determines the timeout.
        theirs = self._ask_running(call)
        limit_s = HANG_TIMEOUT_S
        if self._running is not None:
            # A missing response proves nothing: the candidate may have accepted that request, too.
            known_s = theirs.seconds if theirs.status else 0.0
            limit_s = max(MIN_LIMIT_S, 2 * FACTOR * known_s)
        mine = self._candidate(call, limit_s)
        if mine.status == 0:
            return self._judge_silence(call, theirs, mine, limit_s)
        problem = self._judge_status(call, theirs, mine)
        if problem:
            return problem
        self._mine.append(mine.seconds)
        self._theirs.append(theirs.seconds)
        return self._judge_latency()

    def _judge_status(self, call: Call, theirs: Answer, mine: Answer) -> str:
        if not _is_worse(mine, theirs):
            return ""
        # A common dependency may have failed or changed since the request to the running instance.
        theirs = self._ask_running(call)
        if not _is_worse(mine, theirs):
            return ""
        if mine.status == http.client.UNAUTHORIZED:
            return "it does not accept the tokens of this stack"
        beside = f", but {theirs.status} with the running image" if self._running else ""
        return f"{call.method} {call.path} returns {mine.status}{beside}"

    def _judge_silence(self, call: Call, before: Answer, mine: Answer, limit_s: float) -> str:
        theirs = self._ask_running(call)
        # The whole machine or its database may have hung.
        slow = mine.seconds >= limit_s and theirs.seconds * FACTOR > limit_s
        if theirs.status == 0 or slow:
            return ""
        # The hang may be over now: the running instance did not respond before, either.
        if before.status == 0 and self._candidate(call, limit_s).status != 0:
            return ""
        what = f"{call.method} {call.path} gets no response"
        return f"{what} within {mine.seconds:.1f} s: {mine.reason}"

    def _judge_latency(self) -> str:
        if len(self._mine) < _MIN_SAMPLES or self._running is None:
            return ""
        mine = statistics.median(self._mine[-_MIN_SAMPLES:])
        theirs = statistics.median(self._theirs[-_MIN_SAMPLES:])
        if mine <= FACTOR * max(theirs, _FLOOR_S):
            return ""
        return f"a request takes {mine:.3f} s, and {theirs:.3f} s with the image that runs"

    def _ask_running(self, call: Call) -> Answer:
        if self._running is None:
            return Answer(http.client.OK, 0.0)
        # The candidate may accept this request and hang, so the timeout is short.
        limit_s = HANG_TIMEOUT_S
        if self._known:
            limit_s = max(MIN_LIMIT_S, FACTOR * statistics.median(self._known[-_MIN_SAMPLES:]))
        answer = self._running(call, limit_s)
        # Timeouts count as well, so that the limit grows if the machine becomes slow.
        self._known.append(answer.seconds)
        return answer

    @staticmethod
    def _repeat() -> Iterator[Call]:
        while True:
            yield from CALLS


def _is_worse(mine: Answer, theirs: Answer) -> bool:
    """Return whether a response has a higher status class than that of a working instance."""
    # The test requests can reach a rate limit before those of users do.
    is_limited = mine.status == http.client.TOO_MANY_REQUESTS
    return theirs.serves and not is_limited and mine.status // _CLASS > theirs.status // _CLASS
