"""What arrives at the public socket and is no ordinary request."""

import json
import socket

import pytest

from tests.integration.service import Service

GET = b"GET /health HTTP/1.1\r\nHost: todo\r\n"


def talk(service: Service, sent: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Status line, headers and body of the answer, after which the connection closes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(service.folder / "public.sock"))
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    fields = (line.decode().split(": ", 1) for line in lines)
    return status, {name.lower(): value for name, value in fields}, body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (GET + b"Content-Length: -1\r\n\r\n", 400),
        (GET + b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=["garbage", "no host", "negative length", "large header"],
)
def test_what_is_no_request_is_a_problem_with_an_id(
    service: Service, sent: bytes, status: int
) -> None:
    line, headers, body = talk(service, sent)
    problem = json.loads(body)
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == problem["request_id"]
    assert headers["connection"] == "close"
    assert problem["status"] == status
    (logged,) = [e for e in service.events if e.get("request_id") == problem["request_id"]]
    assert (logged["message"], logged["status"]) == ("not a request", status)


def test_a_wish_for_http2_is_ignored(service: Service) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    line, _, body = talk(service, GET + upgrade + b"\r\n")
    assert line == b"HTTP/1.1 200 "
    assert json.loads(body)


def test_the_preface_of_http2_is_no_request(service: Service) -> None:
    line, headers, _ = talk(service, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9)
    assert line.startswith(b"HTTP/1.1 4")
    assert headers["content-type"] == "application/problem+json"


def test_a_client_that_only_listens_any_more_gets_its_answer_and_the_end(service: Service) -> None:
    line, _, body = talk(service, GET + b"\r\n")
    assert line == b"HTTP/1.1 200 "
    assert json.loads(body) == {"status": "ok"}


def test_every_way_to_send_a_request_gets_the_same_answer(service: Service) -> None:
    plain, _, body = talk(service, GET + b"\r\n")
    others = [
        GET + b"Connection: close\r\n\r\n",
        GET + b"X-Odd: \xe9\r\n\r\n",
        GET + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        GET + b"Content-Length: 3\r\n\r\nabc",
        b"GET /health HTTP/1.0\r\n\r\n",
        b"GET /health HTTP/1.1\nHost: todo\n\n",
    ]
    for request in others:
        line, headers, answer = talk(service, request)
        assert (line, answer) == (plain, body), request
        assert headers["content-length"] == str(len(body))


def test_requests_of_every_kind_follow_one_another_on_a_connection(service: Service) -> None:
    chunked = GET.replace(b"GET", b"HEAD") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    last = GET + b"Connection: close\r\n\r\n"
    requests = GET + b"\r\n" + GET.replace(b"GET", b"HEAD") + b"\r\n" + chunked + last
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(service.folder / "public.sock"))
        for byte in requests:
            client.sendall(bytes([byte]))
        answers = b"".join(iter(lambda: client.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 \r\n") == 4
    assert answers.count(b'{"status":"ok"}') == 2
    assert answers.endswith(b'{"status":"ok"}')


def test_a_request_that_no_path_has_is_a_problem_on_either_way(service: Service) -> None:
    for rest in (b"\r\n", b"Connection: close\r\n\r\n"):
        line, headers, _ = talk(service, b"GET /nowhere%2F?x=%00 HTTP/1.1\r\nHost: todo\r\n" + rest)
        assert line == b"HTTP/1.1 404 "
        assert headers["content-type"] == "application/problem+json"
