"""A WebSocket client of a service, byte by byte."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from tests.integration.service import Service

Headers = Sequence[tuple[bytes, bytes]]
# Only a service that hangs meets it.
_TIMEOUT_S = 120


class Socket:
    """One WebSocket.

    Attributes:
        protocol: The subprotocol that the service chose.
        pings: How many pings came.
    """

    def __init__(
        self,
        peer: socket.socket,
        path: str,
        headers: Headers = (),
        protocols: Sequence[str] = (),
        *,
        host: str = "todo",
    ) -> None:
        self._peer = peer
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self.protocol: str | None = None
        self.pings = 0
        self._send(
            Request(
                host=host,
                target=path,
                extra_headers=list(headers),
                subprotocols=list(protocols),
            )
        )
        answer = self._next(_TIMEOUT_S)
        if isinstance(answer, RejectConnection):
            self._peer.close()
            raise ConnectionRefusedError(answer.status_code)
        assert isinstance(answer, AcceptConnection), answer
        self.protocol = answer.subprotocol

    def send(self, message: object) -> None:
        """Send a message: text as it is, anything else as JSON."""
        text = message if isinstance(message, str) else json.dumps(message)
        self._send(TextMessage(data=text))

    def read(self, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
        """Return the next message."""
        event = self._next(timeout_s)
        assert isinstance(event, TextMessage), event
        text = event.data
        while not event.message_finished:
            event = self._next(timeout_s)
            assert isinstance(event, TextMessage), event
            text += event.data
        message: dict[str, Any] = json.loads(text)
        return message

    def read_end(self, timeout_s: float = _TIMEOUT_S) -> tuple[int, str]:
        """Return code and reason with which the service closes, and close too."""
        event = self._next(timeout_s)
        assert isinstance(event, CloseConnection), event
        self._send(event.response())
        return event.code, event.reason or ""

    def read_first(self) -> int | str:
        """Return the type of the first message, or the code with which the service closes."""
        event = self._next(_TIMEOUT_S)
        if isinstance(event, CloseConnection):
            return event.code
        assert isinstance(event, TextMessage), event
        return str(json.loads(event.data)["type"])

    def is_silent(self, for_s: float) -> bool:
        """Return whether nothing comes for a while."""
        try:
            self._next(for_s)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        """Leave."""
        self._peer.close()

    def _send(self, event: Event) -> None:
        self._peer.sendall(self._connection.send(event))

    def _next(self, timeout_s: float) -> Event:
        deadline = time.monotonic() + timeout_s
        while True:
            while self._events:
                event = self._events.pop(0)
                if not isinstance(event, Ping):
                    return event
                self.pings += 1
                if self._connection.state is ConnectionState.OPEN:
                    self._send(event.response())
            self._peer.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._peer.recv(65536)
            self._connection.receive_data(data or None)
            self._events += self._connection.events()
            if not data and not self._events:
                raise ConnectionResetError


def connect(service: Service) -> socket.socket:
    """Open a connection to the public socket of a service."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(service.folder / "public.sock"))
    return peer


@contextlib.contextmanager
def open_socket(
    service: Service, path: str, *, headers: Headers = (), protocols: Sequence[str] = ()
) -> Iterator[Socket]:
    """Open a WebSocket for the length of the block."""
    opened = Socket(connect(service), path, headers, protocols)
    try:
        yield opened
    finally:
        opened.close()
