"""Starting: configuration, exit codes, and exactly one line for each failure."""

import json
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        timeout=30,
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
        [*PROBE, *arguments], capture_output=True, text=True, timeout=10, check=False
    )


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


@pytest.mark.parametrize("arguments", [(), ("healthz",), ("livez", "/nowhere.sock")])
def test_the_probe_fails_in_one_line(arguments: tuple[str, ...]) -> None:
    done = probe(*arguments)

    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (1, 1, "")
