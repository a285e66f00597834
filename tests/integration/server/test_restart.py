"""Stopping and restarting on sockets that belong to somebody else."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.load import Tally, answer_more, ask_until
from tests.integration.service import Service, open_folder, open_service
from tests.machine_clock import CLOCK, wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def sockets(folder: Path) -> Iterator[list[socket.socket]]:
    """A public and a management socket, as systemd would hold them."""
    public = socket.create_server(("127.0.0.1", 0), backlog=4096)
    management = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    management.bind(f"{folder}/management.sock")
    management.listen(4096)
    with public, management:
        yield [public, management]


@pytest.fixture
def start(folder: Path, sockets: list[socket.socket]) -> Iterator[Callable[[], Service]]:
    """Start backends, one after the other, on the same sockets."""
    services: list[Service] = []

    def start() -> Service:
        services.append(Service(folder, {}, inherited=sockets))
        return services[-1]

    yield start
    for service in services:
        service.stop(signal.SIGKILL)


def test_restarts_under_load_refuse_and_reset_nobody(
    start: Callable[[], Service], sockets: list[socket.socket]
) -> None:
    tally = Tally()
    port: int = sockets[0].getsockname()[1]

    async def scenario() -> None:
        stop = asyncio.Event()
        service = start()
        await asyncio.to_thread(service.wait_started)
        load = asyncio.create_task(ask_until(stop, port, tally))
        for _ in range(2):
            await answer_more(140, tally)
            assert await asyncio.to_thread(service.stop) == 0
            service = start()
            await asyncio.to_thread(service.wait_started)
        await answer_more(120, tally)
        stop.set()
        await load

    asyncio.run(scenario())

    assert tally.failures == []
    assert tally.answered > 400


def test_inherited_sockets_are_told_apart_by_their_address(
    start: Callable[[], Service], sockets: list[socket.socket]
) -> None:
    service = start()
    service.wait_started()

    assert service.get_check("metrics").status_code == 200
    assert status_line(sockets[0].getsockname(), "/metrics").startswith(b"HTTP/1.1 404")


def status_line(address: tuple[str, int], path: str) -> bytes:
    with socket.create_connection(address) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return client.makefile("rb").readline()


def test_inherited_sockets_are_told_apart_by_their_names() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as management,
        socket.create_server(("127.0.0.1", 0)) as public,
        open_service(
            {"LISTEN_FDNAMES": "management:public"}, inherited=[management, public]
        ) as service,
    ):
        service.wait_for("listening")

        assert status_line(management.getsockname(), "/metrics").startswith(b"HTTP/1.1 200")
        assert status_line(public.getsockname(), "/metrics").startswith(b"HTTP/1.1 404")
        assert status_line(public.getsockname(), "/health").startswith(b"HTTP/1.1 200")


def test_a_connection_without_a_request_yet_is_answered_during_the_stop(
    start: Callable[[], Service], sockets: list[socket.socket]
) -> None:
    service = start()
    service.wait_started()
    with socket.create_connection(sockets[0].getsockname()) as client:
        time.sleep(0.1)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("stopping")
        time.sleep(0.3)
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    assert service.stop() == 0


def test_an_idle_connection_is_closed_cleanly(
    start: Callable[[], Service], sockets: list[socket.socket]
) -> None:
    service = start()
    service.wait_started()
    with socket.create_connection(sockets[0].getsockname()) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"status":"ok"}'):
            answer += client.recv(65536)
        began = CLOCK.now()
        service.process.send_signal(signal.SIGTERM)
        assert client.recv(65536) == b""
        assert CLOCK.now() - began < 1

    assert service.stop() == 0


def test_an_open_request_cannot_hold_the_process_beyond_its_deadline() -> None:
    with open_service({"TODO_SHUTDOWN_DEADLINE_S": "2"}) as service:
        service.wait_started()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{service.folder}/public.sock")
            # A body that never comes.
            token = f"Authorization: Bearer {service.token()}\r\n".encode()
            head = b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            client.sendall(head + token + b"\r\n")
            time.sleep(0.2)
            began, began_on_clock = time.monotonic(), CLOCK.now()
            assert service.stop() == 0
            assert time.monotonic() - began > 1
            assert CLOCK.now() - began_on_clock < 3


def test_a_stopped_event_loop_cannot_hold_the_process(folder: Path) -> None:
    service = Service(folder, {"TODO_SHUTDOWN_DEADLINE_S": "1"})
    try:
        service.wait_started()
        began = CLOCK.now()
        assert service.stop(signal.SIGINT) == 0
        assert CLOCK.now() - began < 2
        assert [event["message"] for event in service.events][-2:] == ["stopping", "stopped"]
        assert service.errors == ""
    finally:
        service.stop(signal.SIGKILL)


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_ready_and_stopping(*, abstract: bool) -> None:
    with open_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"{folder}/notify"
        manager.bind(f"\0{name}" if abstract else name)
        manager.settimeout(120)
        with open_service({"NOTIFY_SOCKET": f"@{name}" if abstract else name}) as service:
            assert manager.recv(100) == b"READY=1"
            service.process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"


def test_the_files_of_own_sockets_are_replaced_after_a_kill() -> None:
    with open_folder() as folder, contextlib.ExitStack() as stack:
        for _ in range(2):
            service = Service(folder, {})
            stack.callback(service.stop, signal.SIGKILL)
            service.wait_started()
            service.stop(signal.SIGKILL)
        assert service.errors == ""


def catches(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_stop_during_the_start_is_a_clean_stop(folder: Path) -> None:
    service = Service(folder, {})
    wait_until(lambda: catches(service.process.pid, signal.SIGTERM), "running", within_s=60)

    assert service.stop() == 0
    assert service.errors == ""
