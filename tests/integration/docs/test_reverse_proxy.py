"""docs/reverse-proxy.md: its configurations, in the real nginx and the real Caddy."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.certificates import Authority
from tests.integration.proxies import CLIENT, HOST, Proxy, open_proxy
from tests.integration.service import Service, open_folder
from tests.integration.sockets import Socket
from tests.integration.users import TASKS, code, read
from todo.journal.sse import HEARTBEAT_S

NAMES = ("nginx", "caddy")
MEBIBYTE = 1024 * 1024
# For how long nothing happens on a stream: more than the read timeout of either by default.
QUIET_S = float(os.environ.get("QUIET_SECONDS", "61"))
# No measure of speed: what is buffered never comes.
TIMEOUT_S = 120.0


class Backend:
    """A backend on sockets that stay when it is replaced, as those of systemd do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._public = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._management = socket.socket(socket.AF_UNIX)
        self._management.bind(f"{folder}/management.sock")
        self._management.listen(4096)
        self.port: int = self._public.getsockname()[1]
        self.service = self._start()

    def _start(self) -> Service:
        options = {"TODO_TRUSTED_PROXIES": "127.0.0.1"}
        return Service(self._folder, options, inherited=[self._public, self._management])

    def restart(self) -> None:
        assert self.service.stop() == 0
        self.service = self._start()
        self.service.wait_started()

    def close(self) -> None:
        self.service.stop(signal.SIGKILL)
        self._public.close()
        self._management.close()

    def token(self) -> tuple[str, str]:
        """Return a new user and a token of theirs."""
        user = f"user-{uuid.uuid4()}"
        return user, self.service.token(user, lifetime_s=86_400)

    def access_of(self, request_id: str) -> dict[str, Any]:
        """Return what the log has of a request."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for event in self.service.events:
                if event["message"] == "request" and event["request_id"] == request_id:
                    return event
            time.sleep(0.05)
        msg = f"no request {request_id} in the log"
        raise TimeoutError(msg)


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with open_folder() as folder:
        backend = Backend(folder)
        try:
            backend.service.wait_ready()
            yield backend
        finally:
            backend.close()


@pytest.fixture(scope="module")
def proxies(backend: Backend) -> Iterator[dict[str, Proxy]]:
    authority = Authority("Throwaway")
    with (
        open_folder() as folder,
        open_proxy("nginx", folder / "nginx", authority, backend.port) as nginx,
        open_proxy("caddy", folder / "caddy", authority, backend.port) as caddy,
    ):
        yield {"nginx": nginx, "caddy": caddy}


@pytest.fixture(params=NAMES)
def proxy(request: pytest.FixtureRequest, proxies: dict[str, Proxy]) -> Proxy:
    return proxies[request.param]


@pytest.fixture
def client(proxy: Proxy, backend: Backend) -> Iterator[httpx.Client]:
    _user, token = backend.token()
    with proxy.client(token) as client:
        yield client


def test_a_task_is_created_and_browsers_are_held_to_tls(client: httpx.Client) -> None:
    task = read(client.post(TASKS, json={"title": "t"}), 201)
    answer = client.get(f"{TASKS}/{task['id']}")

    assert read(answer)["title"] == "t"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_a_body_of_one_mebibyte_passes_and_the_backend_refuses_the_next_byte(
    client: httpx.Client,
) -> None:
    task = {"title": "t", "description": "d" * 9_000}
    body = json.dumps({"operations": [{"op": "create", "task": task}] * 100}).encode()
    assert 0.8 * MEBIBYTE < len(body) < MEBIBYTE
    headers = {"Content-Type": "application/json"}

    full = client.post(f"{TASKS}/batch", content=body.ljust(MEBIBYTE), headers=headers)
    more = client.post(f"{TASKS}/batch", content=body.ljust(MEBIBYTE + 1), headers=headers)

    assert len(read(full)["results"]) == 100
    assert code(more) == (413, "content-too-large")


def test_a_body_that_is_much_larger_is_413_as_well(client: httpx.Client) -> None:
    answer = client.post(f"{TASKS}/batch", content=b" " * (3 * MEBIBYTE))

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "spoofed",
    [
        {},
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-For": "203.0.113.7, 127.0.0.1"},
        {"Forwarded": "for=203.0.113.7;proto=http"},
        {"Forwarded": ""},
        {"Forwarded": 'for="'},
        {"X-Forwarded-For": "127.0.0.1, unknown"},
        {"X-Real-IP": "203.0.113.7"},
        {"X-Forwarded-Proto": "http"},
        {
            "Forwarded": 'for="[2001:db8::7]"',
            "X-Forwarded-For": "2001:db8::7",
            "X-Real-IP": "2001:db8::7",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": "evil.example",
        },
    ],
    ids=lambda spoofed: "+".join(spoofed) or "nothing",
)
def test_the_log_has_the_clients_address_whatever_the_client_says(
    client: httpx.Client, backend: Backend, spoofed: dict[str, str]
) -> None:
    answer = client.get(TASKS, headers=spoofed)

    assert backend.access_of(answer.headers["x-request-id"])["client"] == CLIENT
    assert "strict-transport-security" in answer.headers


def test_a_connection_to_the_backend_serves_many_requests(
    client: httpx.Client, backend: Backend
) -> None:
    before = len(_sockets_towards(backend.port))
    for _ in range(50):
        client.get(TASKS).raise_for_status()

    assert len(_sockets_towards(backend.port)) - before < 10


def _sockets_towards(port: int) -> list[str]:
    """Return the kernel's connections to a port of 127.0.0.1, including recently closed ones."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[2] == f"0100007F:{port:04X}"]


