"""The head of an ordinary HTTP/1.1 request, and of its response: text in, values out.

Ordinary is what nearly every client sends, and what can be read in one way only. Everything else
(another version, an upgrade, a chunked body, an odd or doubled field, whatever is no HTTP) is left
to a parser that knows all of it.
"""

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import NamedTuple

MAX_HEAD_BYTES = 16 * 1024
"""As Hypercorn has it."""

Headers = list[tuple[bytes, bytes]]

_REQUEST = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!-~]*+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)++)\r\n"
)
_FIELD = re.compile(rb"([^:\r]++):([^\r]*+)\r\n")
_UNFINISHED = re.compile(rb"[A-Z](?!.*\n\r?\n)", re.DOTALL)
_LENGTH = re.compile(rb"[0-9]{1,15}")
# Fields by which a message's end, or what the connection is, may be told otherwise.
_TELLING = {
    b"host",
    b"connection",
    b"content-length",
    b"expect",
    b"transfer-encoding",
    b"upgrade",
}
_UNSAFE = re.compile(rb"[\0\r\n]")
_WITHOUT_BODY = {204, 304}


class Request(NamedTuple):
    """An ordinary request.

    Attributes:
        method: In upper case.
        target: Path and query as they came.
        headers: In order, the names in lower case.
        length: Bytes of its body.
        size: Bytes of its head.
    """

    method: str
    target: bytes
    headers: Headers
    length: int
    size: int


def find_request(data: bytes) -> Request | None:
    """Read the ordinary request that the data begin with; None where they do not."""
    found = _REQUEST.match(data, 0, MAX_HEAD_BYTES)
    if found is None:
        return None
    method, target, fields = found.groups()
    headers = [(name.lower(), value.strip(b" \t")) for name, value in _FIELD.findall(fields)]
    telling = [field for field in headers if field[0] in _TELLING]
    length = 0
    if len(telling) != 1 or telling[0][0] != b"host":
        values = dict(telling)
        # A name that is there twice, or one that is none of these three.
        if len(values) != len(telling) or b"host" not in values:
            return None
        if not values.keys() <= {b"host", b"connection", b"content-length"}:
            return None
        if values.get(b"connection", b"keep-alive").lower() != b"keep-alive":
            return None
        told = values.get(b"content-length", b"0")
        if not _LENGTH.fullmatch(told):
            return None
        length = int(told)
    return Request(method.decode(), target, headers, length, found.end())


def is_unfinished(data: bytes) -> bool:
    """Whether these may be the first bytes of a head whose end has not come yet."""
    return len(data) < MAX_HEAD_BYTES and _UNFINISHED.match(data) is not None


class Response(NamedTuple):
    """The head of a response.

    Attributes:
        head: Its bytes.
        length: Bytes of the body that it announces, or None for a body in chunks.
        closes: Whether it says that the connection ends with it.
    """

    head: bytes
    length: int | None
    closes: bool


def render_response(
    method: str, status: int, headers: Iterable[tuple[bytes, bytes]], body_length: int | None
) -> Response:
    """Render the head of a response.

    Args:
        method: The request's.
        status: The response's, from 200 up.
        headers: Its fields, names in lower case. `content-length`, where it is missing, is added.
        body_length: Bytes of the whole body, or None when it is not known yet.

    Raises:
        ValueError: A field is not what may stand in a head.
    """
    lines = [b"HTTP/1.1 %d " % status]
    length: int | None = None
    closes = False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"connection":
            closes = value.lower() == b"close"
        elif name == b"transfer-encoding":
            raise ValueError("how a body is sent is not the application's to say")
        lines.append(name + b": " + value)
    if _UNSAFE.search(b"".join(lines)):
        raise ValueError("a field of a response with a line's end in it")
    if is_bodiless(method, status):
        length = 0
    elif length is None and body_length is not None:
        length = body_length
        lines.append(b"content-length: %d" % length)
    elif length is None:
        lines.append(b"transfer-encoding: chunked")
    lines.append(_date_line())
    lines.append(b"\r\n")
    return Response(b"\r\n".join(lines), length, closes)


def is_bodiless(method: str, status: int) -> bool:
    """Whether such a response ends with its head, whatever that announces."""
    return method == "HEAD" or status in _WITHOUT_BODY


_date = (0, b"")


def _date_line() -> bytes:
    global _date  # noqa: PLW0603 - the text of this second, for every response in it
    now = int(time.time())
    if now != _date[0]:
        _date = (now, b"date: " + formatdate(now, usegmt=True).encode())
    return _date[1]
