"""Limits on the frames of a WebSocket; a connection that exceeds them is closed.

A client chooses how many frames its bytes form: one of 64 KiB, or ten thousand empty ones that each
cost as much. Front ends send only a token, and a ping now and then. So frames are counted, control
frames and partial frames included. A message that is too large or invalid ends the connection as
well: Hypercorn would send a close frame and wait forever for its answer.
"""

import time
from collections.abc import Callable, Generator
from typing import Any, cast

from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import Connection, ConnectionState
from wsproto.events import CloseConnection, Event, Message
from wsproto.frame_protocol import CloseReason

_PARSING_STATES = {ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING}
MAX_FRAMES_AT_ONCE = 200
FRAMES_PER_S = 20


class InvalidFramesError(Exception):
    """The client violated the protocol, and the connection ends.

    Attributes:
        close: Close frame that is sent to the client first.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.close = CloseConnection(code=code, reason=reason)


class TooManyFramesError(InvalidFramesError):
    """The client sent more frames than it may."""

    def __init__(self) -> None:
        super().__init__(CloseReason.POLICY_VIOLATION, "too many frames")


class FrameBudget:
    """Token bucket: how many frames a client may still send."""

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


class _CheckedConnection:
    """wsproto's connection, whose events are checked one by one as they are parsed."""

    def __init__(self, connection: Connection, max_message_size: int) -> None:
        self._connection = connection
        self._max_message_size = max_message_size
        self._message_size = 0
        self._budget = FrameBudget()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever wsproto has
        return getattr(self._connection, name)

    def events(self) -> Generator[Event, None, None]:
        for event in self._connection.events():
            self._budget.take()
            if isinstance(event, Message):
                self._check_size(event)
            if isinstance(event, CloseConnection) and self._connection.state in _PARSING_STATES:
                # Not a close frame of the client, which would have changed the state.
                raise InvalidFramesError(event.code, event.reason or "invalid frame")
            yield event

    def _check_size(self, message: Message[Any]) -> None:
        self._message_size += len(message.data)
        if self._message_size > self._max_message_size:
            raise InvalidFramesError(CloseReason.MESSAGE_TOO_BIG, "the message is too large")
        if message.message_finished:
            self._message_size = 0


def check_frames(stream: WSStream) -> None:
    """Check the frames of a WebSocket that is accepted; wraps its connection no more than once.

    Its `handle` raises InvalidFramesError when the client breaks a rule.
    """
    if not isinstance(stream.connection, _CheckedConnection):
        checked = _CheckedConnection(stream.connection, stream.buffer.max_length)
        stream.connection = cast("Connection", checked)
