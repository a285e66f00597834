"""HTTP/1.1 and WebSockets, with errors that read like the application's own."""

import asyncio
import contextlib
import logging

import h11
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from wsproto.events import Ping

from todo.errors import HttpError, render_problem
from todo.headers import add_security
from todo.ids import new_uuid7
from todo.logs import request_id_var

_DETAILS = {
    400: "The request is not valid HTTP.",
    431: "The header of the request is too large.",
}

# Below the idle time-out of any proxy. A client that is gone without a word is noticed when what is
# sent to it meets nobody.
_PING_S = 20
_EXTENSIONS = b"sec-websocket-extensions"

_access = logging.getLogger("todo.access")


class Http1(H11Protocol):
    """Hypercorn's HTTP/1.1, without its change to HTTP/2.

    Without TLS a client may ask for HTTP/2 in its first request. A reverse proxy passes such a
    request on and then the bytes that follow, unseen by its own rules; to the proxy itself
    HTTP/1.1 is enough.
    """

    _pinging: asyncio.Task[None] | None = None

    async def _check_protocol(self, event: h11.Request) -> None:
        """Change to nothing: a wish to upgrade may be ignored (RFC 9110, 7.8)."""

    async def _create_stream(self, request: h11.Request) -> None:
        await super()._create_stream(_decline_compression(request))
        if isinstance(self.stream, WSStream):
            self._pinging = asyncio.create_task(_ping(self.stream))

    async def _close_stream(self) -> None:
        # Hypercorn's own pings would outlive the connection by their interval.
        if self._pinging is not None:
            self._pinging.cancel()
        await super()._close_stream()

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what is no request, which never reaches the application."""
        request_id = new_uuid7().hex
        request_id_var.set(request_id)
        error = HttpError(status_code, _DETAILS.get(status_code, _DETAILS[400]), None)
        status, headers, body = render_problem(error, instance="", request_id=request_id)
        headers = [
            *add_security(headers, secure=False),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
        client = self.client[0] if self.client else "unix"
        _access.info("not a request", extra={"status": status, "client": client})


def _decline_compression(request: h11.Request) -> h11.Request:
    """Leave out what a client offers for a WebSocket: a small frame could grow a thousandfold."""
    fields = [field for field in request.headers if field[0] != _EXTENSIONS]
    if len(fields) == len(request.headers):
        return request
    return h11.Request(
        method=request.method,
        target=request.target,
        headers=fields,
        http_version=request.http_version,
    )


async def _ping(stream: WSStream) -> None:
    with contextlib.suppress(OSError):
        while True:
            await asyncio.sleep(_PING_S)
            if stream.state is ASGIWebsocketState.CONNECTED:
                await stream._send_wsproto_event(Ping())  # noqa: SLF001 - as it does itself
