"""Requests that the fast path does not accept: accepted for a named use, or refused."""

import json
import time

import pytest

from todo.server.http1_parser import MAX_HEAD_BYTES, Request, ServedBy
from todo.server.http1_strict_parser import Refusal, StrictParser, render_refusal

GET = b"GET / HTTP/1.1\r\nHost: todo\r\n"
POST = b"POST / HTTP/1.1\r\nHost: todo\r\n"
SHAKE = (
    b"GET /ws/tasks/x HTTP/1.1\r\nHost: todo\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\n"
)
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
END = b"\r\n"


def accept(data: bytes) -> Request:
    found = StrictParser().feed(data)
    assert isinstance(found, Request), found
    return found


def refuse(data: bytes) -> int:
    found = StrictParser().feed(data)
    assert isinstance(found, Refusal), found
    return found.status


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Connection: keep-alive\r\nConnection: Keep-Alive, TE\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    ],
    ids=["plain", "keep-alive twice", "expects for no body", "h2c", "websocket elsewhere"],
)
def test_what_means_the_same_as_a_common_request_is_on_the_fast_path(fields: bytes) -> None:
    assert accept(GET + fields + END).served_by is ServedBy.FAST_PATH


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (GET + b"Connection: close\r\n", True),
        (GET + b"Connection: x, Close\r\n", True),
        (GET + b"Connection: keep-alive\r\nConnection: close\r\n", True),
        (SHAKE + b"Connection: close\r\n", True),
        (GET + b"Connection: closed\r\n", False),
        (GET + b"Close: close\r\n", False),
    ],
)
def test_a_request_of_the_fast_path_can_end_its_connection(head: bytes, *, closes: bool) -> None:
    found = accept(head + END)
    assert found.served_by is ServedBy.FAST_PATH
    assert found.closes is closes


@pytest.mark.parametrize("blanks", [b"", b" ", b"  ", b"\t", b" \t "])
@pytest.mark.parametrize("value", [b"", b"y", b"y: z", b"y \t z"])
def test_blanks_around_a_value_are_not_part_of_it(value: bytes, blanks: bytes) -> None:
    for field in (b"X:%b%b\r\n" % (blanks, value), b"X:%b%b\r\n" % (value, blanks)):
        found = accept(GET + field + END)
        assert found.headers == [(b"host", b"todo"), (b"x", value)]
        assert found.served_by is ServedBy.FAST_PATH


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Transfer-Encoding: Chunked\r\n" + END,
        POST + b"Content-Length: 1\r\nExpect: 100-Continue\r\n" + END,
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: todo\r\nExpect: what\r\n\r\n",
    ],
)
def test_what_has_a_named_use_goes_to_hypercorn(data: bytes) -> None:
    assert accept(data).served_by is ServedBy.HYPERCORN


def test_a_valid_handshake_becomes_a_websocket() -> None:
    assert accept(SHAKE + KEY + VERSION + END).served_by is ServedBy.HYPERCORN_WEBSOCKET


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (VERSION, 400),
        (KEY, 400),
        (KEY + VERSION + VERSION, 400),
        (KEY + KEY + VERSION, 400),
        (b"Sec-WebSocket-Key: AAAA\r\n" + VERSION, 400),
        (b"Sec-WebSocket-Key: A\xe9AA\r\n" + VERSION, 400),
        (KEY + VERSION + b"Content-Length: 1\r\n", 400),
        (KEY + b"Sec-WebSocket-Version: 8\r\n", 426),
    ],
)
def test_any_other_handshake_is_refused(fields: bytes, status: int) -> None:
    assert refuse(SHAKE + fields + END) == status


@pytest.mark.parametrize(
    ("data", "target", "host"),
    [
        (b"GET http://a:1/x?y HTTP/1.1\r\nX: y\r\nHost: b\r\n\r\n", b"/x?y", b"a:1"),
        (b"GET HTTPS://[::1] HTTP/1.1\r\nHost: b\r\n\r\n", b"/", b"[::1]"),
        (b"GET http://a?y HTTP/1.1\r\nHost: b\r\n\r\n", b"/?y", b"a"),
        (b"OPTIONS http://a HTTP/1.1\r\nHost: b\r\n\r\n", b"*", b"a"),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"*", b"a"),
    ],
)
def test_a_target_in_absolute_form_names_path_and_host(
    data: bytes, target: bytes, host: bytes
) -> None:
    request = accept(data)
    assert request.target == target
    assert [value for name, value in request.headers if name == b"host"] == [host]


