"""HTTP/1.1 and nothing else, with errors that read like the application's own."""

import logging

import h11
from hypercorn.protocol.h11 import H11Protocol

from todo.errors import HttpError, render_problem
from todo.headers import add_security
from todo.ids import new_uuid7
from todo.logs import request_id_var

_DETAILS = {
    400: "The request is not valid HTTP.",
    431: "The header of the request is too large.",
}

_access = logging.getLogger("todo.access")


class Http1(H11Protocol):
    """Hypercorn's HTTP/1.1, without its change to HTTP/2.

    Without TLS a client may ask for HTTP/2 in its first request. A reverse proxy passes such a
    request on and then the bytes that follow, unseen by its own rules; to the proxy itself
    HTTP/1.1 is enough.
    """

    async def _check_protocol(self, event: h11.Request) -> None:
        """Change to nothing: a wish to upgrade may be ignored (RFC 9110, 7.8)."""

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
