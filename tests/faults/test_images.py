"""Bad images: an update that meets one goes back by itself, and refuses it the second time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.errors import ExitCode
from tests.faults.table import Row
from tests.faults.traffic import Stopwatch, load
from tests.machine_clock import CLOCK
from tests.system import test_update, update_images
from tests.system.stack_in_lab import BUILD

if TYPE_CHECKING:
    from tests.faults.table import Record
    from tests.system.stack_in_lab import Stack

_STATE = "home/todo/.local/state/todo-backend/update"
_MAX_NOTICED_S = 20.0
_MAX_UNDONE_S = 5.0
_POLL_S = 0.02
_ANYHOW = ("--no-scan", "--without-backup-check")
_BLOCKED_S = 20
# The migration has to change the row of that table; everybody else reads it.
_BLOCK = f"BEGIN; LOCK TABLE alembic_version IN SHARE MODE; SELECT pg_sleep({_BLOCKED_S})"
_LATE = {ExitCode.REFUSED, ExitCode.ROLLED_BACK}
"""On a slow machine, the trial lasts long enough to see it."""
_BAD = (
    ("exits", "exits at once", {ExitCode.REFUSED}),
    ("never-ready", "is never ready", {ExitCode.REFUSED}),
    ("errors", "answers 5xx", {ExitCode.REFUSED}),
    ("silent", "does not answer", {ExitCode.REFUSED}),
    ("slow", "is slow", {ExitCode.REFUSED}),
    ("late-errors", "answers 5xx after 15 s", _LATE),
    ("crashes", "crashes after 15 s", _LATE),
    ("hangs", "hangs after 10 s", _LATE),
    ("migration-fails", "has a migration that fails", {ExitCode.REFUSED}),
)


@dataclasses.dataclass(frozen=True)
class Moment:
    """A moment on two clocks: the wall's, and the one that slows down with the machine."""

    wall: float = dataclasses.field(default_factory=time.monotonic)
    counted: float = dataclasses.field(default_factory=CLOCK.now)


class _Watch:
    """Sees what an update writes down, from the outside of the lab.

    Args:
        stack: Where.
    """

    def __init__(self, stack: Stack) -> None:
        self._folder = Path(f"/proc/{stack.lab.pid}/root") / _STATE
        self._refused = self._read("refused.json")
        self._step = ""
        self.entered = Moment()
        """When the last step began."""
        self.noticed: Moment | None = None
        """When the image was refused."""

    def look(self) -> None:
        """Look at the files."""
        step = (self._read("record.json") or {}).get("step", "")
        if step != self._step:
            if step and self.noticed is None:
                self.entered = Moment()
            self._step = step
        if self.noticed is None and self._read("refused.json") != self._refused:
            self.noticed = Moment()

    def _read(self, name: str) -> Any:  # noqa: ANN401 - JSON
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self._folder / name).read_text(encoding="utf-8"))
        return None


@dataclasses.dataclass(frozen=True)
class _Update:
    """An update that ended.

    Args:
        code: Its exit code.
        printed: What it printed.
        entered: When the step began in which the image was found to be bad, or the last one.
        noticed: When that was; None for a good image.
        ended: When it ended.
    """

    code: int
    printed: str
    entered: Moment
    noticed: Moment | None
    ended: Moment


def _update(stack: Stack, *words: str) -> _Update:
    watch = _Watch(stack)
    argv = stack.lab.argv([*BUILD, "update", "--no-lab", *_ANYHOW, *words])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        while run.poll() is None:
            CLOCK.now()  # it has to see how busy the machine is
            watch.look()
            time.sleep(_POLL_S)
        ended = Moment()
        assert run.stdout is not None
        printed = run.stdout.read()
    print(printed)  # noqa: T201  # shown with a failure
    return _Update(run.returncode, printed, watch.entered, watch.noticed, ended)


updated = test_update.updated
"""The stack; on the image of the checkout again afterwards, without what updates keep."""


