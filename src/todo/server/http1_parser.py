"""HTTP/1.1 parser of the fast path, and renderer of response heads: pure functions.

The fast path accepts what nearly every client sends and what can be parsed in one way only. All
other requests (another version, an upgrade, a chunked body, a rare or repeated field, unusual
whitespace, invalid HTTP) are left to `todo.server.http1_strict_parser`.
"""

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

MAX_HEAD_BYTES = 16 * 1024
"""Maximum size of the request line with the header; longer ones get 414 or 431."""

Headers = list[tuple[bytes, bytes]]

METHODS = rb"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|QUERY"
"""Methods that the application handles, sometimes with 405. Others are not implemented (501)."""
ORIGIN_FORM = rb"/[!\"$-~]*+"
"""A path with its query; a fragment (`#`) is never sent."""
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
"""A method or the name of a field (RFC 9110, 5.6.2)."""
LENGTH = re.compile(rb"[0-9]{1,15}")
HOST = re.compile(
    rb"(?:(?:[\w\-.~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+|\[(?:[0-9A-Fa-f:.]++|v[0-9A-Fa-f]++\.[\w:.]++)\])"
    rb"(?::[0-9]*+)?"
)
"""A host with an optional port (RFC 9110, 7.2): a name, an IPv4 address or a bracketed literal."""

# One space behind the colon and none at the end: so the first one ends the name.
_FIELD_LINE = rb"(?:%b: (?![\t ])[\t -~\x80-\xff]++(?<![\t ])\r\n)" % TOKEN
_REQUEST = re.compile(rb"(%b) (%b) HTTP/1\.1\r\n(%b++)\r\n" % (METHODS, ORIGIN_FORM, _FIELD_LINE))
# Fields that decide where a message ends, or what the connection is used for.
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
    """Hypercorn, for one request: a chunked body, `Expect`, HTTP/1.0."""
    HYPERCORN_WEBSOCKET = auto()
    """Hypercorn, for the rest of the connection."""


class Request(NamedTuple):
    """A well-formed request.

    Attributes:
        method: In upper case.
        target: Path and query as they arrived.
        headers: In order, the names in lower case.
        content_length: Bytes of its body; 0 for a chunked body.
        head_size: Bytes up to the end of its head.
        served_by: Part of the server that serves it.
        http_version: `1.1` or `1.0`.
        closes: Whether the client closes the connection behind it.
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
    """Parse the request at the start of the data; None unless the fast path serves it."""
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
        # A repeated field, or not one of the three below.
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
    """Return whether a field is a valid host; nearly every client sends the same."""
    return HOST.fullmatch(host) is not None


class ResponseHead(NamedTuple):
    """The head of a response.

    Attributes:
        data: Rendered head.
        content_length: Length of the body according to the head, or None for a chunked body.
        closes: Whether the head announces the end of the connection.
    """

    data: bytes
    content_length: int | None
    closes: bool


def render_head(
    method: str, status: int, headers: Iterable[tuple[bytes, bytes]], body_length: int | None
) -> ResponseHead:
    """Render the head of a response.

    Args:
        method: Method of the request.
        status: Status code, 200 or higher.
        headers: Header fields, names in lower case. A missing `content-length` is added.
        body_length: Length of the whole body in bytes, or None if it is not known yet.

    Raises:
        ValueError: A header field is not allowed in a head.
    """
    lines = [b"HTTP/1.1 %d " % status]
    length: int | None = None
    closes = False
    for name, value in headers:
        if name in _SPECIAL_IN_RESPONSE:
            if name == _CHALLENGE:
                # Some agents look for this spelling only.
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
    # Each line has one end, and an empty line ends the head. Counting is faster than a search.
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError("a header field of the response contains a line break")
    return ResponseHead(head, length, closes)


def is_bodiless(method: str, status: int) -> bool:
    """Return whether such a response ends with its head, whatever the head announces."""
    return method == "HEAD" or status in _WITHOUT_BODY


_date = (0, b"")


def _date_line() -> bytes:
    global _date  # noqa: PLW0603 - a cache for one second
    now = int(time.time())
    if now != _date[0]:
        _date = (now, b"date: " + formatdate(now, usegmt=True).encode())
    return _date[1]
