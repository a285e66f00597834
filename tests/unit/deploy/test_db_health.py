"""The database's health check: which answer of pg_isready means that the server hangs."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.paths import REPO

SCRIPT = REPO / "src" / "db" / "health.sh"


def run_check(folder: Path, code: int) -> int:
    """Run the script with a pg_isready that ends with this code; return the script's code."""
    program = folder / "pg_isready"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "DB_SOCKET_DIR": "/run/todo"}
    return subprocess.run(["sh", str(SCRIPT)], env=environment, check=False).returncode


@pytest.mark.parametrize("code", [0, 1])
def test_a_server_that_accepts_or_refuses_connections_is_healthy(tmp_path: Path, code: int) -> None:
    assert run_check(tmp_path, code) == 0


@pytest.mark.parametrize("code", [2, 3, 127])
def test_a_sleeping_server_that_does_not_answer_is_unhealthy(tmp_path: Path, code: int) -> None:
    # Process 1 of the machine that runs the tests sleeps nearly always.
    assert any(run_check(tmp_path, code) == 1 for _ in range(20))
