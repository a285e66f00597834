"""docs/http.md says what serves which request; here the service proves it, row by row.

Hypercorn's classes are imported for the first request that needs them. So a request was served by
Hypercorn if, and only if, a fresh process has imported them afterwards.
"""

import re
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from deploy.paths import REPO
from tests.integration.service import Service, open_service
from todo.server.http1_parser import ServedBy

PAGE = (REPO / "docs/http.md").read_text()
SECTION = PAGE.split("## What serves which request\n")[1].split("\n## ")[0]
ROWS = dict(re.findall(r"^\| (?!request |---)(.+?) \| (.+?) \|$", SECTION, re.MULTILINE))
LABELS = {
    "fast path": ServedBy.FAST_PATH,
    "Hypercorn": ServedBy.HYPERCORN,
    "Hypercorn, until the connection ends": ServedBy.HYPERCORN_WEBSOCKET,
}
REFUSED = re.compile(r"refused with (\d{3})")
# A line that the interpreter writes to standard error with PYTHONVERBOSE.
IMPORTED = "import 'todo.server.hypercorn' "

GET = b"GET /health HTTP/1.1\r\nHost: todo\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
EXPECT = b"Expect: 100-continue\r\n"
END = b"\r\n"
SHAKE = (
    b"GET /ws/tasks/x HTTP/1.1\r\nHost: todo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: %d\r\n\r\n"
)
LONG = b"x" * 17 * 1024


class Sent(NamedTuple):
    """Parts that a client sends, and the status that it gets if they are accepted."""

    parts: tuple[bytes, ...]
    status: int = 200


def send(*parts: bytes, status: int = 200) -> Sent:
    return Sent(parts, status)


REQUESTS = {
    "HTTP/1.1 without a body": send(GET + END),
    "HTTP/1.1 with `Content-Length`": send(GET + b"Content-Length: 3\r\n\r\nabc"),
    "several pipelined requests": send((GET + END) * 3),
    "a head or a body that arrives in parts": send(
        GET[:9], GET[9:] + b"Content-Length: 3\r\n\r\na", b"bc"
    ),
    "`HEAD`": send(GET.replace(b"GET", b"HEAD") + END),
    "an event stream (`GET /api/v1/events`)": send(
        b"GET /api/v1/events HTTP/1.1\r\nHost: todo\r\nAuthorization: Bearer TOKEN\r\n\r\n"
    ),
    "`Connection: close`": send(GET + b"Connection: close\r\n\r\n"),
    "a target in absolute form": send(b"GET http://todo/health HTTP/1.1\r\nHost: todo\r\n\r\n"),
    "`Expect: 100-continue` without a body": send(GET + EXPECT + END),
    "an upgrade to HTTP/2 (`Upgrade: h2c`), which is ignored": send(
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
    ),
    "an upgrade to a WebSocket outside `/ws/`, which is ignored": send(
        SHAKE.replace(b"/ws/tasks/x", b"/health") % 13
    ),
    "HTTP/1.1 with `Transfer-Encoding: chunked`": send(GET + CHUNKED + b"\r\n1\r\na\r\n0\r\n\r\n"),
    "`Expect: 100-continue` with a body": send(GET + EXPECT + b"Content-Length: 3\r\n\r\n"),
    "HTTP/1.0": send(b"GET /health HTTP/1.0\r\n\r\n"),
    "a WebSocket handshake below `/ws/`": send(SHAKE % 13, status=101),
    "HTTP/2 with prior knowledge": send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9),
    "a TLS handshake": send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "invalid syntax, such as a line that ends with a bare LF": send(GET + b"X: y\nZ: z\r\n\r\n"),
    "no `Host`, or more than one": send(GET + b"Host: todo\r\n\r\n"),
    "`Content-Length` together with `Transfer-Encoding`": send(
        GET + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n"
    ),
    "a request line of more than 16 KiB": send(b"GET /" + LONG + b" HTTP/1.1\r\n"),
    "a header of more than 16 KiB": send(GET + b"X: " + LONG + END + END),
    "an expectation other than `100-continue`": send(GET + b"Expect: 200-ok\r\n\r\n"),
    "a WebSocket handshake of another version than 13": send(SHAKE % 8),
    "an unknown method": send(b"BREW /health HTTP/1.1\r\nHost: todo\r\n\r\n"),
    "a transfer coding other than `chunked`": send(
        GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    ),
}


@pytest.fixture(scope="module")
def without_hypercorn() -> Iterator[Service]:
    """A service that is sent only what Hypercorn must not see."""
    with open_service({"PYTHONVERBOSE": "1"}) as service:
        service.wait_ready()
        yield service


def read_status(service: Service, sent: Sent) -> int:
    """Send a request; return the status of the first response."""
    token = service.token().encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(service.folder / "public.sock"))
        for part in sent.parts:
            client.sendall(part.replace(b"TOKEN", token))
            time.sleep(0.02)
        answer = b""
        while b"\r\n" not in answer:
            data = client.recv(65536)
            assert data, "the connection ended without a response"
            answer += data
    return int(answer.split()[1])


def has_imported_hypercorn(service: Service) -> bool:
    return IMPORTED in service.errors


def test_the_page_names_every_kind_of_request_and_every_server() -> None:
    assert ROWS.keys() == REQUESTS.keys()
    named = {LABELS.get(label) for label in ROWS.values() if not REFUSED.fullmatch(label)}
    assert named == set(ServedBy)


@pytest.mark.parametrize("row", [row for row in REQUESTS if "Hypercorn" not in ROWS.get(row, "")])
def test_hypercorn_does_not_see(row: str, without_hypercorn: Service) -> None:
    sent = REQUESTS[row]
    refused = REFUSED.fullmatch(ROWS[row])
    assert refused or LABELS[ROWS[row]] is ServedBy.FAST_PATH
    expected = int(refused[1]) if refused else sent.status
    assert read_status(without_hypercorn, sent) == expected
    assert not has_imported_hypercorn(without_hypercorn)


@pytest.mark.parametrize("row", [row for row in REQUESTS if "Hypercorn" in ROWS.get(row, "")])
def test_hypercorn_serves(row: str) -> None:
    with open_service({"PYTHONVERBOSE": "1"}) as service:
        service.wait_ready()
        assert not has_imported_hypercorn(service)
        assert read_status(service, REQUESTS[row]) == REQUESTS[row].status
        assert has_imported_hypercorn(service)
