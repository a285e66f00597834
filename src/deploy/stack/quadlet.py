"""Quadlet, Podman's unit generator, run on the current files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.stack.services import file_of, find_services

_FOLDERS = (
    "/etc/systemd/user-generators",
    "/usr/local/lib/systemd/user-generators",
    "/usr/lib/systemd/user-generators",
)
REJECTED = "Quadlet does not accept"
REMEDY = "correct the file, or your drop-in for it"
_GENERATOR = "podman-user-generator"


def find_generator() -> Path | None:
    """Return the path of Quadlet's program, or None if it is not installed."""
    paths = (Path(folder) / _GENERATOR for folder in _FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def generate() -> dict[str, str] | None:
    """Return service -> text as a daemon-reload would generate it now, or None without Quadlet."""
    program = find_generator()
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="todo-units-") as folder:
        process.run([str(program), folder, folder, folder], check=False)
        return {path.name: path.read_text() for path in Path(folder).glob("*.service")}


def refuse_rejected() -> None:
    """Raise DeployError with Quadlet's reason if Quadlet would silently skip a file."""
    generated = generate()
    for unit in find_services():
        if generated is not None and unit not in generated:
            raise DeployError(explain_rejected(unit), hint=REMEDY, code=ExitCode.DATA)


def explain_rejected(unit: str) -> str:
    """Render the message that Quadlet rejects a unit's file, and why."""
    container = file_of(unit)
    return f"{REJECTED} {container}: {_reason(container)}"


def _reason(container: str) -> str:
    program = find_generator()
    if program is None:
        return ""
    said = process.run([str(program), "--user", "--dryrun"], check=False).stderr
    lines = [line for line in said.splitlines() if container in line]
    # "quadlet-generator[1234]: converting "NAME": unsupported key …"
    return lines[-1].partition("]: ")[2] or lines[-1] if lines else "it gives no reason"
