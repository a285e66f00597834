"""Drift between running units and the files that define them (ADR 45).

Three comparisons are needed, because none covers every key. A record of what build.py started would
be wrong after a manual `systemctl restart`. The comparisons are:

- files and loaded unit: the text that Quadlet generates now, against the text of the last
  daemon-reload; for other units systemd's NeedDaemonReload, which ignores Quadlet's drop-ins;
- loaded and running unit: ExecStart against the container's command line, and the addresses of a
  socket against those in the kernel;
- files and running unit: files that changed after the start, for keys that appear in neither.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import command_hints, process
from deploy.stack import definition, ports, quadlet, systemd
from deploy.stack.services import container_of, file_of, find_services, find_sockets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ARGV = re.compile(r"argv\[\]=(.*?) ; ignore_errors=", re.DOTALL)


def find_unread() -> dict[str, str]:
    """Return the units whose files changed since systemd read them: unit -> reason."""
    found = {}
    generated = quadlet.generate()
    for unit in (*find_sockets(), *find_services()):
        shown = systemd.properties(unit, "NeedDaemonReload", "FragmentPath")
        fragment = Path(shown.get("FragmentPath", ""))
        is_socket = unit.endswith(".socket")
        if not is_socket and generated is not None and _is_rejected(unit, generated):
            found[unit] = quadlet.explain_rejected(unit)
        elif shown.get("NeedDaemonReload") == "yes":
            found[unit] = "its files changed since systemd read them"
        elif not is_socket and generated is not None:
            text = generated.get(unit)
            if text is not None and not same_words(text, _read(fragment)):
                found[unit] = "its drop-ins changed since systemd read them"
    return found


def describe(differing: Mapping[str, str]) -> list[str]:
    """Render lines with the differences (unit -> reason) and the command that applies them."""
    lines = [f"{unit} differs from its files: {why}" for unit, why in differing.items()]
    if any(why.startswith(quadlet.REJECTED) for why in differing.values()):
        lines.append(f"{quadlet.REMEDY}, then: {command_hints.build('restart')}")
    elif differing:
        lines.append(f"{command_hints.build('restart')} applies its files")
    return lines


def find_outdated() -> dict[str, str]:
    """Return the units that run with older settings than systemd has loaded: unit -> reason."""
    found = {}
    for unit in (*find_sockets(), *find_services()):
        why = _why_outdated(unit)
        if why:
            found[unit] = why
    return found


def _is_rejected(unit: str, generated: Mapping[str, str]) -> bool:
    return unit not in generated and bool(definition.find_files(file_of(unit)))


def _why_outdated(unit: str) -> str:
    shown = systemd.properties(
        unit,
        "ActiveState",
        "ExecStart",
        "ExecMainStartTimestampMonotonic",
        "ActiveEnterTimestampMonotonic",
    )
    if shown.get("ActiveState") != "active":
        return ""
    is_socket = unit.endswith(".socket")
    if is_socket:
        missing = ports.find_unlistened(unit)
        if missing:
            return f"it does not listen on {missing[0]}"
    elif not _runs_command(unit, shown.get("ExecStart", "")):
        return "its container runs with other settings"
    start = "ActiveEnter" if is_socket else "ExecMainStart"
    started_us = shown.get(f"{start}TimestampMonotonic", "")
    files = definition.find_files(unit if is_socket else file_of(unit))
    newer = _changed_since(files, started_us)
    return f"{newer} changed after its start" if newer else ""


def _runs_command(unit: str, exec_start: str) -> bool:
    """Return whether ExecStart created the unit's container; True without a container."""
    inspect = ["podman", "container", "inspect", "--format={{json .Config.CreateCommand}}"]
    inspected = process.run([*inspect, container_of(unit)], check=False)
    if inspected.returncode != 0:
        return True
    return made_by(json.loads(inspected.stdout), exec_start)


def made_by(command: Sequence[str], exec_start: str) -> bool:
    """Return whether a command line matches ExecStart as printed by `systemctl show`."""
    argv = _ARGV.search(exec_start)
    # systemd prints dollar signs doubled, as in the unit, but passes on single ones.
    return argv is None or same_words(" ".join(command), argv[1].replace("$$", "$"))


def same_words(one: str, other: str) -> bool:
    """Return whether two texts have the same words in any order, as Quadlet varies the order."""
    return sorted(one.split()) == sorted(other.split())


def _changed_since(files: list[Path], started_us: str) -> Path | None:
    if not started_us.isdigit() or int(started_us) == 0:
        return None
    started = time.time() - (time.monotonic() - int(started_us) / 1e6)
    for path in files:
        # Unlike mtime, ctime also changes if a file is moved, or copied with its times.
        with contextlib.suppress(OSError):
            if path.stat().st_ctime > started:
                return path
    return None


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
