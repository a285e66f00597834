"""Requests that the fast path does not accept, sent to the public socket."""

import json
import socket

import httpx
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
        (GET[:20], 400),
    ],
    ids=["garbage", "no host", "negative length", "large header", "half a header"],
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
        b"GET http://todo/health HTTP/1.1\r\nHost: todo\r\n\r\n",
    ]
    for request in others:
        line, headers, answer = talk(service, request)
        assert (line, answer) == (plain, body), request
        assert headers["content-length"] == str(len(body))


def test_requests_of_every_kind_follow_one_another_on_a_connection(service: Service) -> None:
    chunked = GET.replace(b"GET", b"HEAD") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    last = GET + b"Connection: close\r\n\r\n"
    # The body comes with the end of its head: an answer before its end closes the connection.
    body = b"\n0\r\n\r\n"
    head = chunked.removesuffix(body)
    requests = GET + b"\r\n" + GET.replace(b"GET", b"HEAD") + b"\r\n" + head
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(service.folder / "public.sock"))
        for part in (
            *(bytes([byte]) for byte in requests),
            body,
            *(bytes([byte]) for byte in last),
        ):
            client.sendall(part)
        answers = b"".join(iter(lambda: client.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 \r\n") == 4
    assert answers.count(b'{"status":"ok"}') == 2
    assert answers.endswith(b'{"status":"ok"}')


def test_a_request_that_no_path_has_is_a_problem_on_either_way(service: Service) -> None:
    for rest in (b"\r\n", b"Connection: close\r\n\r\n"):
        line, headers, _ = talk(service, b"GET /nowhere%2F?x=%00 HTTP/1.1\r\nHost: todo\r\n" + rest)
        assert line == b"HTTP/1.1 404 "
        assert headers["content-type"] == "application/problem+json"


def test_requests_before_a_half_close_are_all_answered(service: Service) -> None:
    chunked = GET + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    requests = GET + b"\r\n" + chunked + GET + b"\r\n" + chunked
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(service.folder / "public.sock"))
        client.sendall(requests)
        client.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: client.recv(65536), b""))
    assert answers.count(b'{"status":"ok"}') == 4


@pytest.mark.parametrize("more", [b"", b"\r\n", b"\r\n\r\n", b"nonsense"])
def test_a_last_write_is_answered_as_what_it_did(
    service: Service, owner: httpx.Client, more: bytes
) -> None:
    body = b'{"title": "once"}'
    fields = {
        "Host": "todo",
        "Authorization": owner.headers["authorization"],
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
    head = f"POST /api/v1/tasks HTTP/1.1\r\n{''.join(lines)}\r\n"
    line, headers, answer = talk(service, head.encode() + body + more)
    assert line == b"HTTP/1.1 201 "
    assert headers["connection"] == "close"
    (task,) = owner.get("/api/v1/tasks").json()["items"]
    assert task == json.loads(answer)


def find_readable(client: httpx.Client) -> list[str]:
    """Every address of the API that GET has, with one thing of each kind."""
    task = client.post("/api/v1/tasks", json={"title": "t", "tags": ["x"]}).json()
    list_ = client.post("/api/v1/lists", json={"name": "l"}).json()
    token = client.post("/api/v1/tokens", json={"name": "n", "scopes": ["read"]}).json()
    change = {"op": "create", "task": {"title": "p"}}
    plan = client.post("/api/v1/plans", json={"operations": [change]}).json()
    sent = client.post("/api/v1/assistant", json={"message": "help"}).json()
    ids = {
        "conversation_id": sent["conversation_id"],
        "task_id": task["id"],
        "list_id": list_["id"],
        "token_id": token["id"],
        "plan_id": plan["id"],
        "user_id": task["owner"],
        "tag": "x",
    }
    document = client.get("/openapi.json").json()
    paths = [path for path, operations in document["paths"].items() if "get" in operations]
    return [path.format_map(ids) for path in paths]


def test_head_is_answered_like_get_by_either_reader(owner: httpx.Client) -> None:
    own = {"date", "x-request-id", "ratelimit", "connection"}
    paths = find_readable(owner)
    assert len(paths) > 10
    for path in (path for path in paths if path != "/api/v1/events"):
        for options in ({}, {"Connection": "close"}):
            shown, asked = owner.get(path, headers=options), owner.head(path, headers=options)
            assert asked.status_code == shown.status_code < 300, path
            assert asked.content == b""
            headers = [
                {name: value for name, value in answer.headers.items() if name not in own}
                for answer in (shown, asked)
            ]
            assert headers[0] == headers[1], path
            if tag := shown.headers.get("etag"):
                known = owner.head(path, headers={"If-None-Match": tag, **options})
                assert (known.status_code, known.content) == (304, b"")
                assert known.headers["etag"] == tag


def test_head_of_a_stream_ends(owner: httpx.Client) -> None:
    asked = owner.head("/api/v1/events")
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-type"].startswith("text/event-stream")


def test_head_of_what_get_does_not_have_is_refused(owner: httpx.Client) -> None:
    asked = owner.head("/api/v1/undo")
    assert (asked.status_code, asked.headers["allow"]) == (405, "POST")
    assert owner.put("/api/v1/tasks").headers["allow"] == "GET, HEAD, POST"


def test_an_upload_is_not_asked_for_without_a_token(service: Service, owner: httpx.Client) -> None:
    head = (
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: todo\r\nContent-Length: 14\r\n"
        b"Content-Type: application/json\r\nExpect: 100-continue\r\n"
    )
    assert talk(service, head + b"\r\n")[0] == b"HTTP/1.1 401 "
    token = f"Authorization: {owner.headers['authorization']}\r\n".encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(service.folder / "public.sock"))
        client.sendall(head + token + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b'{"title": "t"}')
        assert client.recv(65536).startswith(b"HTTP/1.1 201 ")
