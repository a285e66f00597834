"""Limits on the frames of a WebSocket; a connection that exceeds them is closed.

A client can send 64 KiB as one frame, or as ten thousand empty ones that each cost as much. Front
ends send only a token and occasional pings. So all frames are counted, including control and
partial frames. An invalid or too large message also ends the connection, because Hypercorn would
send a close frame and wait forever for the reply.
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
    """The client violated the protocol; the connection ends with the close frame `close`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.close = CloseConnection(code=code, reason=reason)


class TooManyFramesError(InvalidFramesError):
    """The client exceeded its frame budget."""

    def __init__(self) -> None:
        super().__init__(CloseReason.POLICY_VIOLATION, "too many frames")


class FrameBudget:
    """Token bucket for the frames of one client."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(MAX_FRAMES_AT_ONCE)
        self._filled_at = clock()

    def take(self) -> None:
        """Count one frame.

        Raises:
            TooManyFramesError: The budget is exhausted.
        """
        now = self._clock()
        refilled = self._left + (now - self._filled_at) * FRAMES_PER_S
        self._left = min(refilled, float(MAX_FRAMES_AT_ONCE)) - 1
        self._filled_at = now
        if self._left < 0:
            raise TooManyFramesError


class _CheckedConnection:
    """Wrapper of wsproto's connection that checks each event as it is parsed."""

    def __init__(self, connection: Connection, max_message_size: int) -> None:
        self._connection = connection
        self._max_message_size = max_message_size
        self._message_size = 0
        self._budget = FrameBudget()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of wsproto
        return getattr(self._connection, name)

    def events(self) -> Generator[Event, None, None]:
        for event in self._connection.events():
            self._budget.take()
            if isinstance(event, Message):
                self._check_size(event)
            if isinstance(event, CloseConnection) and self._connection.state in _PARSING_STATES:
                # A parser error: a close frame from the client would have changed the state.
                raise InvalidFramesError(event.code, event.reason or "invalid frame")
            yield event

    def _check_size(self, message: Message[Any]) -> None:
        self._message_size += len(message.data)
        if self._message_size > self._max_message_size:
            raise InvalidFramesError(CloseReason.MESSAGE_TOO_BIG, "the message is too large")
        if message.message_finished:
            self._message_size = 0


def check_frames(stream: WSStream) -> None:
    """Check the frames of an accepted WebSocket from now on; repeated calls have no effect.

    The stream's `handle` then raises InvalidFramesError if the client violates the protocol.
    """
    if not isinstance(stream.connection, _CheckedConnection):
        checked = _CheckedConnection(stream.connection, stream.buffer.max_length)
        stream.connection = cast("Connection", checked)
