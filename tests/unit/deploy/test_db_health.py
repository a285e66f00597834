"""The database's health check: what counts as a server that hangs."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.paths import REPO

SCRIPT = REPO / "src" / "db" / "health.sh"


def run_check(folder: Path, *, answer: int, name: str = "postgres", state: str = "S") -> int:
    """Run the script and return its exit code.

    Args:
        folder: An empty one.
        answer: The exit code of pg_isready.
        name: What process 1 runs.
        state: The state of process 1, as in /proc/PID/stat.
    """
    program = folder / "pg_isready"
    program.write_text(f"#!/bin/sh\nexit {answer}\n")
    program.chmod(0o755)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "stat").write_text(f"1 ({name}) {state} 0 1 1 0 -1 4194560 16647 0 0 0 110 16\n")
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "DB_SOCKET_DIR": "/run/todo"}
    command = ["sh", str(SCRIPT), str(folder)]
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
