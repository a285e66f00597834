import pytest

from todo.server.http1_parser import MAX_HEAD_BYTES, find_request, render_head

GET = b"GET /tasks?limit=2 HTTP/1.1\r\nHost: todo\r\n"
END = b"\r\n"


def test_a_common_request_is_parsed() -> None:
    fields = b"Accept: */*, a/b \t ;q=0: 1\r\nX-Short: -\r\n"
    request = find_request(GET + fields + END + b"next: 1\r\n")

    assert request is not None
    assert (request.method, request.target, request.content_length) == ("GET", b"/tasks?limit=2", 0)
    accept = (b"accept", b"*/*, a/b \t ;q=0: 1")
    assert request.headers == [(b"host", b"todo"), accept, (b"x-short", b"-")]
    assert request.head_size == len(GET + fields + END)


def test_a_body_has_its_announced_length() -> None:
    head = b"POST /tasks HTTP/1.1\r\nContent-Length: 12\r\nHost: todo\r\nConnection: Keep-Alive\r\n"
    request = find_request(head + END)

    assert request is not None
    assert request.content_length == 12


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"Host: other\r\n" + END,
        GET + b"X : y\r\n" + END,
        GET + b"X:y\r\n" + END,
        GET + b"X:\r\n" + END,
        GET + b"X: \r\n" + END,
        GET + b"X:  y\r\n" + END,
        GET + b"X: \ty\r\n" + END,
        GET + b"X: y \r\n" + END,
        GET + b"X: y\t\r\n" + END,
        GET + b"X:y: z\r\n" + END,
        GET + b"X: y\r\n folded\r\n" + END,
        GET + b"X: \0\r\n" + END,
        GET + b"X: a\rb\r\n" + END,
        GET + b"Transfer-Encoding: chunked\r\n" + END,
        GET + b"Content-Length: 1\r\nContent-Length: 1\r\n" + END,
        GET + b"Content-Length: +1\r\n" + END,
        GET + b"Content-Length: 1, 1\r\n" + END,
        GET + b"Content-Length:\r\n" + END,
        GET + b"Expect: 100-continue\r\n" + END,
        GET + b"Upgrade: websocket\r\n" + END,
        GET + b"Connection: close\r\n" + END,
        GET + b"Connection: keep-alive, upgrade\r\n" + END,
        GET + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n" + END,
        b"GET /#part HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n",
        b"G",
        GET,
    ],
)
def test_what_is_rare_or_ambiguous_is_left_to_the_strict_parser(data: bytes) -> None:
    assert find_request(data) is None


@pytest.mark.parametrize(
    "host",
    [b"todo", b"todo:", b"a.b-c_d:8000", b"127.0.0.1:1", b"[::1]:80", b"a%20b", b"[v1.a:b]"],
)
def test_a_host_is_a_name_or_an_address_with_a_port(host: bytes) -> None:
    assert find_request(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host) is not None


@pytest.mark.parametrize(
    "host", [b"a b", b"a@b", b"a/b", b"a:b", b"a:1:2", b"[::1", b"::1", b"a%2", b"\xe9", b"[a/b]"]
)
def test_anything_else_is_not_a_host(host: bytes) -> None:
    assert find_request(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host) is None


def test_reading_a_hostile_head_takes_a_time_that_grows_with_its_length_alone() -> None:
    # Quadratic, this would take minutes.
    for filler in (b" ", b"\t ", b"a", b"a:", b"a:\r\n"):
        head = GET + b"X:" + (filler * MAX_HEAD_BYTES)[: MAX_HEAD_BYTES - 100] + b"\0\r\n\r\n"
        for _ in range(100):
            assert find_request(head) is None


def test_a_response_of_known_length_announces_it() -> None:
    response = render_head("GET", 200, [(b"content-type", b"text/plain")], 5)

    head, _, rest = response.data.partition(b"date: ")
    assert head == b"HTTP/1.1 200 \r\ncontent-type: text/plain\r\ncontent-length: 5\r\n"
    assert rest.endswith(b" GMT\r\n\r\n")
    assert (response.content_length, response.closes) == (5, False)


def test_a_response_of_unknown_length_comes_in_chunks() -> None:
    response = render_head("GET", 200, [], None)

    assert b"\r\ntransfer-encoding: chunked\r\n" in response.data
    assert response.content_length is None


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_response_without_body_announces_none_of_its_own(method: str, status: int) -> None:
    response = render_head(method, status, [], None)

    assert b"transfer-encoding" not in response.data
    assert b"content-length" not in response.data
    assert response.content_length == 0


def test_a_challenge_is_spelled_as_clients_of_agents_look_for_it() -> None:
    response = render_head("GET", 401, [(b"www-authenticate", b"Bearer")], 0)

    assert b"\r\nWWW-Authenticate: Bearer\r\n" in response.data


def test_a_response_says_that_it_is_the_last() -> None:
    assert render_head("GET", 200, [(b"connection", b"close")], 0).closes


@pytest.mark.parametrize(
    "field", [(b"location", b"/\r\nset-cookie: a=b"), (b"a\nb", b""), (b"x", b"\0")]
)
def test_a_field_cannot_smuggle_in_another(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line break"):
        render_head("GET", 200, [field], 0)


def test_the_application_has_no_say_in_how_a_body_is_sent() -> None:
    with pytest.raises(ValueError, match="set by the server"):
        render_head("GET", 200, [(b"transfer-encoding", b"chunked")], None)
