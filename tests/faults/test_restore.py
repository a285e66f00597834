"""Faults that a backup is for: the data is gone, and build.py is killed while it restores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.table import Row
from tests.faults.test_machine import kill_at
from tests.faults.traffic import Stopwatch, UnitWatch, is_ready, load
from tests.system import test_restore as system
from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.table import Record
    from tests.system.stack_in_lab import Stack

_STEPS = (("", "3"), ("", "8"))
_AT_MOST_LOST = 1
"""A commit is acknowledged before the WAL receiver has it (docs/backup.md)."""


@pytest.fixture(scope="module")
def backed(installed: Stack) -> Iterator[Stack]:
    """The stack with backups and a fresh one; without them afterwards."""
    installed.up("--backup")
    wait_until(lambda: system.is_received(installed), 600, "WAL arrives")
    installed.build("backup", "--no-lab")
    yield installed
    installed.up("--no-backup")
    installed.podman("unshare", "rm", "-rf", system.FOLDER)


def test_restore_is_killed(backed: Stack, record: Record) -> None:
    with load(backed) as traffic:
        clock = Stopwatch()
        for step, delay_s in _STEPS:
            kill_at(backed, step, delay_s, "restore", "--no-lab")
        killed = clock.seconds
        backed.build("restore", "--no-lab")
        healed = clock.wait(lambda: is_ready(backed), "ready") - killed
    name = f"`restore` killed at {len(_STEPS)} moments"
    remedy = "the same command again; the former data stays in its volume"
    record(Row(name, None, healed, traffic.report, remedy))


def test_the_data_volume_is_lost(backed: Stack, record: Record) -> None:
    wait_until(lambda: system.is_received(backed), 600, "WAL arrives")
    backed.build("backup", "--no-lab")
    volume = system.find_volume(backed)
    watch = UnitWatch(backed, "todo-db")
    with load(backed) as traffic:
        shown = backed.podman("volume", "inspect", "--format={{.Mountpoint}}", volume)
        pid = backed.inspect("todo-db")["State"]["Pid"]
        backed.lab.run(["kill", "-s", "KILL", str(pid)], user="root")
        backed.podman("unshare", "find", shown.stdout.strip(), "-mindepth", "1", "-delete")
        clock = Stopwatch()
        noticed = clock.wait(watch.has_reacted, "noticed")
        backed.build("restore", "--no-lab")
        healed = clock.wait(lambda: is_ready(backed), "ready")
    remedy = "`build.py restore`: the last backup, and the WAL that was received since"
    row = Row("data volume lost", noticed, healed, traffic.report, remedy)
    record(row, may_lose=_AT_MOST_LOST)
