"""CORS (the Fetch standard): allowed origins, and the headers that browsers may send and read."""

from collections.abc import Iterable

from starlette.types import Scope

from todo.api.rate_limit import Field

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_SENT = (
    b"authorization, content-type, if-match, if-none-match, idempotency-key, last-event-id, "
    b"mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, "
    b"traceparent, tracestate, x-agent, x-model, x-request-id, x-run-id"
)
_SHOWN = (
    b"etag, idempotency-replayed, location, mcp-session-id, ratelimit, ratelimit-policy, "
    b"retry-after, www-authenticate, x-request-id"
)
_PREFLIGHT_S = b"600"
_VARY = (b"vary", b"Origin")


class Cors:
    """CORS policy with exact origins, without wildcards."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def answer(self, scope: Scope) -> tuple[list[Field], bool]:
        """Return the response's CORS fields, and whether the request is a preflight."""
        origin, wanted = b"", b""
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-method":
                wanted = value
        if origin not in self._origins:
            return [_VARY], False
        fields = [
            _VARY,
            (b"access-control-allow-origin", origin),
            # Required by front ends that send cookies with every request; cookies are ignored here.
            (b"access-control-allow-credentials", b"true"),
        ]
        if scope["method"] != "OPTIONS" or not wanted:
            return [*fields, (b"access-control-expose-headers", _SHOWN)], False
        fields += [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _SENT),
            (b"access-control-max-age", _PREFLIGHT_S),
        ]
        return fields, True
