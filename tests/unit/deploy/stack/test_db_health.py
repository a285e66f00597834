"""The database's health check: what counts as a server that hangs."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.paths import REPO

SCRIPT = REPO / "containers" / "db" / "health.sh"


def run_check(
    folder: Path, *, answer: int, name: str = "postgres", state: str = "S", init: bool = False
) -> int:
    """Run the script and return its exit code.

    Args:
        folder: An empty one.
        answer: The exit code of pg_isready.
        name: What the image's process runs.
        state: Its state, as in /proc/PID/stat.
        init: Whether it is the child of Podman's init, as with RunInit=true.
    """
    program = folder / "pg_isready"
    program.write_text(f"#!/bin/sh\nexit {answer}\n")
    program.chmod(0o755)
    first, process = folder / "1", folder / ("2" if init else "1")
    if init:
        (first / "task/1").mkdir(parents=True)
        (first / "comm").write_text("podman-init\n")
        (first / "task/1/children").write_text("2 \n")
    process.mkdir()
    (process / "comm").write_text(f"{name}\n")
    (process / "stat").write_text(f"1 ({name}) {state} 0 1 1 0 -1 4194560 16647 0 0 0 110 16\n")
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "DB_SOCKET_DIR": "/run/todo"}
    command = ["sh", str(SCRIPT), str(first)]
    return subprocess.run(command, env=environment, check=False).returncode


@pytest.mark.parametrize("answer", [0, 1])
def test_a_server_that_accepts_or_refuses_connections_is_healthy(
    tmp_path: Path, answer: int
) -> None:
    assert run_check(tmp_path, answer=answer) == 0


@pytest.mark.parametrize("state", ["R", "D"])
def test_a_slow_server_is_healthy(tmp_path: Path, state: str) -> None:
    assert run_check(tmp_path, answer=2, state=state) == 0


@pytest.mark.parametrize("answer", [2, 3, 127])
@pytest.mark.parametrize("state", ["S", "T"])
def test_a_sleeping_or_stopped_server_that_does_not_answer_is_unhealthy(
    tmp_path: Path, answer: int, state: str
) -> None:
    assert run_check(tmp_path, answer=answer, state=state) == 1


def test_an_entry_point_that_makes_the_data_directory_is_healthy(tmp_path: Path) -> None:
    assert run_check(tmp_path, answer=2, name="entrypoint") == 0


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("postgres", "S", 1),
        ("postgres", "R", 0),
        ("entrypoint", "S", 0),
    ],
)
def test_an_init_in_front_of_the_server_hides_no_hang(
    tmp_path: Path, name: str, state: str, code: int
) -> None:
    assert run_check(tmp_path, answer=2, name=name, state=state, init=True) == code
