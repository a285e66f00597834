"""Faults of the machine's disk: the power is cut in the middle of writes, and it is full."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from deploy.errors import ExitCode
from tests.faults.power import open_machine_with_power
from tests.faults.table import Row
from tests.faults.traffic import WITHIN_S, Stopwatch, is_ready, load
from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.power import Power
    from tests.faults.table import Record
    from tests.system.stack_in_lab import Stack

_LASTS_S = 10.0
_FILLER = "/home/filler"
# Fills the disk as soon as the build writes to it.
_FILL_DURING = """
python3 /srv/todo-backend/build.py update --no-lab --no-scan --no-cache > update.log 2>&1 &
until grep -q "Building the backend image" update.log || ! kill -0 $!; do sleep 0.1; done
touch building
wait $!
"""
_WRITE_BOTH = "rm -f unflushed && echo $0 > flushed && sync flushed . && echo $0 > unflushed"
_FILL = (
    'fallocate --length $(df --output=avail --block-size=1 /home | tail -1) "$0" || true;'
    ' dd if=/dev/zero bs=4k oflag=append conv=notrunc of="$0" 2>/dev/null || true'
)


@pytest.fixture(scope="module")
def powered() -> Iterator[tuple[Stack, Power]]:
    """The stack in a lab whose disk loses what was not flushed, installed and at rest."""
    with open_machine_with_power() as (stack, power):
        print(stack.up().stdout)  # noqa: T201  # shown with a failure
        stack.lab.run(["sync"], user="root")
        yield stack, power


def test_power_cuts(
    powered: tuple[Stack, Power], record: Record, pytestconfig: pytest.Config
) -> None:
    stack, power = powered
    cuts = pytestconfig.getoption("--power-cuts")
    moments = random.Random(15)  # noqa: S311 - no secret
    healed = []
    with load(stack, f"--max-seconds={cuts * WITHIN_S}") as traffic:
        for number in range(cuts):
            time.sleep(moments.uniform(0.5, 3.0))
            stack.lab.run(["bash", "-c", _WRITE_BOTH, f"{number}"])
            clock = Stopwatch()
            found = power.cut()
            healed.append(clock.wait(lambda: is_ready(stack), "ready"))
            # Shows that the cut is one: of two files, the one that was flushed is left.
            left = stack.lab.run(["bash", "-c", "cat flushed unflushed"], check=False).stdout
            assert left == f"{number}\n", (number, left)
            print(number, f"{healed[-1]:.1f} s", found)  # noqa: T201  # shown with a failure
    stack.build("admin", "verify", "--no-lab")
    remedy = "the boot; PostgreSQL recovers from its WAL"
    record(Row(f"power cut, {cuts} times", None, max(healed), traffic.report, remedy))


def test_a_full_disk(powered: tuple[Stack, Power], record: Record) -> None:
    stack, _ = powered
    with load(stack) as traffic, stack.client("prober") as client:

        def can_write() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answer = client.post("/api/v1/tasks", json={"title": "x" * 200})
                return answer.status_code == httpx.codes.CREATED
            return False

        stack.lab.run(["bash", "-c", _FILL, _FILLER], user="root")
        clock = Stopwatch()
        noticed = clock.wait(lambda: not can_write(), "noticed")
        time.sleep(_LASTS_S)
        stack.lab.run(["rm", _FILLER], user="root")
        clock = Stopwatch()
        stack.up()
        healed = clock.wait(can_write, "healed")
    remedy = "make room, then `build.py up`: Podman ends and starts no container without room"
    record(Row("disk full", noticed, healed, traffic.report, remedy))


def test_a_disk_that_is_full_during_a_build(powered: tuple[Stack, Power], record: Record) -> None:
    stack, _ = powered
    before = stack.inspect("todo-backend")["Image"]
    argv = stack.lab.argv(["bash", "-c", _FILL_DURING])
    with load(stack, "--max-seconds=3600") as traffic:
        with subprocess.Popen(argv) as update:
            wait_until(lambda: _exists(stack, "building"), WITHIN_S, "building")
            stack.lab.run(["bash", "-c", _FILL, _FILLER], user="root")
            clock = Stopwatch()
            update.wait(3600)
            noticed = clock.seconds
        stack.lab.run(["rm", _FILLER], user="root")
        clock = Stopwatch()
        healed = clock.wait(lambda: is_ready(stack), "healed")
    printed = stack.lab.run(["cat", "update.log"]).stdout
    remedy = "the build fails and leaves nothing; make room, and update again"
    record(Row("disk full during a build", noticed, healed, traffic.report, remedy))
    assert update.returncode == ExitCode.NO_SPACE, printed
    assert stack.inspect("todo-backend")["Image"] == before


def _exists(stack: Stack, name: str) -> bool:
    return stack.lab.run(["test", "-e", name], check=False).returncode == 0
