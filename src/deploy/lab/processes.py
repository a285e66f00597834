"""Processes of a lab, found in the /proc of this host."""

from __future__ import annotations

import contextlib
from pathlib import Path

_PROC = Path("/proc")


def parse_status(text: str) -> tuple[int, tuple[int, ...]]:
    """Return the parent's PID and the PIDs by namespace, outermost first, from /proc/PID/status."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields["PPid"]), tuple(int(number) for number in fields["NSpid"].split())


def find_child(parent: int) -> int | None:
    """Return the first child of a process, or None."""
    return next((pid for pid, (ppid, _) in _table().items() if ppid == parent), None)


def find_inner_init(keeper: int) -> int | None:
    """Return the process that is process 1 in the lab of a supervisor, or None before the boot.

    The supervisor is process 1 of its own namespace; the lab's systemd is one level deeper.
    """
    table = _table()
    if keeper not in table:
        return None
    depth = len(table[keeper][1]) + 1
    for pid, (_, ids) in table.items():
        if ids[-1] == 1 and len(ids) == depth and _descends(pid, keeper, table):
            return pid if _runs_systemd(pid) else None
    return None


def _runs_systemd(pid: int) -> bool:
    """Return whether the process already runs systemd; until then, it sees the host's files."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return (_PROC / str(pid) / "comm").read_text().strip() == "systemd"
    return False


def _descends(pid: int, ancestor: int, table: dict[int, tuple[int, tuple[int, ...]]]) -> bool:
    while pid in table and pid != ancestor:
        pid = table[pid][0]
    return pid == ancestor


def _table() -> dict[int, tuple[int, tuple[int, ...]]]:
    found = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            # The process may exit in the meantime.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[int(folder.name)] = parse_status((folder / "status").read_text())
    return found
