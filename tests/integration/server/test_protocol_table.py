"""Malformed and rare requests: the response, and whether the connection stays open.

Each is sent as the first request of a connection, behind one of the fast path, and behind one that
Hypercorn served: the response must be the same (docs/http.md).
"""

import contextlib
import socket
from typing import NamedTuple

import pytest

from tests.integration.service import Service

GET = b"GET /health HTTP/1.1\r\nHost: todo\r\n"
POST = b"POST /api/v1/tasks HTTP/1.1\r\nHost: todo\r\n"
CHUNKED = GET + b"Transfer-Encoding: chunked\r\n\r\n"
SHAKE = b"GET /ws/tasks/x HTTP/1.1\r\nHost: todo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
END = b"\r\n"
LONG = b"x" * 17 * 1024
BEFORE = {
    "first": b"",
    "behind a request of the fast path": GET + END,
    "behind a chunked request": CHUNKED + b"1\r\na\r\n0\r\n\r\n",
}


class Case(NamedTuple):
    sent: bytes
    status: int
    stays: bool = False


CASES = {
    "plain": Case(GET + END, 200, stays=True),
    "HEAD": Case(GET.replace(b"GET", b"HEAD") + END, 200, stays=True),
    "a body of known length": Case(GET + b"Content-Length: 3\r\n\r\nabc", 200, stays=True),
    "chunks": Case(CHUNKED + b"3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n", 200, stays=True),
    "a quoted chunk extension": Case(
        CHUNKED + b'3;x="y;\\""\r\nabc\r\n0;z\r\n\r\n', 200, stays=True
    ),
    "no chunk": Case(CHUNKED + b"0\r\n\r\n", 200, stays=True),
    "keep-alive twice": Case(GET + b"Connection: keep-alive\r\n" * 2 + END, 200, stays=True),
    "empty Host": Case(b"GET /health HTTP/1.1\r\nHost:\r\n\r\n", 200, stays=True),
    "Latin-1 in a field": Case(GET + b"X: \xe9\r\n\r\n", 200, stays=True),
    "an empty line before": Case(END + GET + END, 200, stays=True),
    "absolute form": Case(b"GET http://todo:1/health HTTP/1.1\r\nHost: a\r\n\r\n", 200, stays=True),
    "OPTIONS *": Case(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, stays=True),
    "TRACE": Case(GET.replace(b"GET", b"TRACE") + END, 405, stays=True),
    "QUERY": Case(GET.replace(b"GET", b"QUERY") + END, 405, stays=True),
    "HTTP/2 wanted": Case(
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
        200,
        stays=True,
    ),
    "a WebSocket elsewhere": Case(
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + KEY + END, 200, stays=True
    ),
    "no token for a body that comes": Case(POST + b"Content-Length: 2\r\n\r\n{}", 401, stays=True),
    "no token for a body to come": Case(POST + b"Content-Length: 9\r\n\r\n{", 401),
    "no token for chunks to come": Case(POST + b"Transfer-Encoding: chunked\r\n\r\n", 401),
    "no token, and 100 expected": Case(
        POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", 401
    ),
    "close": Case(GET + b"Connection: close\r\n\r\n", 200),
    "close and one CRLF more": Case(GET + b"Connection: close\r\n\r\n\r\n", 200),
    "close and a request more": Case(GET + b"Connection: close\r\n\r\n" + GET + END, 200),
    "close among other options": Case(GET + b"Connection: x, Close\r\n\r\n", 200),
    "HTTP/1.0": Case(b"GET /health HTTP/1.0\r\n\r\n", 200),
    "HTTP/1.0 and keep-alive": Case(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
    "garbage": Case(b"nonsense\r\n\r\n", 400),
    "TLS": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/0.9": Case(b"GET /health\r\n", 400),
    "two empty lines before": Case(END + END + GET + END, 400),
    "two blanks": Case(b"GET  /health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no Host": Case(b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two Hosts": Case(GET + b"Host: todo\r\n\r\n", 400),
    "a blank in Host": Case(b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a user in Host": Case(b"GET /health HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    "a fragment": Case(b"GET /health#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a relative target": Case(b"GET health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no host in the target": Case(b"GET http://:80/health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a user in the target": Case(b"GET http://u@a/health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare LF": Case(b"GET /health HTTP/1.1\nHost: a\n\n", 400),
    "bare LF in the header": Case(GET + b"X: y\nZ: z\r\n\r\n", 400),
    "bare CR": Case(GET + b"X: y\rz\r\n\r\n", 400),
    "NUL": Case(GET + b"X: \0\r\n\r\n", 400),
    "a folded line": Case(GET + b"X: y\r\n z\r\n\r\n", 400),
    "a blank before the colon": Case(GET + b"X : y\r\n\r\n", 400),
    "a field without a name": Case(GET + b": y\r\n\r\n", 400),
    "a negative length": Case(GET + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": Case(GET + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    "a list of lengths": Case(GET + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "length and chunks": Case(
        GET + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET + END, 400
    ),
    "chunks in HTTP/1.0": Case(
        b"GET /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
    ),
    "chunks not at the end": Case(GET + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "chunks twice": Case(GET + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    "identity": Case(GET + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "a handshake without a key": Case(SHAKE + b"Sec-WebSocket-Version: 13\r\n\r\n", 400),
    "a handshake with a short key": Case(
        SHAKE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n", 400
    ),
    "a handshake with a body": Case(
        SHAKE + KEY + b"Sec-WebSocket-Version: 13\r\nContent-Length: 1\r\n\r\nx", 400
    ),
    "a long request line": Case(b"GET /" + LONG + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "another expectation": Case(GET + b"Expect: 200-ok\r\n\r\n", 417),
    "another WebSocket": Case(SHAKE + KEY + b"Sec-WebSocket-Version: 8\r\n\r\n", 426),
    "17 KiB of header": Case(GET + b"X: " + LONG + b"\r\n\r\n", 431),
    "65 KiB of header": Case(GET + b"X: " + LONG * 4 + b"\r\n\r\n", 431),
    "4,000 fields": Case(GET + b"a:b\r\n" * 4000 + END, 431),
    "LF at the end of the chunks": Case(CHUNKED + b"0\r\n\n", 200),
    "LF in a trailer": Case(CHUNKED + b"0\r\nX: y\n\r\n", 200),
    "LF at the end of the trailers": Case(CHUNKED + b"0\r\nX: y\r\n\n", 200),
    "a folded trailer": Case(CHUNKED + b"0\r\nX: y\r\n z\r\n\r\n", 200),
    "a bare CR in a chunk extension": Case(CHUNKED + b"0;a\rb\r\n\r\n", 200),
    "an empty chunk extension": Case(CHUNKED + b"0;\r\n\r\n", 200),
    "a tab behind the size of a chunk": Case(CHUNKED + b"0\t\r\n\r\n", 200),
    "a blank behind the size of a chunk": Case(CHUNKED + b"2 \r\nab\r\n0\r\n\r\n", 200),
    "LF behind the size of a chunk": Case(CHUNKED + b"2\nab\r\n0\r\n\r\n", 200),
    "compressed chunks": Case(GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "an unknown method": Case(GET.replace(b"GET", b"BREW") + END, 501),
    "a method in lower case": Case(GET.replace(b"GET", b"get") + END, 501),
    "CONNECT": Case(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
    "HTTP/1.2": Case(GET.replace(b"1.1", b"1.2") + END, 505),
    "HTTP/9.9": Case(GET.replace(b"1.1", b"9.9") + END, 505),
    "the preface of HTTP/2": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, 505),
}


class Client:
    """A connection that reads one response after the other."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._data = b""

    def send(self, data: bytes) -> None:
        self._peer.sendall(data)

    def read(self, *, has_content: bool = True) -> tuple[int, bytes]:
        """Return status and content of the next response; 0 at the end of the connection."""
        while b"\r\n\r\n" not in self._data:
            if not self._receive():
                return 0, self._data
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        lengths = [line for line in lines if line.startswith(b"content-length:")]
        length = int(lengths[0].partition(b":")[2]) if lengths and has_content else 0
        while len(self._data) < length:
            assert self._receive(), "the connection ended inside a response"
        content, self._data = self._data[:length], self._data[length:]
        return int(lines[0].split()[1]), content

    def _receive(self) -> bytes:
        data = self._peer.recv(65536)
        self._data += data
        return data


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_request_has_one_answer_wherever_it_comes(
    sqlite_service: Service, case: Case, before: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(120)
        peer.connect(str(sqlite_service.folder / "public.sock"))
        client = Client(peer)
        if before:
            client.send(before)
            assert client.read()[0] == 200
        client.send(case.sent)
        assert client.read(has_content=b"HEAD " not in case.sent)[0] == case.status
        with contextlib.suppress(BrokenPipeError):
            client.send(GET + END)
        assert client.read()[0] == (200 if case.stays else 0)
