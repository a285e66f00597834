"""The order of an upgrade's steps, and what a crash between any two of them leaves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.upgrade import record, steps
from deploy.upgrade.record import Step
from deploy.upgrade.steps import Copied

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OLD, NEW = ("17", "todo-data"), ("18", "todo-data-18-1")
CONTENT = {"task": "1 1"}


class KilledError(BaseException):
    """The program ends without any handler, as after SIGKILL."""


@dataclasses.dataclass
class Machine:
    """A machine with two volumes.

    Attributes:
        fails: The call that fails, once.
        killed: The call before which the program is killed.
        changes: What the running database has other than at the switch.
        calls: What was done.
    """

    fails: str = ""
    killed: str = ""
    changes: list[str] = dataclasses.field(default_factory=list)
    calls: list[str] = dataclasses.field(default_factory=list)
    volumes: set[str] = dataclasses.field(default_factory=lambda: {"todo-data"})
    installed: tuple[str, str] = OLD
    held: tuple[str, str] | None = None
    running: tuple[str, str] = OLD
    is_writable: bool = True
    is_killed: bool = False

    @property
    def starts(self) -> tuple[str, str]:
        """What the next start brings up."""
        return self.held or self.installed

    def reboot(self) -> None:
        self.running, self.is_writable = self.starts, True

    def _call(self, name: str) -> None:
        if name == self.killed:
            # A kill runs no handler: whatever one would do in this test does nothing.
            self.is_killed = True
        if self.is_killed:
            raise KilledError
        self.calls.append(name)
        if name == self.fails:
            self.fails = ""
            raise DeployError(name)

    def new_volume_name(self) -> str:
        return f"todo-data-18-{len(self.volumes)}"

    def current_volume(self) -> str:
        return self.installed[1]

    def has_volume(self, name: str) -> bool:
        return name in self.volumes

    def remove_volume(self, name: str) -> None:
        self._call("remove_volume")
        assert name not in {self.starts[1], self.running[1]}
        self.volumes.discard(name)

    def refuse_writes(self) -> None:
        self._call("refuse_writes")
        self.is_writable = False

    def accept_writes(self) -> None:
        self._call("accept_writes")
        self.is_writable = True

    def copy(self, volume: str) -> Copied:
        assert not self.is_writable
        self.volumes.add(volume)
        self._call("copy")
        return Copied(CONTENT, 1, 1000, 1.0)

    def find_changes(self, content: Mapping[str, str]) -> list[str]:
        assert content == CONTENT
        self._call("find_changes")
        return self.changes

    def serves(self, major: str) -> bool:
        return self.running[0] == major

    def hold(self, major: str, volume: str) -> None:
        self._call("hold")
        self.held = (major, volume)

    def is_held(self) -> bool:
        return self.held is not None

    def point(self, major: str, volume: str) -> None:
        self._call("point")
        self.installed = (major, volume)

    def release(self) -> None:
        self._call("release")
        self.held = None

    def restart(self) -> str:
        self._call("restart")
        self.reboot()
        return "http://127.0.0.1:8000"

    def resume_backups(self) -> None:
        assert self.running == self.starts
        self._call("resume_backups")

    def settle(self) -> None:
        self._call("settle")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "upgrade-db.json"


def upgrade(machine: Machine, file: Path) -> steps.Outcome:
    return steps.run(machine, *("17", "18"), file)


def kill(machine: Machine, file: Path, before: str) -> None:
    machine.killed = before
    with pytest.raises(KilledError):
        upgrade(machine, file)
    machine.killed, machine.is_killed = "", False


def test_an_upgrade_switches_once_the_copy_is_complete(file: Path) -> None:
    machine = Machine()
    outcome = upgrade(machine, file)
    assert machine.calls == [
        *("refuse_writes", "copy", "hold", "point", "release", "restart", "settle")
    ]
    assert machine.running == machine.starts == NEW
    assert machine.is_writable
    assert machine.volumes == {"todo-data", NEW[1]}
    found = record.read(file)
    assert found == outcome.record
    assert found is not None
    assert (found.step, found.content) == (Step.DONE, CONTENT)
    assert outcome.copied is not None
    assert outcome.refused_s is not None


@pytest.mark.parametrize("call", ["refuse_writes", "copy", "hold", "point"])
def test_a_failure_before_the_switch_leaves_the_former_server(file: Path, call: str) -> None:
    machine = Machine(fails=call)
    with pytest.raises(DeployError, match=call):
        upgrade(machine, file)
    assert machine.running == machine.starts == OLD
    assert machine.is_writable
    assert machine.volumes == {"todo-data"}
    assert record.read(file) is None


def test_a_new_server_that_does_not_start_is_given_up(file: Path) -> None:
    machine = Machine()
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
    assert machine.volumes == {"todo-data"}


def test_an_upgrade_that_may_have_served_is_not_left_for_the_former_data(file: Path) -> None:
    machine = Machine()
    kill(machine, file, "settle")
    # It served for a while, and does not start any more.
    machine.running = ("", "")
    machine.fails = "restart"
    with pytest.raises(DeployError, match="restart") as caught:
        upgrade(machine, file)
    assert caught.value.hint == (
        "python3 build.py logs db; without what it has: "
        "python3 build.py upgrade-db --back --lose-writes"
    )
    assert machine.starts == NEW
    assert machine.volumes == {"todo-data", NEW[1]}
    # What the hint says works without its server.
    machine.running = ("", "")
    back = go_back(machine, file, lose_writes=True)
    assert back.lost == ("all that was written since the upgrade",)
    assert machine.running == machine.starts == OLD
    assert machine.volumes == {"todo-data", NEW[1]}


def test_a_new_server_that_took_writes_is_kept_although_the_start_failed(file: Path) -> None:
    machine = Machine(changes=["journal: 1 -> 2 rows"], fails="restart", running=NEW)
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
    machine = Machine()
    kill(machine, file, before)
    assert machine.starts == OLD
    if reboots:
        machine.reboot()
    # The same command starts over.
    upgrade(machine, file)
    assert machine.running == NEW
    assert machine.volumes == {"todo-data", machine.running[1]}


def test_a_kill_after_the_switch_is_finished_by_the_same_command(file: Path) -> None:
    machine = Machine()
    kill(machine, file, "restart")
    assert (machine.starts, machine.running) == (NEW, OLD)
    outcome = upgrade(machine, file)
    assert machine.running == NEW
    assert outcome.copied is None
    assert machine.calls.count("copy") == 1


def test_the_former_server_refuses_writes_while_it_is_compared(file: Path) -> None:
    machine = Machine()
    kill(machine, file, "restart")
    # It was started again by systemd, which did not know of the new one.
    machine.is_writable = True
    upgrade(machine, file)
    assert machine.calls[-5:] == [
        *("refuse_writes", "find_changes", "release", "restart", "settle")
    ]
    assert machine.is_writable


def test_writes_to_the_former_server_after_the_switch_start_over(file: Path) -> None:
    machine = Machine()
    kill(machine, file, "restart")
    # It was started again by hand, before systemd knew of the new one.
    machine.changes = ["journal: 1 -> 2 rows"]
    upgrade(machine, file)
    assert machine.calls.count("copy") == 2
    assert machine.running == machine.starts
    assert machine.running[0] == "18"


def test_an_interrupted_upgrade_can_be_canceled(file: Path) -> None:
    machine = Machine()
    machine.volumes.add(NEW[1])
    record.write(file, record.Record(Step.COPY, "17", "18", *OLD[1:], NEW[1]))
    machine.is_writable = False
    assert steps.cancel(machine, file) is True
    assert machine.volumes == {"todo-data"}
    assert machine.is_writable
    assert record.read(file) is None
    assert steps.cancel(machine, file) is False


def go_back(machine: Machine, file: Path, *, lose_writes: bool = False) -> steps.Outcome:
    return steps.go_back(machine, file, lose_writes=lose_writes)


def test_a_return_without_writes_loses_nothing(file: Path) -> None:
    machine = Machine()
    upgrade(machine, file)
    outcome = go_back(machine, file)
    assert machine.running == machine.starts == OLD
    assert outcome.lost == []
    assert record.read(file) is None
    # The new volume is for the user to remove.
    assert machine.volumes == {"todo-data", NEW[1]}


def test_a_return_that_would_lose_writes_is_refused(file: Path) -> None:
    machine = Machine()
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


def test_an_interrupted_return_is_finished_by_the_same_command(file: Path) -> None:
    machine = Machine()
    upgrade(machine, file)
    machine.killed = "restart"
    with pytest.raises(KilledError):
        go_back(machine, file)
    machine.killed, machine.is_killed = "", False
    with pytest.raises(DeployError, match="a return to the former volume was interrupted"):
        upgrade(machine, file)
    machine.reboot()
    go_back(machine, file)
    assert machine.running == machine.starts == OLD


def test_a_return_needs_an_upgrade_and_the_former_volume(file: Path) -> None:
    machine = Machine()
    with pytest.raises(DeployError) as caught:
        go_back(machine, file)
    assert caught.value.code == ExitCode.USAGE
    upgrade(machine, file)
    machine.volumes.discard("todo-data")
    with pytest.raises(DeployError, match="the former volume todo-data is not there any more"):
        go_back(machine, file)


def test_a_malformed_record_is_named(file: Path) -> None:
    file.write_text("{}")
    with pytest.raises(DeployError, match="cannot be read"):
        record.read(file)
