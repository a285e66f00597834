"""HTTP/1.1 parser of the fast path, and renderer of response heads: pure functions.

The fast path accepts only common requests that parse unambiguously. `http1_strict_parser` handles
all others: another version, an upgrade, a chunked body, a rare or repeated field, invalid HTTP.
"""

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

MAX_HEAD_BYTES = 16 * 1024
"""Maximum size in bytes of the request line plus the header; larger ones get 414 or 431."""

Headers = list[tuple[bytes, bytes]]

METHODS = rb"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|QUERY"
"""Methods that the application handles, possibly with 405; others get 501."""
ORIGIN_FORM = rb"/[!\"$-~]*+"
"""Path with an optional query; clients never send the fragment (`#`)."""
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
"""Method or field name (RFC 9110, 5.6.2)."""
LENGTH = re.compile(rb"[0-9]{1,15}")
HOST = re.compile(
    rb"(?:(?:[\w\-.~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+|\[(?:[0-9A-Fa-f:.]++|v[0-9A-Fa-f]++\.[\w:.]++)\])"
    rb"(?::[0-9]*+)?"
)
"""Host with an optional port (RFC 9110, 7.2): a name, an IPv4 address or a bracketed literal."""

# Exactly one space follows the colon, so the first ": " of a line ends the field name.
_FIELD_LINE = rb"(?:%b: (?![\t ])[\t -~\x80-\xff]++(?<![\t ])\r\n)" % TOKEN
_REQUEST = re.compile(rb"(%b) (%b) HTTP/1\.1\r\n(%b++)\r\n" % (METHODS, ORIGIN_FORM, _FIELD_LINE))
# Fields that determine the end of a message or the use of the connection.
_FRAMING = {
    b"host",
    b"connection",
    b"content-length",
    b"expect",
    b"transfer-encoding",
    b"upgrade",
}
_CHALLENGE = b"www-authenticate"
_SPECIAL_IN_RESPONSE = {b"content-length", b"connection", b"transfer-encoding", _CHALLENGE}
_WITHOUT_BODY = {204, 304}


class ServedBy(Enum):
    """Part of the server that serves a request."""

    FAST_PATH = auto()
    """`todo.server.request_response_cycle`."""
    HYPERCORN = auto()
    """Hypercorn, for one request with a chunked body, `Expect` or HTTP/1.0."""
    HYPERCORN_WEBSOCKET = auto()
    """Hypercorn, for the rest of the connection."""


class Request(NamedTuple):
    """Well-formed request.

    Attributes:
        method: Method in upper case.
        target: Path and query as received.
        headers: Header fields in order, names in lower case.
        content_length: Size of the body in bytes; 0 for a chunked body.
        head_size: Number of bytes up to the end of the head.
        http_version: `1.1` or `1.0`.
        closes: Whether the request has `Connection: close`.
    """

    method: str
    target: bytes
    headers: Headers
    content_length: int
    head_size: int
    served_by: ServedBy = ServedBy.FAST_PATH
    http_version: bytes = b"1.1"
    closes: bool = False


def find_request(data: bytes) -> Request | None:
    """Parse the request at the start of the data; return None if the fast path cannot serve it."""
    found = _REQUEST.match(data, 0, MAX_HEAD_BYTES)
    if found is None:
        return None
    method, target, fields = found.groups()
    parts = [line.partition(b": ") for line in fields[:-2].split(b"\r\n")]
    headers = [(name.lower(), value) for name, _, value in parts]
    framing = [field for field in headers if field[0] in _FRAMING]
    length = 0
    host = framing[0][1] if framing else b""
    if len(framing) != 1 or framing[0][0] != b"host":
        values = dict(framing)
        # Repeated fields, a missing Host and rare fields are left to the strict parser.
        if len(values) != len(framing) or b"host" not in values:
            return None
        if not values.keys() <= {b"host", b"connection", b"content-length"}:
            return None
        announced = values.get(b"content-length", b"0")
        keeps = values.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        if not keeps or not LENGTH.fullmatch(announced):
            return None
        length = int(announced)
        host = values[b"host"]
    if not _is_host(host):
        return None
    return Request(method.decode(), target, headers, length, found.end())


@lru_cache(64)
def _is_host(host: bytes) -> bool:
    """Return whether the value is a valid host; cached, as most clients send the same one."""
    return HOST.fullmatch(host) is not None


class ResponseHead(NamedTuple):
    """Rendered head of a response; `content_length` is None for a chunked body."""

    data: bytes
    content_length: int | None
    closes: bool


def render_head(
    method: str, status: int, headers: Iterable[tuple[bytes, bytes]], body_length: int | None
) -> ResponseHead:
    """Render the head of a response, including a missing `content-length`.

    Header names must be in lower case. `body_length` is None while the length is unknown.

    Raises:
        ValueError: A header field is not allowed in a response, or contains a line break.
    """
    lines = [b"HTTP/1.1 %d " % status]
    length: int | None = None
    closes = False
    for name, value in headers:
        if name in _SPECIAL_IN_RESPONSE:
            if name == _CHALLENGE:
                # Some clients recognize only this spelling.
                lines.append(b"WWW-Authenticate: " + value)
                continue
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                closes = value.lower() == b"close"
            else:
                raise ValueError("Transfer-Encoding is set by the server, not by the application")
        lines.append(name + b": " + value)
    if is_bodiless(method, status):
        length = 0
    elif length is None and body_length is not None:
        length = body_length
        lines.append(b"content-length: %d" % length)
    elif length is None:
        lines.append(b"transfer-encoding: chunked")
    lines.append(_date_line())
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    # Any additional line break comes from a field. Counting is faster than a search.
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError("a header field of the response contains a line break")
    return ResponseHead(head, length, closes)


def is_bodiless(method: str, status: int) -> bool:
    """Return whether the response has no body, regardless of its head."""
    return method == "HEAD" or status in _WITHOUT_BODY


_date = (0, b"")


def _date_line() -> bytes:
    global _date  # noqa: PLW0603 - a cache for one second
    now = int(time.time())
    if now != _date[0]:
        _date = (now, b"date: " + formatdate(now, usegmt=True).encode())
    return _date[1]
