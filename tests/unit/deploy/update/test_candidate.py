"""Detection of a single instance by the candidate beside it."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError
from deploy.stack import systemd
from deploy.stack.services import BACKEND
from deploy.update import candidate

if TYPE_CHECKING:
    from pathlib import Path

# What it runs, it runs as the user; here only the start takes its time.
PODMAN = """#!/bin/sh
if [ "$1" = volume ]; then
    echo "$FOLDER"
else
    shift
    echo a warning >&2
    sleep 0.5
    exec "$@"
fi
"""


def is_locked(file: Path) -> bool:
    if not file.exists():
        return False
    with file.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(PODMAN)
    program.chmod(0o755)
    monkeypatch.setattr(process, "find", lambda tool: str(program) if tool == "podman" else None)
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setattr(candidate, "find_instances", lambda: (BACKEND,))
    monkeypatch.setattr(systemd, "systemctl", lambda *_, **__: None)
    monkeypatch.setattr(systemd, "stop_volume_units", lambda _: None)
    return tmp_path / "update"


def test_the_lock_is_held_before_the_candidate_starts(file: Path) -> None:
    sibling = candidate.Sibling()
    for _ in range(2):
        sibling.show()
        assert is_locked(file)
    sibling.hide()
    assert not is_locked(file)


def test_a_lock_that_fails_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER", f"{file}/missing")
    with pytest.raises(DeployError, match="No such file"):
        candidate.Sibling().show()
