"""One client must not stop the others, nor make the health probe end the service."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.integration.certificates import Authority
from tests.integration.cluster import find_free_port
from tests.integration.overload import Watch, flood
from tests.integration.proxies import HOST, open_proxy
from tests.integration.service import Service, open_folder, open_service
from tests.integration.sockets import Headers, Socket, connect

ATTACK_S = 6
# An answer takes some milliseconds; what an attack may add to that.
LIVEZ_S = 2
EMPTY_TEXT, EMPTY_PART = b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
PING = b"\x89\x80\0\0\0\0"


@pytest.fixture
def backend() -> Iterator[Service]:
    with open_service({}) as service:
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
