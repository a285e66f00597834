"""The order of an upgrade's steps, and what a crash between any two of them leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.upgrade import record, steps
from deploy.upgrade.record import Step
from tests.unit.deploy.upgrade.fake_machine import DOWN, NEW, OLD, FakeMachine, KilledError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "upgrade-db.json"


def upgrade(machine: FakeMachine, file: Path) -> steps.Outcome:
    return steps.run(machine, *("17", "18"), file)


def kill(machine: FakeMachine, file: Path, before: str) -> None:
    machine.killed = before
    with pytest.raises(KilledError):
        upgrade(machine, file)
    machine.revive()


def test_an_upgrade_switches_once_the_copy_is_complete(file: Path) -> None:
    machine = FakeMachine()
    outcome = upgrade(machine, file)
    assert machine.calls == [
        *("refuse_writes", "copy", "keep_image", "hold", "point", "stop_backups"),
        *("release", "restart", "settle", "set_apart"),
    ]
    assert machine.running == machine.starts == NEW
    assert machine.is_writable
    assert set(machine.volumes) == {"todo-data", NEW[1]}
    found = record.read(file)
    assert found == outcome.record
    assert found is not None
    assert (found.step, found.content) == (Step.DONE, {"task": ""})
    assert outcome.copied is not None
    assert outcome.refused_s is not None


@pytest.mark.parametrize("call", ["refuse_writes", "copy", "hold", "point"])
def test_a_failure_before_the_switch_leaves_the_former_server(file: Path, call: str) -> None:
    machine = FakeMachine(fails=call)
    with pytest.raises(DeployError, match=call):
        upgrade(machine, file)
    assert machine.running == machine.starts == OLD
    assert machine.is_writable
    assert set(machine.volumes) == {"todo-data"}
    assert record.read(file) is None


def test_a_new_server_that_does_not_start_is_given_up(file: Path) -> None:
    machine = FakeMachine()
    restart = machine.restart
    ends = iter([DeployError("todo-db does not start")])

    def fail_once() -> str:
        machine.reboot()
        for error in ends:
            raise error
        return restart()

    machine.restart = fail_once  # type: ignore[method-assign]
    with pytest.raises(DeployError, match="does not start"):
        upgrade(machine, file)
    assert machine.running == machine.starts == OLD
    assert machine.calls[-1] == "resume_backups"
    assert set(machine.volumes) == {"todo-data"}


@pytest.mark.parametrize("before", ["restart", "settle"])
def test_an_upgrade_that_may_have_served_is_not_left_for_the_former_data(
    file: Path, before: str
) -> None:
    machine = FakeMachine()
    kill(machine, file, before)
    # It served for a while, and does not start any more.
    machine.running = DOWN
    machine.fails = "wait" if before == "settle" else "restart"
    with pytest.raises(DeployError, match=machine.fails) as caught:
        upgrade(machine, file)
    assert caught.value.hint == (
        "python3 build.py logs db; to go back and discard writes: "
        "python3 build.py upgrade-db --back --lose-writes"
    )
    assert machine.starts == NEW
    assert set(machine.volumes) == {"todo-data", NEW[1]}
    # What the hint says works without its server.
    machine.running = DOWN
    back = go_back(machine, file, lose_writes=True)
    assert back.lost == ("all writes since the upgrade",)
    assert machine.running == machine.starts == OLD
    assert set(machine.volumes) == {"todo-data", NEW[1]}


def test_a_new_server_that_took_writes_is_kept_although_the_start_failed(file: Path) -> None:
    machine = FakeMachine(changes=["journal: 1 -> 2 rows"], fails="restart", running=NEW)
    with pytest.raises(DeployError, match="restart"):
        upgrade(machine, file)
    assert machine.starts == NEW
    upgrade(machine, file)
    assert machine.running == NEW


@pytest.mark.parametrize("before", ["copy", "hold", "point", "release"])
@pytest.mark.parametrize("reboots", ["reboots", ""])
def test_a_kill_before_the_switch_leaves_the_former_server(
    file: Path, before: str, reboots: str
) -> None:
    machine = FakeMachine()
    kill(machine, file, before)
    assert machine.starts == OLD
    if reboots:
        machine.reboot()
    # The same command starts over.
    upgrade(machine, file)
    assert machine.running == NEW
    assert set(machine.volumes) == {"todo-data", machine.running[1]}


def test_a_kill_after_the_switch_is_finished_by_the_same_command(file: Path) -> None:
    machine = FakeMachine()
    kill(machine, file, "restart")
    assert (machine.starts, machine.running) == (NEW, OLD)
    outcome = upgrade(machine, file)
    assert machine.running == NEW
    assert outcome.copied is None
    assert machine.calls.count("copy") == 1


def test_the_former_server_refuses_writes_while_it_is_compared(file: Path) -> None:
    machine = FakeMachine()
    kill(machine, file, "restart")
    # It was started again by systemd, which did not know of the new one.
    machine.is_writable = True
    upgrade(machine, file)
    assert machine.calls[-8:-3] == [
        *("hold", "refuse_writes", "find_changes", "stop_backups", "release")
    ]
    assert machine.is_writable


def test_writes_to_the_former_server_after_the_switch_start_over(file: Path) -> None:
    machine = FakeMachine()
    kill(machine, file, "restart")
    # It was started again by hand, before systemd knew of the new one.
    machine.changes = ["journal: 1 -> 2 rows"]
    upgrade(machine, file)
    assert machine.calls.count("copy") == 2
    assert machine.running == machine.starts
    assert machine.running[0] == "18"


def test_an_interrupted_upgrade_can_be_canceled(file: Path) -> None:
    machine = FakeMachine()
    machine.volumes[NEW[1]] = []
    record.write(file, record.Record(Step.COPY, "17", "18", *OLD[1:], NEW[1]))
    machine.is_writable = False
    assert steps.cancel(machine, file) is True
    assert set(machine.volumes) == {"todo-data"}
    assert machine.is_writable
    assert record.read(file) is None
    assert steps.cancel(machine, file) is False


def go_back(machine: FakeMachine, file: Path, *, lose_writes: bool = False) -> steps.Outcome:
    return steps.go_back(machine, file, lose_writes=lose_writes)


def test_a_return_without_writes_loses_nothing(file: Path) -> None:
    machine = FakeMachine()
    upgrade(machine, file)
    outcome = go_back(machine, file)
    assert machine.running == machine.starts == OLD
    assert outcome.lost == []
    assert record.read(file) is None
    # The new volume is for the user to remove.
    assert set(machine.volumes) == {"todo-data", NEW[1]}


def test_a_return_that_would_lose_writes_is_refused(file: Path) -> None:
    machine = FakeMachine()
    upgrade(machine, file)
    machine.changes = ["journal: 1 -> 2 rows", "task: another content"]
    with pytest.raises(DeployError) as caught:
        go_back(machine, file)
    assert "would be lost: journal: 1 -> 2 rows; task: another content" in caught.value.message
    assert "--lose-writes" in caught.value.hint
    assert machine.running == machine.starts == NEW
    assert machine.is_writable
    assert go_back(machine, file, lose_writes=True).lost == machine.changes
    assert machine.running == OLD


def test_a_return_from_a_server_that_is_down_says_how_to_start_or_to_lose_it(file: Path) -> None:
    machine = FakeMachine()
    upgrade(machine, file)
    machine.running = DOWN
    with pytest.raises(DeployError, match="PostgreSQL 18 is not running") as caught:
        go_back(machine, file)
    assert caught.value.hint == (
        "python3 build.py up starts it; to discard its changes: "
        "python3 build.py upgrade-db --back --lose-writes"
    )
    assert machine.starts == NEW


def test_an_interrupted_return_is_finished_by_the_same_command(file: Path) -> None:
    machine = FakeMachine()
    upgrade(machine, file)
    machine.killed = "restart"
    with pytest.raises(KilledError):
        go_back(machine, file)
    machine.revive()
    with pytest.raises(DeployError, match="a return to the former volume was interrupted"):
        upgrade(machine, file)
    machine.reboot()
    go_back(machine, file)
    assert machine.running == machine.starts == OLD


def test_a_return_needs_an_upgrade_and_the_former_volume(file: Path) -> None:
    machine = FakeMachine()
    with pytest.raises(DeployError) as caught:
        go_back(machine, file)
    assert caught.value.code == ExitCode.USAGE
    upgrade(machine, file)
    del machine.volumes["todo-data"]
    with pytest.raises(DeployError, match="the former volume todo-data no longer exists"):
        go_back(machine, file)


def test_a_malformed_record_is_named(file: Path) -> None:
    file.write_text("{}")
    with pytest.raises(DeployError, match="cannot be read"):
        record.read(file)
