"""The bridge between standard input and output and the endpoint: a small service answers it."""

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.todo.mcp.sample_server import LEGACY, META
from todo.mcp import __main__, modern
from todo.mcp.__main__ import Bridge

SOURCES = Path(__file__).parents[4] / "src"
FILE = SOURCES / "todo/mcp/__main__.py"
Json = dict[str, Any]
Reply = tuple[int, str, bytes]
TOKEN = "todo_x"  # noqa: S105 - of the fake


class Service:
    """Answers with what `reply` returns, and keeps what it received."""

    def __init__(self, reply: Callable[[Json], Reply]) -> None:
        received: list[tuple[str, dict[str, str], Json]] = []

        clients: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fields = {name.lower(): value for name, value in self.headers.items()}
                received.append((self.path, fields, body))
                clients.append(self.client_address)
                status, kind, content = reply(body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Mcp-Session-Id", "7.tester/1")
                self.end_headers()
                self.wfile.write(content)
                # As after the keep-alive timeout: without a word in the header.
                params = body.get("params", {}) if isinstance(body, dict) else {}
                self.close_connection = params.get("then") == "close"

            def log_message(self, *_: object) -> None:
                pass

        self.received = received
        self.clients = clients
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def serve(reply: Callable[[Json], Reply]) -> Iterator[Service]:
    service = Service(reply)
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        thread.join()
        service.server.server_close()


def echo(body: Json) -> Reply:
    if "id" not in body:
        return 202, "application/json", b""
    result = {"protocolVersion": LEGACY} if body["method"] == "initialize" else {"is": "fine"}
    answer = {"jsonrpc": "2.0", "id": body["id"], "result": result}
    return 200, "application/json", json.dumps(answer).encode()


def run(
    url: str, *messages: object, token: str = TOKEN, file: Path | None = None
) -> tuple[int, list[Json], str]:
    """Exit code, lines and errors of a bridge that gets these messages."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in messages]
    result = subprocess.run(
        [sys.executable, *([str(file)] if file else ["-m", "todo.mcp"])],
        input="".join(f"{line}\n" for line in lines),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": "" if file else str(SOURCES),
            "TODO_URL": url,
            "TODO_TOKEN": token,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    return result.returncode, answers, result.stderr


def request(method: str, number: object = 1, **params: object) -> Json:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


@pytest.mark.parametrize("file", [None, FILE])
@pytest.mark.parametrize("suffix", ["", "/", "/mcp"])
def test_a_modern_request_gets_its_headers_from_its_body(file: Path | None, suffix: str) -> None:
    with serve(echo) as service:
        call = request("tools/call", name="find_tasks", _meta=META)
        code, answers, errors = run(service.url + suffix, call, file=file)

    assert (code, errors) == (0, "")
    assert answers == [{"jsonrpc": "2.0", "id": 1, "result": {"is": "fine"}}]
    ((path, headers, body),) = service.received
    assert (path, body) == ("/mcp", call)
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert (headers["mcp-method"], headers["mcp-name"]) == ("tools/call", "find_tasks")
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["größe", " a ", "=?base64?YQ==?=", "a\nb"])
def test_a_name_that_no_header_can_hold_is_encoded(name: str) -> None:
    with serve(echo) as service:
        run(service.url, request("tools/call", name=name, _meta=META))

    ((_, headers, _),) = service.received
    encoded = headers["mcp-name"].removeprefix("=?base64?").removesuffix("?=")
    assert base64.b64decode(encoded, validate=True).decode() == name


def test_a_legacy_session_repeats_version_and_session_of_its_handshake() -> None:
    with serve(echo) as service:
        hello = request("initialize", protocolVersion=LEGACY)
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        code, answers, errors = run(service.url, hello, ready, request("tools/list", 2))

    assert (code, errors) == (0, "")
    assert [each["id"] for each in answers] == [1, 2]
    first, *others = (headers for _, headers, _ in service.received)
    assert "mcp-session-id" not in first
    for headers in others:
        assert headers["mcp-protocol-version"] == LEGACY
        assert headers["mcp-session-id"] == "7.tester/1"
        assert "mcp-method" not in headers


def test_a_slow_call_does_not_hold_up_the_next_one() -> None:
    released = threading.Event()

    def reply(body: Json) -> Reply:
        if body["id"] == "slow":
            # Until the other one has been answered.
            released.wait()
        else:
            released.set()
        return echo(body)

    with serve(reply) as service:
        _, answers, _ = run(service.url, request("ping", "slow"), request("ping", "fast"))

    assert {each["id"] for each in answers} == {"slow", "fast"}


def test_a_cancelled_request_is_not_answered() -> None:
    waiting, released = threading.Event(), threading.Event()

    def reply(body: Json) -> Reply:
        if body["id"] == 1:
            waiting.set()
            released.wait()
        else:
            waiting.wait()
            released.set()
        return echo(body)

    with serve(reply) as service:
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        _, answers, _ = run(service.url, request("ping"), cancel, request("ping", 2))

    assert [each["id"] for each in answers] == [2]


def problem(status: int, detail: str) -> Callable[[Json], Reply]:
    content = json.dumps({"detail": detail, "status": status}).encode()
    return lambda _body: (status, "application/problem+json", content)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            problem(401, "A valid bearer token is required."),
            "A valid bearer token is required. (status 401) Check TODO_TOKEN.",
        ),
        (problem(404, "Not found."), "Not found. (status 404) Check TODO_URL."),
        (problem(503, "Try later."), "Try later. (status 503)"),
        (
            lambda _body: (502, "text/html", b"<h1>Bad Gateway</h1>"),
            "The response is not from the todo service; check TODO_URL. (status 502)",
        ),
        (
            lambda _body: (200, "application/json", b"[]"),
            "The response is not from the todo service; check TODO_URL. (status 200)",
        ),
    ],
)
def test_a_refusal_of_the_service_is_the_error_of_the_request(
    reply: Callable[[Json], Reply], text: str
) -> None:
    with serve(reply) as service:
        code, answers, _ = run(service.url, request("ping"))

    assert code == 0
    assert [each["error"]["message"] for each in answers] == [text]


def test_a_service_that_is_not_there_is_named() -> None:
    with serve(echo) as service:
        url = service.url
    _, answers, errors = run(url, request("ping"), {"jsonrpc": "2.0", "method": "notifications/x"})

    assert answers[0]["error"]["message"].startswith(f"{url}/mcp cannot be reached: ")
    # A notification has no response.
    assert len(answers) == 1
    assert "cannot be reached" in errors


def test_what_is_not_a_message_is_left_to_the_service() -> None:
    def reply(_body: object) -> Reply:
        answer = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}
        return 400, "application/json", json.dumps(answer).encode()

    with serve(reply) as service:
        code, answers, errors = run(service.url, "", "[1]", "7")

    assert (code, errors) == (0, "")
    assert [each["error"]["code"] for each in answers] == [-32600, -32600]


@pytest.mark.parametrize(
    "url", ["http://localhost/tödo", "", "localhost:8000", "ftp://a", "http://", "http://[::"]
)
def test_without_an_address_it_ends_with_one_line(url: str) -> None:
    code, answers, errors = run(url)

    assert (code, answers) == (64, [])
    assert (
        errors == "TODO_URL is missing or invalid: set it to a URL such as http://127.0.0.1:8000\n"
    )


@pytest.mark.parametrize("token", ["", "a\nb", "ü"])
def test_without_a_token_it_ends_with_one_line(token: str) -> None:
    code, answers, errors = run("http://127.0.0.1:1", token=token)

    assert (code, answers) == (64, [])
    assert errors == "TODO_TOKEN is missing or invalid: set it to a bearer token\n"


def test_it_imports_nothing_but_the_standard_library() -> None:
    program = "import sys, todo.mcp.__main__; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(result.stdout.split())
    ours = {"todo", "todo.mcp", "todo.mcp.__main__"}

    assert {name for name in imported if name.partition(".")[0] == "todo"} == ours
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | {
        "todo",
        "__main__",
    }


def test_a_defect_is_the_error_of_the_request(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    class Broken(Bridge):
        def send(self, line: bytes, message: Json) -> Json | None:
            raise RuntimeError(f"broken: {line!r}, {message}")

    Broken("http://127.0.0.1:1", "token").pass_on(b"", {"id": 7, "method": "tools/list"})

    answer = json.loads(capfdbinary.readouterr().out)
    assert answer["id"] == 7
    assert "broken" in answer["error"]["message"]


def test_the_bridge_names_headers_as_the_service_does() -> None:
    assert __main__.NAMED == modern.NAMED
    assert __main__.META_VERSION == modern.META_VERSION


def test_a_message_that_the_service_cannot_read_is_answered_with_its_id() -> None:
    def refuse(_body: Json) -> Reply:
        error = {"code": -32700, "message": "The body must be JSON in UTF-8."}
        answer = {"jsonrpc": "2.0", "id": None, "error": error}
        return 400, "application/json", json.dumps(answer).encode()

    with serve(refuse) as service:
        _, answers, _ = run(service.url, request("tools/call", 5, name="\ud83d"))

    assert [(each["id"], each["error"]["code"]) for each in answers] == [(5, -32700)]


def pass_on(bridge: Bridge, *messages: Json) -> None:
    for each in messages:
        bridge.pass_on(json.dumps(each).encode(), each)


def test_a_connection_is_kept_and_replaced_when_the_service_has_closed_it(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with serve(echo) as service:
        bridge = Bridge(service.url, TOKEN)
        pass_on(bridge, request("ping"), request("ping", 2, then="close"))
        sock = bridge._of_thread.connection.sock  # noqa: SLF001 - when it is closed
        select.select([sock], [], [])
        pass_on(bridge, request("ping", 3))
        bridge.close()

    first, second, third = service.clients
    assert first == second != third
    written = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [each["result"] for each in written] == [{"is": "fine"}] * 3


def test_ids_are_forgotten_when_their_requests_are_answered(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with serve(echo) as service:
        bridge = Bridge(service.url, TOKEN)
        bridge._cancel(1)  # noqa: SLF001 - too late or too early
        pass_on(bridge, request("ping"))
        bridge._cancel(1)  # noqa: SLF001 - likewise
        pass_on(bridge, request("ping"))
        bridge.close()

    assert len(capfdbinary.readouterr().out.splitlines()) == 2
    assert not bridge._cancelled  # noqa: SLF001 - it would grow for ever
    assert not bridge._pending  # noqa: SLF001 - likewise


def test_a_refused_message_without_an_id_has_no_response() -> None:
    def refuse(_body: Json) -> Reply:
        error = {"code": -32600, "message": "`id` is missing."}
        answer = {"jsonrpc": "2.0", "id": None, "error": error}
        return 400, "application/json", json.dumps(answer).encode()

    with serve(refuse) as service:
        code, answers, errors = run(service.url, {"jsonrpc": "2.0", "method": "tools/call"})

    assert (code, answers, errors) == (0, [], "`id` is missing.\n")
