"""A limit on the frames of a WebSocket.

A client chooses how many frames its bytes are: one of 64 KiB, or ten thousand empty ones that each
cost as much. Front ends send a token and a ping now and then. So frames are counted, control
frames and the parts of a frame among them.
"""

import time
from collections.abc import Callable, Generator
from typing import Any, cast

from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Event
from wsproto.frame_protocol import CloseReason

MAX_FRAMES_AT_ONCE = 200
FRAMES_PER_S = 20
TOO_MANY_FRAMES = CloseConnection(code=CloseReason.POLICY_VIOLATION, reason="too many frames")


class TooManyFramesError(Exception):
    """The client sent more frames than it may."""


class FrameBudget:
    """How many frames a client may still send; refills evenly."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(MAX_FRAMES_AT_ONCE)
        self._filled_at = clock()

    def take(self) -> None:
        """Count one frame.

        Raises:
            TooManyFramesError: It is one too many.
        """
        now = self._clock()
        refilled = self._left + (now - self._filled_at) * FRAMES_PER_S
        self._left = min(refilled, float(MAX_FRAMES_AT_ONCE)) - 1
        self._filled_at = now
        if self._left < 0:
            raise TooManyFramesError


class _CountedConnection:
    """wsproto's connection, whose events are counted one by one as they are parsed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._budget = FrameBudget()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever wsproto has
        return getattr(self._connection, name)

    def events(self) -> Generator[Event, None, None]:
        for event in self._connection.events():
            self._budget.take()
            yield event


def limit_frames(stream: WSStream) -> None:
    """Count the frames of a WebSocket that is accepted; no more than once.

    Its `handle` raises TooManyFramesError when the client sends too many.
    """
    if not isinstance(stream.connection, _CountedConnection):
        stream.connection = cast("Connection", _CountedConnection(stream.connection))
