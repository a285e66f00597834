"""Starting: configuration, exit codes, and exactly one line for each failure."""

import contextlib
import json
import math
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import todo.probe
from tests.integration.service import (
    SOURCES,
    UNSET,
    Service,
    make_environment,
    open_folder,
    open_service,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def run_server(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "todo"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


BAD_ENVIRONMENTS = {
    "a container without a database": (
        {"container": "podman", "TODO_DATABASE_URL": UNSET},
        78,
        "TODO_DATABASE_URL",
    ),
    "a misspelt option": ({"TODO_LOG_LEVLE": "INFO"}, 78, "did you mean TODO_LOG_LEVEL?"),
    "a missing secret": (
        {"container": "podman", "TODO_DATABASE_URL": "sqlite:////tmp/never.db"}
        | {"TODO_TOKEN_SECRET_FILE": "/nowhere"},
        77,
        "TODO_TOKEN_SECRET_FILE",
    ),
    "a weak secret": ({"TODO_TOKEN_SECRET_FILE": "/etc/hostname"}, 77, "at least 32 bytes"),
    "a missing password": (
        {"TODO_DATABASE_URL": "postgresql://u@h/d", "TODO_DATABASE_PASSWORD_FILE": "/nowhere"},
        77,
        "TODO_DATABASE_PASSWORD_FILE",
    ),
    "no socket": ({"LISTEN_FDS": "1"}, 71, "inherited descriptor 3"),
}


@pytest.mark.parametrize("name", BAD_ENVIRONMENTS)
def test_a_bad_environment_has_its_exit_code_and_one_line(folder: Path, name: str) -> None:
    options, code, text = BAD_ENVIRONMENTS[name]

    done = run_server(make_environment(folder, options))

    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    line = json.loads(done.stderr)
    assert (line["level"], line["code"]) == ("CRITICAL", code)
    assert text in line["message"]


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_server(make_environment(folder, {"TODO_BIND": address}))

    assert (done.returncode, done.stderr.count("\n")) == (71, 1)
    assert f"cannot listen on {address}: Address already in use" in done.stderr


def test_another_servers_socket_is_not_stolen(folder: Path) -> None:
    with open_service({}) as first:
        first.wait_started()
        taken = {"TODO_BIND": first.environment["TODO_BIND"]}
        done = run_server(make_environment(folder, taken))

        assert done.returncode == 71
        with first.client() as client:
            assert client.get("/livez").status_code == 200


def test_with_no_configuration_it_serves_an_embedded_database(folder: Path) -> None:
    ours = dict.fromkeys(("TODO_TOKEN_SECRET_FILE", "TODO_PROBE_BIND"), UNSET)
    service = Service(folder, {"XDG_RUNTIME_DIR": str(folder)} | ours)
    try:
        service.wait_ready()
        data = folder / "data" / "todo-backend"
        secret = data / "token-secret"
        assert (data / "todo.db").exists()
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert len(secret.read_bytes()) >= 33
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert (folder / "todo-probe.sock").is_socket()
    finally:
        service.stop()
    assert not (folder / "todo-probe.sock").exists()


PROBE = [sys.executable, "-I", "-S", str(SOURCES / "todo" / "probe.py")]


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROBE, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_log_has_addresses_as_the_options_have_them() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with open_service({"TODO_BIND": f"127.0.0.1:{port}"}) as service:
        event = service.wait_for("listening")
        expected = f"unix:{service.folder}/management.sock"

    assert (event["public"], event["management"]) == ([f"127.0.0.1:{port}"], [expected])


def test_the_probe_answers_for_a_living_server() -> None:
    with open_service({}) as service:
        service.wait_started()
        path = f"{service.folder}/probe.sock"
        for check in ("livez", "readyz", "startupz"):
            done = probe(check, path)
            assert (done.returncode, done.stdout) == (0, f'{check}: {{"status": "ok"}}\n')


def test_the_probe_gives_up_on_a_hanging_server(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(f"{folder}/hanging.sock")
        hanging.listen()
        done = probe("livez", f"{folder}/hanging.sock")

    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "timed out" in done.stdout or "no answer" in done.stdout


# Answers a request after so many seconds of its processor's time.
BUSY_SERVER = """
import socket, sys, threading, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
peer, _ = listener.accept()
peer.recv(4096)

def work():
    while time.thread_time() < float(sys.argv[2]):
        pass

worker = threading.Thread(target=work)
worker.start()
worker.join()
peer.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\nok")
peer.close()
time.sleep(600)
"""


@contextlib.contextmanager
def busy_server(folder: Path, seconds: float) -> Iterator[str]:
    path = f"{folder}/busy.sock"
    argv = [sys.executable, "-c", BUSY_SERVER, path, str(seconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "listening\n"
            yield path
        finally:
            server.kill()


def test_the_probe_waits_for_a_server_that_is_busy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Other programs may hold the server back for longer than the real limit.
    monkeypatch.setattr("todo.probe.BUSY_TIMEOUT_S", 100.0)
    with busy_server(folder, 2 * todo.probe.IDLE_TIMEOUT_S) as path:
        code = todo.probe.main(["livez", path])

    assert (code, capsys.readouterr().out) == (0, "livez: ok\n")


def test_the_probe_gives_up_on_a_server_that_stays_busy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("todo.probe.BUSY_TIMEOUT_S", 2 * todo.probe.IDLE_TIMEOUT_S)
    with busy_server(folder, 600) as path:
        code = todo.probe.main(["livez", path])

    assert (code, capsys.readouterr().out) == (1, f"livez: no answer in time ({path})\n")


def test_the_probe_gives_up_on_a_server_that_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    # What ends the wait is that the server is idle: a hang must not last as long as a busy one.
    monkeypatch.setattr("todo.probe.BUSY_TIMEOUT_S", math.inf)
    with open_service({}) as service:
        service.wait_started()
        service.process.send_signal(signal.SIGSTOP)

        assert todo.probe.main(["livez", f"{service.folder}/probe.sock"]) == 1


@pytest.mark.parametrize(("limit_s", "code"), [(math.inf, 0), (0.0, 1)])
def test_a_server_without_its_socket_is_starting_for_as_long_as_a_start_may_take(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit_s: float, code: int
) -> None:
    monkeypatch.setattr("todo.probe.START_TIMEOUT_S", limit_s)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{folder}/bound.sock")
        for path in (f"{folder}/missing.sock", f"{folder}/bound.sock"):
            assert todo.probe.main(["livez", path]) == code
            assert todo.probe.main(["startupz", path]) == 1


@pytest.mark.parametrize("arguments", [(), ("healthz",), ("readyz", "/nowhere.sock")])
def test_the_probe_fails_in_one_line(arguments: tuple[str, ...]) -> None:
    done = probe(*arguments)

    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (1, 1, "")
