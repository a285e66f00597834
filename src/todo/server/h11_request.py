"""h11 connection for one request, with strict checks of a chunked body.

h11 accepts bare LF, folded lines and spaces in a chunked body. Another server in the chain may then
see the end of the request elsewhere, so the lines are checked before h11 parses them.
"""

import contextlib
import re
from typing import Any

import h11

from todo.server.http1_parser import TOKEN
from todo.server.http1_strict_parser import FIELD_LINE

_QUOTED = rb"\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+\""
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?)*+\r\n" % (TOKEN, TOKEN, _QUOTED)
)
_END = b"\r\n"
MAX_LINE_BYTES = 16 * 1024
"""Maximum size of a chunk header line, and of all trailers together."""


class InvalidChunkError(Exception):
    """A line of a chunked body violates RFC 9112, 7.1."""


class ChunkedBodyChecker:
    """Incremental check of the lines of one chunked body; h11 checks where each chunk ends."""

    def __init__(self) -> None:
        self._line = b""
        self._chunk_bytes_left = 0
        self._is_in_trailers = False
        self._is_complete = False

    def feed(self, data: bytes) -> None:
        """Check the lines in the next bytes; bytes after the end of the body are ignored.

        Raises:
            InvalidChunkError: A line is invalid or too long.
        """
        position = 0
        while not self._is_complete:
            if self._chunk_bytes_left:
                skipped = min(self._chunk_bytes_left, len(data) - position)
                position += skipped
                self._chunk_bytes_left -= skipped
            if position == len(data):
                return
            end = data.find(b"\n", position) + 1
            line = self._line + data[position : end or None]
            if not end:
                if len(line) > MAX_LINE_BYTES:
                    raise InvalidChunkError
                self._line = line
                return
            self._line = b""
            position = end
            self._check(line)

    def _check(self, line: bytes) -> None:
        if self._is_in_trailers:
            self._is_complete = line == _END
            if not self._is_complete and not FIELD_LINE.fullmatch(line):
                raise InvalidChunkError
            return
        found = _CHUNK_LINE.fullmatch(line)
        if found is None:
            raise InvalidChunkError
        size = int(found[1], 16)
        self._is_in_trailers = not size
        self._chunk_bytes_left = size + len(_END) if size else 0


class SingleRequestConnection(h11.Connection):
    """h11 connection that parses a single request."""

    _body_checker: ChunkedBodyChecker | None = None
    _is_invalid = False

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """Always False: `SingleRequestProtocol.send_continue` sends 100 (Continue)."""
        return False

    def receive_data(self, data: bytes) -> None:
        """Receive more bytes of the request."""
        if self._body_checker is not None:
            try:
                self._body_checker.feed(data)
            except InvalidChunkError:
                self._is_invalid = True
                # h11 does the same for errors that it finds itself.
                self._process_error(self.their_role)
        super().receive_data(data)

    def next_event(self) -> Any:  # noqa: ANN401 - as in h11
        """Return the next event of the request.

        Raises:
            h11.RemoteProtocolError: The request is invalid.
        """
        if self._is_invalid:
            raise h11.RemoteProtocolError("invalid chunk")
        if not self.is_reading:
            # Bytes after the request do not make it invalid.
            return h11.NEED_DATA
        event = super().next_event()
        if isinstance(event, h11.Request):
            is_chunked = any(name == b"transfer-encoding" for name, _value in event.headers)
            self._body_checker = ChunkedBodyChecker() if is_chunked else None
        return event

    @property
    def is_reading(self) -> bool:
        """Whether the request is still incomplete."""
        return self.their_state in {h11.IDLE, h11.SEND_BODY}

    def skip(self, data: bytes) -> bool:
        """Read the rest of the request; return whether it is complete."""
        if data:
            self.receive_data(data)
        with contextlib.suppress(h11.RemoteProtocolError):
            while self.next_event() is not h11.NEED_DATA:
                pass
        return self.their_state is h11.DONE
