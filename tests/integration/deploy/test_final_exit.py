"""Final exit of the backend: its unit closes the sockets that nothing serves."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.stack import instances
from deploy.stack.install import shipped
from deploy.units.parser import parse_unit

if TYPE_CHECKING:
    from pathlib import Path

SYSTEMCTL = """#!/bin/sh
shift
case "$1" in
    show) for state in $STATES; do printf 'ActiveState=%s\\n\\n' "$state"; done ;;
    stop) shift 2; printf '%s\\n' "$@" >> "$STOPPED" ;;
esac
"""
ITSELF = "deactivating"


def run(folder: Path, text: str, status: int, states: str) -> list[str]:
    """Run the command of a unit after its end; names the units that it stops."""
    program, stopped = folder / "systemctl", folder / "stopped"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    stopped.write_text("")
    command = parse_unit("todo-backend.container", text).get("Service", "ExecStopPost").value
    argv = shlex.split(command.removeprefix("-").replace("$$", "$").replace("%i", "2"))
    given = {"EXIT_STATUS": str(status), "STATES": states, "STOPPED": str(stopped)}
    environment = {**os.environ, **given, "PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run(argv, check=False, timeout=600, env=environment)
    return stopped.read_text().split()


FIRST = shipped()["todo-backend.container"]
SECOND = instances.render_template(FIRST)
OWN = {FIRST: "todo-management.socket", SECOND: "todo-management@2.socket"}


@pytest.mark.parametrize("text", [FIRST, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("status", [77, 78])
@pytest.mark.parametrize("others", ["", "inactive failed", "deactivating"])
def test_the_last_instance_closes_the_public_socket_too(
    tmp_path: Path, text: str, status: int, others: str
) -> None:
    stopped = run(tmp_path, text, status, f"{ITSELF} {others}")
    assert stopped == [OWN[text], "todo-backend.socket"]


@pytest.mark.parametrize("text", [FIRST, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("other", ["active", "activating"])
def test_the_public_socket_stays_open_for_another_instance(
    tmp_path: Path, text: str, other: str
) -> None:
    assert run(tmp_path, text, 78, f"{ITSELF} {other}") == [OWN[text]]


@pytest.mark.parametrize("status", [0, 1, 137])
def test_an_end_that_a_restart_may_heal_closes_nothing(tmp_path: Path, status: int) -> None:
    assert run(tmp_path, FIRST, status, ITSELF) == []