@pytest.mark.parametrize(
    "target",
    [b"*", b"todo", b"http://", b"http:///x", b"http://u@a/", b"ftp://a/", b"/#x", b"http://a/#x"],
)
def test_any_other_target_is_refused(target: bytes) -> None:
    assert refuse(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target) == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"Transfer-Encoding: chunked, gzip\r\n", 400),
        (b"Transfer-Encoding: chunked, chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: identity\r\n", 400),
        (b"Transfer-Encoding: chunked,\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: ,\r\n", 400),
        (b"Transfer-Encoding: \x0bchunked\r\n", 400),
        (b"Transfer-Encoding:\r\n", 400),
        (b"Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        (b"Content-Length: 1, 1\r\n", 400),
        (b"Content-Length: +1\r\n", 400),
        (b"Content-Length: 0x1\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Expect: 200-ok\r\n", 417),
        (b"Host: b\r\n", 400),
    ],
)
def test_a_message_whose_end_is_in_doubt_is_refused(fields: bytes, status: int) -> None:
    assert refuse(POST + fields + END) == status


def test_http_1_0_has_no_chunks() -> None:
    assert refuse(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/9.9", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/1.2", 505),
        (b"BREW / HTTP/9.9", 505),
        (b"BREW / HTTP/1.1", 501),
        (b"get / HTTP/1.1", 501),
        (b"CONNECT a:1 HTTP/1.1", 501),
        (b"GET /", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"SSH-2.0-x", 400),
    ],
)
def test_a_request_line_is_judged_before_the_rest_has_come(data: bytes, status: int) -> None:
    assert refuse(data + END) == status
    assert refuse(data + b"\r\nHost: a\r\n\r\n") == status


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b" ", b"\r\n\r\n", b"\n", b"GET / HTTP/1.1\n", GET + b"X: y\n"]
)
def test_what_cannot_become_a_request_is_not_waited_for(data: bytes) -> None:
    assert refuse(data) == 400


@pytest.mark.parametrize("data", [b"G", b"\r", b"\r\n", b"\r\nG", GET, GET[:-1], GET + b"\r"])
def test_a_head_whose_end_is_missing_is_waited_for(data: bytes) -> None:
    assert StrictParser().feed(data) is None


@pytest.mark.parametrize("whole", [True, False])
def test_a_long_head_is_refused_however_it_comes(*, whole: bool) -> None:
    room = MAX_HEAD_BYTES - len(GET + b"X: \r\n\r\n")
    end = b"\r\n\r\n" if whole else b""
    assert accept(GET + b"X: " + b"x" * room + b"\r\n\r\n")
    assert accept(b"\r\n" + GET + b"X: " + b"x" * room + b"\r\n\r\n")
    assert refuse(GET + b"X: " + b"x" * (room + 1 + 2 * (not whole)) + b"\r\n" + end) == 431
    assert refuse(b"GET /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1" + end) == 414


@pytest.mark.parametrize(
    "field", [b"X : y", b"X: a\r\n b", b"X: \0", b"X: a\rb", b": y", b"X", b"X: \x7f"]
)
def test_an_invalid_field_is_refused(field: bytes) -> None:
    assert refuse(GET + field + b"\r\n\r\n") == 400


def test_a_head_may_come_byte_by_byte_at_a_cost_that_grows_with_its_length() -> None:
    data = GET + b"".join(b"X-%d: y\r\n" % number for number in range(1400))
    assert MAX_HEAD_BYTES > len(data) > 14_000
    gate = StrictParser()
    began = time.process_time()
    for byte in data:
        assert gate.feed(bytes([byte])) is None
    assert isinstance(gate.feed(b"\r\n"), Request)
    # Quadratic, it took 2.5 s.
    assert time.process_time() - began < 1


def test_a_refusal_is_a_problem_that_ends_the_connection() -> None:
    response = render_refusal(Refusal(501, "The method is not implemented."), "id")
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 501 "
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    assert b"x-content-type-options: nosniff" in lines
    assert json.loads(body)["code"] == "not-implemented"
    assert json.loads(body)["request_id"] == "id"


def test_a_refused_head_request_gets_no_content() -> None:
    found = StrictParser().feed(b"HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n")
    assert isinstance(found, Refusal)
    assert render_refusal(found, "id").endswith(b"\r\n\r\n")


def test_a_client_with_another_websocket_version_learns_the_right_one() -> None:
    found = StrictParser().feed(SHAKE + KEY + b"Sec-WebSocket-Version: 8\r\n\r\n")
    assert isinstance(found, Refusal)
    response = render_refusal(found, "id")
    assert b"\r\nsec-websocket-version: 13\r\n" in response
    assert b"\r\nconnection: close, upgrade\r\n" in response


@pytest.mark.parametrize("parts", [(b"\r\n",), (b"\r", b"\n"), (b"\r",)])
def test_what_cannot_be_a_request_is_refused_at_once_behind_an_empty_line(
    parts: tuple[bytes, ...],
) -> None:
    gate = StrictParser()
    for part in parts:
        assert gate.feed(part) is None
    assert isinstance(gate.feed(b"\x16\x03"), Refusal)
