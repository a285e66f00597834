"""Kills at each step of an upgrade or a return, and recovery by the next command."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError
from deploy.upgrade import record, steps
from deploy.upgrade.record import Step
from tests.unit.deploy.upgrade.fake_machine import OLD, FakeMachine, KilledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from deploy.upgrade.record import Record

EVENTS: dict[str, Callable[[FakeMachine], None]] = {
    "nothing": lambda _: None,
    "crash": FakeMachine.crash,
    "reboot": FakeMachine.reboot,
}


@dataclasses.dataclass
class World:
    """A machine, its record, and what its clients got acknowledged."""

    machine: FakeMachine
    file: Path
    written: list[str] = dataclasses.field(default_factory=list)

    def write(self) -> None:
        text = f"write {len(self.written)}"
        if self.machine.write(text):
            self.written.append(text)

    def upgrade(self) -> None:
        # As the command does.
        found = record.read(self.file)
        if found is None or found.step is not Step.DONE:
            steps.run(self.machine, "17", "18", self.file)

    def go_back(self, *, lose_writes: bool = False) -> Sequence[str]:
        """Returns what the former volume lacks."""
        # As the command does.
        if steps.cancel(self.machine, self.file):
            return ()
        return steps.go_back(self.machine, self.file, lose_writes=lose_writes).lost

    def is_killed(self, act: Callable[[], object], place: int) -> bool:
        """Do something that is killed at a place; False where it ends before."""
        self.machine.revive()
        self.machine.dies_at = place
        try:
            act()
        except KilledError:
            return True
        finally:
            self.machine.revive()
        return False


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """Makes worlds; only the newest one is in use."""
    worlds: list[World] = []

    def write(file: Path, found: Record) -> None:
        worlds[-1].machine.pass_place()
        # Without a flush to the disk, which takes its time.
        file.write_text(json.dumps(dataclasses.asdict(found)))
        worlds[-1].machine.pass_place()

    def remove(file: Path) -> None:
        worlds[-1].machine.pass_place()
        record.remove(file)
        worlds[-1].machine.pass_place()

    def make() -> World:
        worlds.append(World(FakeMachine(), tmp_path / "upgrade-db.json"))
        record.remove(worlds[-1].file)
        worlds[-1].write()
        return worlds[-1]

    monkeypatch.setattr(steps, "write", write)
    monkeypatch.setattr(steps, "remove", remove)
    return make


def find_places(
    make: Callable[[], World], prepare: Callable[[World], None], act: Callable[[World], object]
) -> Iterator[tuple[int, World]]:
    """A world for each place at which an act is killed."""
    place = 0
    while True:
        place += 1
        world = make()
        prepare(world)
        if not world.is_killed(functools.partial(act, world), place):
            # Otherwise the test would test nothing.
            assert place > 20
            return
        yield place, world


def pass_time(world: World, event: str) -> None:
    """Simulate the time after a kill: writes, a backup, and optionally another start."""
    found = record.read(world.file)
    if not world.machine.is_writable:
        # `status` says so.
        assert found is not None
        assert found.step is not Step.DONE
    world.write()
    EVENTS[event](world.machine)
    world.write()
    world.machine.back_up()


def assert_upgraded(world: World) -> None:
    machine = world.machine
    assert machine.running == machine.starts == machine.loaded
    assert machine.running[0] == machine.latest == "18"
    assert machine.is_writable
    assert machine.has_backups_on
    assert set(machine.volumes) == {OLD[1], machine.running[1]}
    found = record.read(world.file)
    assert found is not None
    assert found.step is Step.DONE
    # Nothing is lost, and each folder has the backups of one database.
    assert machine.volumes[machine.running[1]] == world.written
    assert {major for major, _ in machine.backups} == {"18"}
    (left,) = machine.left.values()
    assert {major for major, _ in left} == {"17"}


def assert_returned(world: World) -> None:
    machine = world.machine
    assert machine.running == machine.starts == machine.loaded == OLD
    assert machine.latest == "17"
    assert machine.is_writable
    assert machine.has_backups_on
    assert record.read(world.file) is None
    assert {major for major, _ in machine.backups} == {"17"}
    lefts = [sorted({major for major, _ in left}) for left in machine.left.values()]
    assert lefts in ([], [["17"]], [["17"], ["18"]])


def assert_refused(world: World, error: DeployError) -> None:
    """A return was refused, and the stack serves as before."""
    assert "would be lost: task" in error.message
    assert world.machine.running == world.machine.starts
    assert world.machine.running[0] == "18"
    assert world.machine.is_writable
    assert world.machine.has_backups_on
    found = record.read(world.file)
    assert found is not None
    assert found.step in {Step.DONE, Step.SWITCH}


@pytest.mark.parametrize("event", EVENTS)
def test_an_upgrade_that_is_killed_anywhere_is_finished_by_the_same_command(
    make_world: Callable[[], World], event: str
) -> None:
    for _, world in find_places(make_world, lambda _: None, World.upgrade):
        pass_time(world, event)
        world.upgrade()
        assert_upgraded(world)


def test_an_upgrade_that_is_killed_twice_is_finished_all_the_same(
    make_world: Callable[[], World],
) -> None:
    count = sum(1 for _ in find_places(make_world, lambda _: None, World.upgrade))
    for first in range(1, count + 1, 2):
        second = 0
        is_killed = True
        while is_killed:
            second += 1
            world = make_world()
            assert world.is_killed(world.upgrade, first)
            pass_time(world, "nothing")
            is_killed = world.is_killed(world.upgrade, second)
            if is_killed:
                pass_time(world, "reboot" if second % 2 else "nothing")
                world.upgrade()
            assert_upgraded(world)


@pytest.mark.parametrize("event", EVENTS)
def test_an_upgrade_that_is_killed_anywhere_can_be_gone_back_from(
    make_world: Callable[[], World], event: str
) -> None:
    for _, world in find_places(make_world, lambda _: None, World.upgrade):
        pass_time(world, event)
        if not world.file.exists():
            continue
        try:
            world.go_back()
        except DeployError as error:
            assert_refused(world, error)
            world.go_back(lose_writes=True)
        else:
            assert world.machine.volumes[OLD[1]] == world.written
        assert_returned(world)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("lose_writes", [True, False])
def test_a_return_that_is_killed_anywhere_is_finished_by_the_same_command(
    make_world: Callable[[], World], event: str, *, lose_writes: bool
) -> None:
    def prepare(world: World) -> None:
        world.upgrade()
        if lose_writes:
            world.write()

    def act(world: World) -> None:
        world.go_back(lose_writes=lose_writes)

    for _, world in find_places(make_world, prepare, act):
        pass_time(world, event)
        if world.file.exists():
            try:
                lost = world.go_back()
            except DeployError as error:
                assert_refused(world, error)
                world.go_back(lose_writes=True)
            else:
                assert lose_writes or lost or world.machine.volumes[OLD[1]] == world.written
        assert_returned(world)


@pytest.mark.parametrize("event", EVENTS)
def test_a_start_lets_writes_be_accepted_after_an_upgrade_that_is_killed_anywhere(
    make_world: Callable[[], World], event: str
) -> None:
    for _, world in find_places(make_world, lambda _: None, World.upgrade):
        pass_time(world, event)
        assert steps.end_refusal(world.machine, world.file) in {"", "canceled", "finished"}
        world.write()
        # What is written from now on must be there after the next start.
        world.machine.reboot()
        assert world.machine.is_writable
        assert world.machine.volumes[world.machine.running[1]] == world.written
        assert len(world.written) >= 2
        world.upgrade()
        assert_upgraded(world)


@pytest.mark.parametrize("event", EVENTS)
def test_a_start_lets_writes_be_accepted_after_a_return_that_is_killed_anywhere(
    make_world: Callable[[], World], event: str
) -> None:
    for _, world in find_places(make_world, World.upgrade, World.go_back):
        pass_time(world, event)
        steps.end_refusal(world.machine, world.file)
        before = len(world.written)
        world.write()
        assert len(world.written) == before + 1
        assert world.machine.running == world.machine.starts
        found = record.read(world.file)
        if found is not None and found.step is Step.DONE:
            assert_upgraded(world)
            continue
        if found is not None:
            world.go_back()
        assert_returned(world)


@pytest.mark.parametrize(
    "call", ["refuse_writes", "copy", "hold", "point", "stop_backups", "release"]
)
def test_ctrl_c_before_the_switch_lets_writes_be_accepted_again(
    make_world: Callable[[], World], call: str
) -> None:
    world = make_world()
    world.machine.interrupted = call
    with pytest.raises(KeyboardInterrupt):
        world.upgrade()
    assert world.machine.is_writable
    assert world.machine.has_backups_on
    assert world.machine.running == world.machine.starts == OLD
    assert record.read(world.file) is None


@pytest.mark.parametrize("call", ["refuse_writes", "find_changes", "stop_backups", "release"])
def test_ctrl_c_while_the_former_server_is_compared_again_starts_over(
    make_world: Callable[[], World], call: str
) -> None:
    world = make_world()
    world.machine.interrupted = "restart"
    with pytest.raises(KeyboardInterrupt):
        world.upgrade()
    world.machine.interrupted = call
    with pytest.raises(KeyboardInterrupt):
        world.upgrade()
    assert world.machine.is_writable
    assert world.machine.running == world.machine.starts == OLD
    world.upgrade()
    assert_upgraded(world)


@pytest.mark.parametrize("call", ["refuse_writes", "find_changes"])
def test_ctrl_c_before_a_return_lets_writes_be_accepted_again(
    make_world: Callable[[], World], call: str
) -> None:
    world = make_world()
    world.upgrade()
    world.machine.interrupted = call
    with pytest.raises(KeyboardInterrupt):
        world.go_back()
    assert_upgraded(world)


def test_a_start_that_fails_and_is_given_up_can_be_killed_anywhere(
    make_world: Callable[[], World],
) -> None:
    def fail(world: World) -> None:
        # The new server starts, and the backend does not.
        whole = FakeMachine.restart
        ends = iter([DeployError("todo-backend does not start")])

        def restart() -> str:
            url = whole(world.machine)
            for error in ends:
                raise error
            return url

        world.machine.restart = restart  # type: ignore[method-assign]

    def act(world: World) -> None:
        with pytest.raises(DeployError, match="does not start"):
            world.upgrade()

    for _, world in find_places(make_world, fail, act):
        pass_time(world, "nothing")
        with contextlib.suppress(DeployError):
            # It fails then, where it was killed before.
            world.upgrade()
        world.upgrade()
        assert_upgraded(world)
