"""One client must not stop the others, nor make the health probe end the service."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.integration.certificates import Authority
from tests.integration.cluster import Cluster, find_free_port
from tests.integration.overload import Watch, flood
from tests.integration.proxies import HOST, open_proxy
from tests.integration.service import Service, open_folder, open_service
from tests.integration.sockets import Headers, Socket, connect
from tests.integration.users import read

ATTACK_S = 6
# An answer takes some milliseconds; what an attack may add to that.
LIVEZ_S = 2
EMPTY_TEXT, EMPTY_PART = b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
PING = b"\x89\x80\0\0\0\0"


# Four bytes a character, and as long as a description may be.
LARGEST = "🦊" * 10_000
SILENT = 60
FEW_FILES = 400
MEMORY_MAX_MIB = 256
"""The limit of the unit."""


@pytest.fixture
def backend() -> Iterator[Service]:
    with open_service({}) as service:
        service.wait_ready()
        yield service


@pytest.fixture
def database_backend(cluster: Cluster) -> Iterator[Service]:
    options = {"TODO_DATABASE_URL": cluster.make_database(), "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service:
        service.wait_ready()
        yield service


def open_page(service: Service, headers: Headers = ()) -> socket.socket:
    peer = connect(service)
    Socket(peer, "/ws/tasks/alice", headers)
    return peer


@pytest.mark.parametrize("frame", [EMPTY_PART, PING], ids=["empty fragments", "pings"])
@pytest.mark.parametrize("sender", ["stranger", "user"])
def test_frames_without_content_hold_nobody_up(backend: Service, frame: bytes, sender: str) -> None:
    header = (b"authorization", f"Bearer {backend.token('alice')}".encode())
    headers = [header] if sender == "user" else []

    def start() -> socket.socket:
        peer = open_page(backend, headers)
        peer.sendall(EMPTY_TEXT)
        return peer

    with Watch(backend, f"WebSockets of a {sender}, frames {frame.hex()}") as watch:
        flood(start, frame * 10_000, for_s=ATTACK_S, connections=8)

    assert watch.report.livez_worst_s < LIVEZ_S
    assert watch.report.failed_probes == 0


def test_idle_connections_leave_files_for_the_probe_and_for_others() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    try:
        stack = contextlib.ExitStack()
        service = stack.enter_context(open_service({}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with stack:
        service.wait_ready()
        with Watch(service, f"{FEW_FILES} idle connections, {FEW_FILES} files") as watch:
            for _ in range(FEW_FILES):
                stack.enter_context(connect(service)).sendall(GET)
            time.sleep(ATTACK_S)

        assert watch.report.livez_failed == 0
        assert watch.report.failed_probes == 0
        assert not [each for each in service.events if "cannot accept" in each["message"]]


def test_large_messages_are_not_kept(backend: Service) -> None:
    headers = [(b"authorization", f"Bearer {backend.token('alice')}".encode())]
    message = b"\x81\xfe" + (15_000).to_bytes(2, "big") + bytes(4) + b"x" * 15_000

    with Watch(backend, "WebSockets of a user, messages of 15,000 bytes") as watch:
        flood(lambda: open_page(backend, headers), message * 4, for_s=ATTACK_S, connections=20)

    assert watch.report.rss_mib[1] < MEMORY_MAX_MIB
    assert watch.report.livez_worst_s < LIVEZ_S


@pytest.mark.parametrize("frame", [EMPTY_PART, PING], ids=["empty fragments", "pings"])
def test_neither_do_they_through_nginx(frame: bytes) -> None:
    port = find_free_port()
    options = {"TODO_BIND": f"127.0.0.1:{port}", "TODO_TRUSTED_PROXIES": "127.0.0.1"}
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(open_service(options))
        service.wait_ready()
        folder = stack.enter_context(open_folder()) / "nginx"
        proxy = stack.enter_context(open_proxy("nginx", folder, Authority("Throwaway"), port))

        def start() -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", proxy.port))
            peer = proxy.trust().wrap_socket(plain, server_hostname=HOST)
            Socket(peer, "/ws/tasks/alice", host=HOST)
            peer.sendall(EMPTY_TEXT)
            return peer

        with Watch(service, f"WebSockets through nginx, frames {frame.hex()}") as watch:
            flood(start, frame * 10_000, for_s=ATTACK_S, connections=8)

    assert watch.report.livez_worst_s < LIVEZ_S
    assert watch.report.failed_probes == 0


@pytest.mark.parametrize(
    ("path", "closes"),
    [
        ("tasks?limit=100", "keep-alive"),
        ("events?since=0", "keep-alive"),
        ("changes?limit=1000", "close"),
    ],
)
def test_clients_that_read_nothing_cost_a_bounded_memory(
    database_backend: Service, path: str, closes: str
) -> None:
    tokens = [database_backend.token(f"user-{number}") for number in range(SILENT // 10)]
    fill(database_backend, tokens, tasks=100)
    request = f"GET /api/v1/{path} HTTP/1.1\r\nHost: todo\r\nConnection: {closes}\r\n"
    with (
        Watch(database_backend, f"{SILENT} who read nothing of {path}, {closes}") as watch,
        contextlib.ExitStack() as stack,
    ):
        for number in range(SILENT):
            peer = stack.enter_context(connect(database_backend))
            peer.sendall(f"{request}Authorization: Bearer {tokens[number // 10]}\r\n\r\n".encode())
        time.sleep(ATTACK_S)

    assert watch.report.rss_mib[1] < MEMORY_MAX_MIB
    assert watch.report.livez_worst_s < LIVEZ_S
    assert watch.report.failed_probes == 0


def fill(service: Service, tokens: list[str], *, tasks: int) -> None:
    """Give each user so many tasks of the greatest length."""
    batch = {
        "operations": [
            {"op": "create", "task": {"title": "t", "description": LARGEST}} for _ in range(20)
        ]
    }
    for token in tokens:
        with service.client(token) as client:
            for _ in range(tasks // 20):
                read(client.post("/api/v1/tasks/batch", json=batch))
