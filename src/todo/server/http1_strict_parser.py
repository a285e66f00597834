"""Strict HTTP/1.1 parser for requests that the fast path does not accept.

Only well-formed requests with a known use reach the application (ADR 49). All others are refused
here, and their connection is closed.
"""

import base64
import binascii
import re
from typing import NamedTuple

from todo.api.security_headers import add_security
from todo.core.errors import HttpError
from todo.core.problem_document import render_problem
from todo.server.http1_parser import (
    HOST,
    LENGTH,
    MAX_HEAD_BYTES,
    METHODS,
    ORIGIN_FORM,
    TOKEN,
    Headers,
    Request,
    ServedBy,
    render_head,
)

_WEBSOCKETS = b"/ws/"
_KEY_BYTES = 16
_MAX_VERSION_DIGIT = b"1"

_LINE = re.compile(rb"(%b) ([!-~]++) HTTP/([0-9])\.([0-9])" % TOKEN)
_KNOWN_METHOD = re.compile(METHODS)
_ORIGIN = re.compile(ORIGIN_FORM)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?@]++)([/?][!\"$-~]*+)?")
_FIELD_LINES = rb"(?:%b:[\t -~\x80-\xff]*+\r\n)" % TOKEN
FIELD_LINE = re.compile(_FIELD_LINES)
_FIELDS = re.compile(rb"%b*+" % _FIELD_LINES)
_FIELD = re.compile(rb"([^:\r]++):([^\r]*+)\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_TOKEN = re.compile(TOKEN)


class Refusal(NamedTuple):
    """Response to a request that does not reach the application; without a body for HEAD."""

    status: int
    detail: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()


class StrictParser:
    """Incremental parser of one request head, which examines each byte only once."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        self._searched = 0
        self._has_line = False

    @property
    def is_empty(self) -> bool:
        """Whether no byte of a request has arrived."""
        return len(self._buffer) == self._start

    def feed(self, data: bytes) -> "Request | Refusal | None":
        """Add bytes; return the request or its refusal, or None while the head is incomplete."""
        buffer = self._buffer
        buffer += data
        if not self._start and buffer.startswith(b"\r\n"):
            # RFC 9112, 2.2: an empty line before a request is ignored.
            self._start = 2
        if refusal := self._refuse_start():
            return refusal
        end = buffer.find(b"\r\n\r\n", max(self._start, self._searched - 3))
        limit = self._start + MAX_HEAD_BYTES
        if 0 <= end <= limit - 4:
            return parse_head(bytes(buffer[self._start : end + 4]), skipped=self._start)
        if end >= 0 or len(buffer) >= limit:
            if buffer.find(b"\r\n", self._start, limit) < 0:
                return Refusal(414, f"The request line exceeds {MAX_HEAD_BYTES} bytes.")
            return Refusal(431, f"The header of the request exceeds {MAX_HEAD_BYTES} bytes.")
        if _BARE_LF.search(buffer, self._searched):
            return Refusal(400, "A line of the request's header does not end with CR LF.")
        self._searched = len(buffer)
        return None

    def received(self) -> bytes:
        """Return all bytes fed so far."""
        return bytes(self._buffer)

    def _refuse_start(self) -> "Refusal | None":
        """Refuse data that cannot become a request, such as a TLS handshake, without waiting."""
        buffer, start = self._buffer, self._start
        if self._searched <= start + 1 and len(buffer) > start and not _TOKEN.match(buffer, start):
            return None if buffer == b"\r" else _INVALID_LINE
        if self._has_line:
            return None
        line_end = buffer.find(b"\r\n", max(start, self._searched - 1))
        if line_end >= 0:
            self._has_line = True
            line = _parse_line(bytes(buffer[start:line_end]))
            return line if isinstance(line, Refusal) else None
        return None


_INVALID_LINE = Refusal(400, "The request line is not valid HTTP.")


class _Line(NamedTuple):
    method: str
    target: bytes
    version: bytes


def _parse_line(line: bytes) -> "_Line | Refusal":
    found = _LINE.fullmatch(line)
    if found is None:
        return _INVALID_LINE
    name, target, major, minor = found.groups()
    if major != b"1" or minor > _MAX_VERSION_DIGIT:
        return Refusal(505, "The version is not supported: use HTTP/1.1.")
    if not _KNOWN_METHOD.fullmatch(name):
        return Refusal(501, "The method is not implemented.")
    return _Line(name.decode(), target, b"1." + minor)


def parse_head(head: bytes, *, skipped: int = 0) -> Request | Refusal:
    """Parse a complete head; `skipped` is the number of bytes received before it."""
    text, _, fields = head[:-2].partition(b"\r\n")
    line = _parse_line(text)
    if isinstance(line, Refusal):
        return line
    refusal: Refusal | None = None
    if _FIELDS.fullmatch(fields):
        headers = [(name.lower(), value.strip(b" \t")) for name, value in _FIELD.findall(fields)]
        try:
            return _build_request(line, headers, skipped + len(head))
        except _RefusedError as error:
            refusal = error.refusal
    refusal = refusal or Refusal(400, "A header field of the request is not valid.")
    return refusal._replace(method=line.method)


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str, *headers: tuple[str, str]) -> None:
        self.refusal = Refusal(status, detail, headers=headers)
        super().__init__(detail)


def _build_request(line: _Line, headers: Headers, head_size: int) -> Request:
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    _check_host(line, values)
    target, headers = _normalize_target(line, headers)
    options = _parse_list(values.get(b"connection", []))
    is_chunked = _check_transfer_encoding(line, values)
    length = _parse_content_length(values)
    expects = _check_expect(line, values) and (is_chunked or length > 0)
    closes = b"close" in options
    served_by = ServedBy.FAST_PATH
    if is_chunked or expects or line.version == b"1.0":
        served_by = ServedBy.HYPERCORN
    elif not closes and _is_websocket(line, target, options, values):
        _check_handshake(values, has_body=length > 0)
        served_by = ServedBy.HYPERCORN_WEBSOCKET
    return Request(line.method, target, headers, length, head_size, served_by, line.version, closes)


def _check_host(line: _Line, values: dict[bytes, list[bytes]]) -> None:
    hosts = values.get(b"host", [])
    if len(hosts) > 1 or (not hosts and line.version != b"1.0"):
        raise _RefusedError(400, "The request must have one Host.")
    if hosts and not HOST.fullmatch(hosts[0]):
        raise _RefusedError(400, "The Host is not valid.")


def _normalize_target(line: _Line, headers: Headers) -> tuple[bytes, Headers]:
    """Return the target in origin form, and the headers with the host of an absolute target."""
    if _ORIGIN.fullmatch(line.target) or (line.target == b"*" and line.method == "OPTIONS"):
        return line.target, headers
    absolute = _ABSOLUTE.fullmatch(line.target)
    # RFC 9110, 4.2.1: the host of an http URI is never empty.
    if absolute is None or absolute[1].startswith(b":") or not HOST.fullmatch(absolute[1]):
        raise _RefusedError(400, "The target of the request is not valid.")
    path = absolute[2] or (b"*" if line.method == "OPTIONS" else b"/")
    if path.startswith(b"?"):
        path = b"/" + path
    # RFC 9112, 3.2.2: the host of the target replaces that of the field.
    others = [field for field in headers if field[0] != b"host"]
    return path, [(b"host", absolute[1]), *others]


def _parse_list(lines: list[bytes]) -> list[bytes]:
    parts = (part.strip(b" \t").lower() for line in lines for part in line.split(b","))
    return [part for part in parts if part]


def _check_transfer_encoding(line: _Line, values: dict[bytes, list[bytes]]) -> bool:
    """Return whether the body is chunked."""
    lines = values.get(b"transfer-encoding")
    if lines is None:
        return False
    if b"content-length" in values:
        raise _RefusedError(400, "A request has Content-Length or Transfer-Encoding, not both.")
    if line.version == b"1.0":
        raise _RefusedError(400, "HTTP/1.0 has no Transfer-Encoding.")
    if [value.lower() for value in lines] == [b"chunked"]:
        return True
    codings = _parse_list(lines)
    if codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1 or len(codings) == 1:
        raise _RefusedError(400, "The Transfer-Encoding must end with chunked, once.")
    raise _RefusedError(501, "The Transfer-Encoding is not implemented: use chunked.")


def _parse_content_length(values: dict[bytes, list[bytes]]) -> int:
    lines = values.get(b"content-length", [b"0"])
    if len(lines) != 1 or not LENGTH.fullmatch(lines[0]):
        raise _RefusedError(400, "The Content-Length is not one number.")
    return int(lines[0])


def _check_expect(line: _Line, values: dict[bytes, list[bytes]]) -> bool:
    """Return whether the client waits for 100 (Continue) before it sends the body."""
    expectations = _parse_list(values.get(b"expect", []))
    if not expectations or line.version == b"1.0":
        # RFC 9110, 10.1.1: ignored in HTTP/1.0.
        return False
    if expectations != [b"100-continue"]:
        raise _RefusedError(417, "The expectation is not known: only 100-continue is.")
    return True


def _is_websocket(
    line: _Line, target: bytes, options: list[bytes], values: dict[bytes, list[bytes]]
) -> bool:
    """Return whether the client requests a WebSocket; other upgrades are ignored."""
    return (
        line.method == "GET"
        and target.startswith(_WEBSOCKETS)
        and b"upgrade" in options
        and b"websocket" in _parse_list(values.get(b"upgrade", []))
    )


def _check_handshake(values: dict[bytes, list[bytes]], *, has_body: bool) -> None:
    versions = values.get(b"sec-websocket-version", [])
    if len(versions) == 1 and versions != [b"13"]:
        raise _RefusedError(
            426,
            "The version of the WebSocket protocol is not supported: use 13.",
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
        )
    keys = values.get(b"sec-websocket-key", [])
    if len(versions) != 1 or len(keys) != 1 or has_body or not _is_key(keys[0]):
        raise _RefusedError(400, "The WebSocket handshake is not valid.")


def _is_key(text: bytes) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def render_refusal(refusal: Refusal, request_id: str) -> bytes:
    """Render the response to a refused request, after which the connection closes."""
    error = HttpError(refusal.status, refusal.detail, dict(refusal.headers))
    status, headers, body = render_problem(error, instance="", request_id=request_id)
    # RFC 9110, 7.8: Connection must name Upgrade.
    connection = b"close, upgrade" if b"upgrade" in dict(headers) else b"close"
    headers = [
        *add_security(headers, secure=False),
        (b"x-request-id", request_id.encode()),
        (b"connection", connection),
    ]
    head = render_head(refusal.method, status, headers, len(body)).data
    return head if refusal.method == "HEAD" else head + body