class Stream:
    """An event stream through a proxy, read by a thread of its own."""

    def __init__(self, proxy: Proxy, token: str) -> None:
        self.lines: list[str] = []
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._follow, args=(proxy, token))
        self._thread.start()

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def wait_for(self, begin: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not any(line.startswith(begin) for line in self.lines):
            assert self.is_open, f"the stream ended: {self.lines}"
            assert time.monotonic() < deadline, f"no {begin!r}: {self.lines}"
            time.sleep(0.05)

    def close(self) -> None:
        # Closed here, its number could be another connection's while the thread still reads.
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._thread.join()

    def _follow(self, proxy: Proxy, token: str) -> None:
        with (
            contextlib.suppress(httpx.TransportError),
            proxy.client(token) as client,
            client.stream("GET", "/api/v1/events") as answer,
        ):
            self._socket = answer.extensions["network_stream"].get_extra_info("socket")
            answer.raise_for_status()
            self.lines.extend(answer.iter_lines())


@contextlib.contextmanager
def open_stream(proxy: Proxy, token: str) -> Iterator[Stream]:
    stream = Stream(proxy, token)
    try:
        stream.wait_for("retry:")
        yield stream
    finally:
        stream.close()


@contextlib.contextmanager
def open_page(proxy: Proxy, user: str, token: str) -> Iterator[Socket]:
    plain = socket.create_connection(("127.0.0.1", proxy.port), source_address=(CLIENT, 0))
    peer = proxy.trust().wrap_socket(plain, server_hostname=HOST)
    header = [(b"authorization", f"Bearer {token}".encode())]
    page = Socket(peer, f"/ws/tasks/{user}", header, host=HOST)
    try:
        yield page
    finally:
        page.close()


@pytest.mark.longer(QUIET_S + 3 * TIMEOUT_S)
def test_streams_outlive_a_quiet_minute_and_deliver_what_follows(
    proxies: dict[str, Proxy], backend: Backend
) -> None:
    """Both proxies at once, each with an event stream and a WebSocket."""

    def follow(proxy: Proxy) -> None:
        user, token = backend.token()
        with (
            open_stream(proxy, token) as stream,
            open_page(proxy, user, token) as page,
            proxy.client(token) as client,
        ):
            assert page.read(TIMEOUT_S)["type"] == "connected"
            assert page.is_silent(QUIET_S)
            assert stream.is_open
            # What the backend sends meanwhile is not kept back either.
            assert stream.lines.count(":") >= QUIET_S // HEARTBEAT_S - 2
            task = read(client.post(TASKS, json={"title": "after a while"}), 201)
            message = page.read(TIMEOUT_S)
            assert (message["type"], message["task_id"]) == ("task_created", task["id"])
            stream.wait_for("event: create")
            page.send("ping")
            assert page.read(TIMEOUT_S) == {"type": "pong"}

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(follow, proxy) for proxy in proxies.values()]:
            done.result()


@pytest.mark.longer(2 * TIMEOUT_S)
def test_events_arrive_at_once_over_http_2_as_well(
    proxy: Proxy, backend: Backend, tmp_path: Path
) -> None:
    _user, token = backend.token()
    authority = tmp_path / "authority.pem"
    authority.write_text(proxy.authority)
    # fmt: off
    command = [
        "curl", "--silent", "--no-buffer", "--http2", "--include",
        "--cacert", str(authority),
        "--resolve", f"{HOST}:{proxy.port}:127.0.0.1",
        "--header", f"Authorization: Bearer {token}",
        f"https://{HOST}:{proxy.port}/api/v1/events",
    ]
    # fmt: on
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        try:
            assert curl.stdout.readline().split()[:2] == ["HTTP/2", "200"]
            while not curl.stdout.readline().startswith("retry:"):
                assert curl.poll() is None
            with proxy.client(token) as client:
                read(client.post(TASKS, json={"title": "t"}), 201)
            while not curl.stdout.readline().startswith("event: create"):
                assert curl.poll() is None
        finally:
            curl.kill()


def test_a_websocket_with_an_invalid_token_is_closed_with_its_code(proxy: Proxy) -> None:
    with open_page(proxy, "alice", "nonsense") as page:
        assert page.read_first() == 4401


@pytest.mark.longer(4 * TIMEOUT_S)
def test_a_restart_of_the_backend_refuses_no_request(proxy: Proxy, backend: Backend) -> None:
    _user, token = backend.token()
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with proxy.client(token) as client:
            while not stop.is_set():
                key = {"Idempotency-Key": uuid.uuid4().hex}
                answers.append(client.get(TASKS).status_code)
                answer = client.post(TASKS, json={"title": "t"}, headers=key)
                if answer.status_code == 502:
                    answer = client.post(TASKS, json={"title": "t"}, headers=key)
                answers.append(answer.status_code)

    with ThreadPoolExecutor() as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        try:
            for _ in range(2):
                goal = len(answers) + 40
                backend.restart()
                while len(answers) < goal and not any(done.done() for done in asking):
                    time.sleep(0.05)
        finally:
            stop.set()
        for done in asking:
            done.result()

    assert set(answers) == {200, 201}
