"""Faults of the backend's process, and of one instance among several."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from deploy.host import cgroup
from tests.faults.table import Row
from tests.faults.traffic import Stopwatch, UnitWatch, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.table import Record
    from tests.system.stack_in_lab import Stack

_SECOND = "todo-backend@2"
_DROPIN = f".config/containers/systemd/{_SECOND}.container.d"
_ENDS_AT_ONCE = '[Container]\nEntrypoint=/usr/bin/python3\nExec=-c "raise SystemExit(9)"\n'


@pytest.mark.parametrize(
    ("signal", "fault", "remedy"),
    [
        ("KILL", "process killed", "systemd starts it again; connections wait in the socket"),
        ("STOP", "process hangs", "the health check kills it, systemd starts it again"),
    ],
)
def test_a_process(stack: Stack, record: Record, signal: str, fault: str, remedy: str) -> None:
    watch = UnitWatch(stack, "todo-backend")
    with load(stack) as traffic:
        stack.signal_server(signal)
        clock = Stopwatch()
        noticed = clock.wait(watch.has_reacted, "noticed")
        healed = clock.wait(watch.is_healed, "healed")
    record(Row(fault, noticed, healed, traffic.report, remedy))


def test_a_memory_leak(record: Record) -> None:
    controllers = cgroup.controllers()
    assert "memory" not in controllers, "this host can reach the limit: write the fault"
    remedy = "not reached here: MemoryMax= takes a memory controller, which this host lacks"
    record(Row("memory leak to the limit", None, None, None, remedy))


@contextlib.contextmanager
def _instances(stack: Stack, number: int) -> Iterator[None]:
    stack.up(f"--instances={number}")
    try:
        yield
    finally:
        stack.up("--instances=1")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_rolling_restart(stack: Stack, record: Record, number: int) -> None:
    with _instances(stack, number):
        with load(stack) as traffic:
            clock = Stopwatch()
            stack.build("restart", "--no-lab")
            seconds = clock.seconds
        remedy = "one instance at a time; the others, or the socket, take what arrives"
        name = f"no fault: restart of {number} instance{'s' if number > 1 else ''}"
        record(Row(name, None, seconds, traffic.report, remedy))
    assert traffic.report["lost"] == 0, traffic.report


def test_an_instance_that_fails_for_ever(
    stack: Stack, record: Record, pytestconfig: pytest.Config
) -> None:
    seconds = pytestconfig.getoption("--failing-seconds")
    file = f"{_DROPIN}/95-broken.conf"
    with _instances(stack, 2):
        watch = UnitWatch(stack, _SECOND)
        stack.lab.run(["tee", file], stdin=_ENDS_AT_ONCE)
        try:
            stack.systemctl("daemon-reload")
            with load(stack) as traffic:
                clock = Stopwatch()
                stack.systemctl("restart", "--no-block", _SECOND)
                noticed = clock.wait(watch.has_reacted, "noticed")
                time.sleep(max(0.0, seconds - clock.seconds))
                assert stack.show(_SECOND, "ActiveState") == "activating"
                assert int(stack.show(_SECOND, "NRestarts")) >= 3
                assert stack.show("todo-backend.socket", "ActiveState") == "active"
                stack.lab.run(["rm", "-f", file])
                stack.systemctl("daemon-reload")
                clock = Stopwatch()
                stack.systemctl("restart", _SECOND)
                healed = clock.seconds
        finally:
            stack.lab.run(["rm", "-f", file])
            stack.systemctl("daemon-reload")
        remedy = "the other instance serves; once its cause is gone, a restart"
        name = f"one of 2 instances crashes for {seconds:g} s"
        record(Row(name, noticed, healed, traffic.report, remedy))
    assert traffic.report["lost"] == 0, traffic.report


def test_a_killed_instance_among_two(stack: Stack, record: Record) -> None:
    with _instances(stack, 2):
        watch = UnitWatch(stack, _SECOND)
        with load(stack) as traffic:
            pid = stack.inspect("todo-backend-2")["State"]["Pid"]
            stack.lab.run(["kill", "-s", "KILL", str(pid)], user="root")
            clock = Stopwatch()
            noticed = clock.wait(watch.has_reacted, "noticed")
            healed = clock.wait(watch.is_healed, "healed")
        remedy = "systemd starts it again; the other instance serves"
        record(Row("one of 2 instances killed", noticed, healed, traffic.report, remedy))