@pytest.fixture(scope="module", autouse=True)
def _images(updated: Stack) -> None:
    """Every image, made of the one that runs before any update."""
    for name in ("good", "expands", "contracts", *(each[0] for each in _BAD)):
        update_images.make(updated, name)


@pytest.mark.parametrize(("name", "what", "codes"), _BAD, ids=[each[0] for each in _BAD])
def test_a_bad_image(
    stack: Stack, record: Record, name: str, what: str, codes: set[ExitCode]
) -> None:
    image = f"--image=localhost/update-test:{name}"
    before = stack.inspect("todo-backend")["Image"]
    with load(stack) as traffic:
        done = _update(stack, image)
    assert done.noticed is not None, done.printed
    noticed_s = done.noticed.wall - done.entered.wall
    ended_s = done.ended.wall - done.entered.wall
    refused = done.code == ExitCode.REFUSED
    remedy = "refused in the trial" if refused else "rolled back in the watch"
    record(Row(f"image {what}", noticed_s, ended_s, traffic.report, remedy))
    assert done.code in codes
    again = _update(stack, image)
    assert again.code == ExitCode.REFUSED
    assert "was refused" in again.printed
    assert stack.inspect("todo-backend")["Image"] == before
    if refused:
        assert traffic.report["lost"] == 0, traffic.report
    # As on a machine without other work.
    assert done.noticed.counted - done.entered.counted <= _MAX_NOTICED_S
    assert done.ended.counted - done.noticed.counted <= _MAX_UNDONE_S


def test_an_image_that_ends_the_running_program(stack: Stack, record: Record) -> None:
    with load(stack) as traffic:
        clock = Stopwatch()
        done = _update(stack, "--image=localhost/update-test:contracts")
        seconds = clock.seconds
    remedy = "refused before anything is touched"
    record(Row("image needs a newer schema", seconds, seconds, traffic.report, remedy))
    assert done.code == ExitCode.REFUSED
    assert traffic.report["lost"] == 0, traffic.report


def test_a_good_image(stack: Stack, record: Record) -> None:
    with load(stack) as traffic:
        clock = Stopwatch()
        done = _update(stack, "--image=localhost/update-test:good")
        seconds = clock.seconds
    remedy = "the candidate and the instances serve in turn"
    record(Row("no fault: a good image", None, seconds, traffic.report, remedy))
    assert done.code == 0
    assert traffic.report["lost"] == 0, traffic.report


def test_update_is_killed_at_its_steps(stack: Stack, record: Record) -> None:
    image = update_images.make(stack, "other")
    healed = []
    with load(stack) as traffic:
        for step in ("try", "watch", "switch"):
            stack.lab.run(["bash", "-c", test_update.KILLED, step, image], timeout_s=3600)
            clock = Stopwatch()
            stack.build("restart", "--no-lab")
            healed.append(clock.seconds)
    remedy = "the next command goes back, or finishes what only needs cleaning up"
    record(Row("`update` killed at 3 steps", None, max(healed), traffic.report, remedy))
    assert traffic.report["lost"] == 0, traffic.report


def test_a_migration_that_a_long_transaction_blocks(stack: Stack, record: Record) -> None:
    psql = ("psql", "--host=/run/todo", "--username=postgres", "--dbname=todo", "--no-psqlrc")
    argv = stack.lab.argv(["podman", "exec", "todo-db", *psql, f"--command={_BLOCK}"])
    with load(stack) as traffic:
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as blocker:
            done = _update(stack, "--image=localhost/update-test:expands")
        assert blocker.returncode == 0
    remedy = "its lock_timeout: it lets others pass and begins anew, until the transaction ends"
    name = f"migration blocked for {_BLOCKED_S} s"
    record(Row(name, None, None, traffic.report, remedy))
    assert done.code == 0
    assert traffic.report["lost"] == 0, traffic.report
