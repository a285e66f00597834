"""An update step by step on a machine that only notes what happens to it."""

from __future__ import annotations

import dataclasses
import errno
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import install, local_model, update_state
from deploy.stack.services import BACKEND, CANDIDATE
from deploy.stack.update_state import Image, Record, Refusal
from deploy.update import run, units
from deploy.update.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deploy.stack.install import Link

SECOND = "todo-backend@2.service"
OLD = Image("localhost/todo-backend:1-old", "sha256:old", "1", "old inputs")
NEW = Image("localhost/todo-backend:2-new", "sha256:new", "2", "new inputs")


class KilledError(BaseException):
    """The program was killed: from then on, it does nothing."""


class FakeMachine:
    """Two instances, and the images that they run.

    Attributes:
        events: What happened, in order.
        fails: Event -> what is raised in place of it.
        latest: The image that the units name.
        images: Instance -> the image that it runs.
        installed: The unit files.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.latest = OLD
        self.images = {BACKEND: OLD, SECOND: OLD}
        self.installed: set[str] = set()
        self.has_candidate = False
        self.is_serving = True
        self.is_killed = False

    def _note(self, event: str) -> None:
        self.events.append(event)
        if event in self.fails:
            self.is_killed = isinstance(self.fails[event], KilledError)
            raise self.fails.pop(event)

    def install(self, wanted: Mapping[str, str | Link]) -> None:
        if self.is_killed:
            raise KilledError
        self.installed = set(wanted)

    def point_latest(self, image: Image) -> None:
        if self.is_killed:
            raise KilledError
        self.latest = image

    def find_instances(self) -> tuple[str, ...]:
        return tuple(self.images)

    def runs(self, unit: str, image: Image) -> bool:
        return self.images[unit] == image

    def serves(self) -> bool:
        return self.is_serving

    def open_sockets(self) -> None:
        self.events.append("open")

    def make_restore_point(self, name: str) -> None:
        assert len(name) < 64
        self._note("restore point")

    def migrate(self) -> None:
        assert "todo-update-migrate.container" in self.installed
        self._note("migrate")

    def start_candidate(self) -> None:
        assert "todo-backend@candidate.container" in self.installed
        self.has_candidate = True
        self._note("start")

    def stop_candidate(self) -> None:
        if self.is_killed:
            raise KilledError
        if self.has_candidate:
            self.events.append("stop")
        self.has_candidate = False

    def try_requests(self) -> None:
        self._note("try")

    def watch(self, unit: str, seconds: float | None = None) -> None:
        self._note(f"watch {unit} {seconds}")

    def replace(self, unit: str) -> None:
        assert self.has_candidate
        self.images[unit] = self.latest
        self._note(f"replace {unit}")

    def restore(self, unit: str) -> None:
        self.images[unit] = self.latest
        self._note(f"restore {unit}")

    def finish(self) -> None:
        self._note("finish")

    def discard(self, unwanted: Sequence[Image]) -> None:
        self.events.extend(f"discard {image.reference}" for image in unwanted)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    install.install(local_model.find_units(local_model.UNCHANGED))


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def record() -> Record:
    installed = install.read_installed()
    sources = units.find_sources(installed)
    return Record(
        update_state.UPDATE,
        update_state.MIGRATE,
        OLD,
        NEW,
        installed,
        sources,
        "2026-11-30T05:00:00",
    )


def update(machine: FakeMachine, record: Record) -> None:
    run.run(machine, record, watch_s=20.0, migrates=True)


def fail(machine: FakeMachine, record: Record, event: str, fault: FaultError) -> DeployError:
    machine.fails[event] = fault
    with pytest.raises(DeployError) as caught:
        update(machine, record)
    assert update_state.find_record() is None
    assert machine.latest == OLD
    assert set(machine.images.values()) == {OLD}
    assert machine.installed == set(record.units)
    assert not machine.has_candidate
    return caught.value


def test_the_candidate_serves_before_and_while_the_instances_are_replaced(
    machine: FakeMachine, record: Record
) -> None:
    update(machine, record)
    tried = ["start", "try"]
    assert machine.events == [
        *("restore point", "migrate"),
        *(*tried, "stop", *tried, f"watch {CANDIDATE} 20.0"),
        *("open", f"replace {BACKEND}", f"watch {BACKEND} None"),
        *(f"replace {SECOND}", f"watch {SECOND} None"),
        *("stop", "finish"),
    ]
    assert machine.latest == NEW
    assert machine.installed == set(record.units)
    assert [each.image for each in update_state.find_kept()] == [OLD, NEW]
    assert update_state.find_history()[-1].result == run.UPDATED
    assert update_state.find_record() is None


def test_where_nothing_serves_the_instances_are_replaced_after_the_trial(
    machine: FakeMachine, record: Record
) -> None:
    machine.is_serving = False
    run.run(
        machine,
        dataclasses.replace(record, kind=update_state.ROLLBACK),
        watch_s=20.0,
        migrates=False,
    )
    assert machine.events[:4] == ["start", "try", "open", f"replace {BACKEND}"]
    assert set(machine.images.values()) == {NEW}


@pytest.mark.parametrize("event", ["migrate", "start", "try"])
def test_a_fault_before_the_candidate_serves_touches_no_instance(
    machine: FakeMachine, record: Record, event: str
) -> None:
    error = fail(machine, record, event, FaultError("it ended", CANDIDATE, log=("oh",)))
    assert error.code == ExitCode.REFUSED
    assert "it ended" in error.message
    (refusal,) = update_state.find_refused()
    assert (refusal.image, refusal.reason, refusal.log) == (NEW, "it ended", ("oh",))
    touched = ("replace", "restore todo-")
    assert not [each for each in machine.events if each.startswith(touched)]


def test_a_fault_while_the_candidate_serves_ends_it_at_once(
    machine: FakeMachine, record: Record
) -> None:
    event = f"watch {CANDIDATE} 20.0"
    error = fail(machine, record, event, FaultError("errors", CANDIDATE))
    assert error.code == ExitCode.ROLLED_BACK
    assert machine.events[machine.events.index(event) + 1] == "stop"


def test_a_fault_of_an_instance_brings_the_former_image_back_while_the_candidate_serves(
    machine: FakeMachine, record: Record
) -> None:
    error = fail(machine, record, f"replace {SECOND}", FaultError("it ended", SECOND))
    assert error.code == ExitCode.ROLLED_BACK
    assert machine.events[-4:] == [
        *(f"restore {BACKEND}", f"restore {SECOND}"),
        *("stop", f"discard {NEW.reference}"),
    ]


def test_a_fault_of_the_candidate_ends_it_before_the_instances_go_back(
    machine: FakeMachine, record: Record
) -> None:
    fail(machine, record, f"watch {BACKEND} None", FaultError("errors", CANDIDATE))
    assert machine.events[-3:-1] == ["stop", f"restore {BACKEND}"]


def test_the_units_name_the_running_image_while_another_one_is_tried(
    machine: FakeMachine, record: Record
) -> None:
    # As after a build by hand.
    machine.latest = NEW
    machine.fails["restore point"] = SystemExit()
    with pytest.raises(SystemExit):
        update(machine, record)
    assert machine.latest == OLD


def test_what_is_not_the_image_s_fault_does_not_refuse_it(
    machine: FakeMachine, record: Record
) -> None:
    event = f"watch {CANDIDATE} 20.0"
    fail(machine, record, event, FaultError("not ready", CANDIDATE, of_image=False))
    assert update_state.find_refused() == []


def test_the_stack_goes_back_although_the_list_of_refused_images_cannot_be_written(
    machine: FakeMachine, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_refusal: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(update_state, "refuse", fill)
    machine.fails[f"replace {SECOND}"] = FaultError("it ended", SECOND)
    with pytest.raises(OSError, match="No space"):
        update(machine, record)
    assert set(machine.images.values()) == {OLD}
    assert machine.latest == OLD
    assert not machine.has_candidate


def test_a_rollback_that_fails_does_not_refuse_the_image(
    machine: FakeMachine, record: Record
) -> None:
    update_state.keep(update_state.KeptImage(NEW, {}))
    rollback = dataclasses.replace(record, kind=update_state.ROLLBACK)
    fail(machine, rollback, "try", FaultError("it ended", CANDIDATE))
    assert update_state.find_refused() == []
    # It is kept as before.
    assert f"discard {NEW.reference}" not in machine.events


@pytest.mark.parametrize(
    "failure", [DeployError("podman failed"), KeyboardInterrupt(), SystemExit(15)]
)
def test_a_failure_or_a_signal_goes_back_as_well(
    machine: FakeMachine, record: Record, failure: BaseException
) -> None:
    machine.fails[f"watch {BACKEND} None"] = failure
    with pytest.raises(type(failure)):
        update(machine, record)
    assert set(machine.images.values()) == {OLD}
    assert machine.events[-1] == f"discard {NEW.reference}"
    assert update_state.find_history()[-1].result == run.FAILED
    assert update_state.find_refused() == []


def test_a_way_back_that_fails_keeps_the_record_and_the_candidate(
    machine: FakeMachine, record: Record
) -> None:
    machine.fails = {
        f"replace {SECOND}": FaultError("it ended", SECOND),
        f"restore {BACKEND}": DeployError("no"),
    }
    with pytest.raises(DeployError, match="the return to") as caught:
        update(machine, record)
    assert caught.value.code == ExitCode.NOT_ROLLED_BACK
    assert machine.has_candidate
    assert update_state.find_record() is not None
    assert update_state.find_refused() != []


@pytest.mark.parametrize(
    "event",
    ["restore point", "migrate", "start", "try", f"watch {CANDIDATE} 20.0", f"replace {SECOND}"],
)
def test_an_update_that_was_killed_is_undone_by_the_next_command(
    machine: FakeMachine, record: Record, event: str
) -> None:
    machine.fails[event] = KilledError()
    with pytest.raises(KilledError):
        update(machine, record)
    machine.is_killed = False
    found = update_state.find_record()
    assert found is not None
    assert "as before" in run.recover(machine, found)
    assert set(machine.images.values()) == {OLD}
    assert machine.latest == OLD
    assert machine.installed == set(record.units)
    assert machine.events[-1] == f"discard {NEW.reference}"
    assert update_state.find_record() is None
    assert update_state.find_history()[-1].result == run.INTERRUPTED
    assert update_state.find_refused() == []


def test_a_restore_is_possible_although_the_instances_do_not_start(
    machine: FakeMachine, record: Record
) -> None:
    interrupted = dataclasses.replace(record, step=update_state.SWITCH)
    update_state.write_record(interrupted)
    machine.images[BACKEND] = machine.latest = NEW
    machine.fails[f"restore {BACKEND}"] = DeployError("todo-db.service failed")
    run.recover(machine, interrupted, must_start=False)
    assert machine.latest == OLD
    assert machine.installed == set(record.units)
    # Otherwise the next command would bring back the volume of before the restore.
    assert update_state.find_record() is None


def test_an_update_that_was_killed_at_its_end_is_finished(
    machine: FakeMachine, record: Record
) -> None:
    machine.fails["finish"] = KilledError()
    with pytest.raises(KilledError):
        update(machine, record)
    machine.is_killed = False
    found = update_state.find_record()
    assert found is not None
    assert "finished" in run.recover(machine, found)
    assert set(machine.images.values()) == {NEW}
    assert [each.image for each in update_state.find_kept()] == [OLD, NEW]


def test_what_runs_is_not_refused_for_another_image_of_the_same_inputs(
    machine: FakeMachine, record: Record
) -> None:
    for image in (dataclasses.replace(NEW, digest="sha256:older"), OLD):
        update_state.refuse(Refusal(image, "it ended", (), "then"))
    update(machine, record)
    assert [each.image for each in update_state.find_refused()] == [OLD]


def test_the_last_three_images_stay(machine: FakeMachine, record: Record) -> None:
    images = [Image(f"localhost/todo-backend:{n}", f"sha256:{n}") for n in range(4)]
    for image in images:
        update_state.keep(update_state.KeptImage(image, {}))
    assert [each.image for each in update_state.find_kept()] == images[1:]
    update(machine, record)
    # The former one is from `up`, so two make room.
    assert machine.events[-2:] == [f"discard {each.reference}" for each in images[1:3]]
