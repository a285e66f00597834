"""A return to a former volume: what it refuses, and what a kill leaves at each place of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.backup import containers, restore, stack_machine
from deploy.backup.containers import Account
from deploy.backup.stack_machine import StackMachine
from deploy.backup.target import Target
from deploy.errors import DeployError, ExitCode
from deploy.stack import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from deploy.backup.journal_query import Query
    from deploy.backup.restore import Restored

URL = "http://127.0.0.1:8000"


class KilledError(BaseException):
    """The program ends without any handler, as after SIGKILL."""


@dataclasses.dataclass
class Machine:
    """A machine with a present volume and a former one.

    Attributes:
        dies_at: The number of the place at which the program is killed.
        calls: What was done, besides questions.
        apart: The times between which backups were moved.
    """

    dies_at: int = 0
    current: str = "todo-data-1"
    switched: str = "20261129T000000Z"
    is_up: bool = True
    calls: list[str] = dataclasses.field(default_factory=list)
    apart: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    _places: int = 0

    def _pass(self, call: str = "") -> None:
        self.calls += [call] if call else []
        self._places += 1
        if self._places == self.dies_at:
            raise KilledError

    def new_volume_name(self) -> str:
        return "todo-data-2"

    def current_volume(self) -> str:
        return self.current

    def has_volume(self, name: str) -> bool:
        return name in {"todo-data", "todo-data-1"}

    def refuse_volume(self, name: str) -> None:
        assert self.has_volume(name)

    def remove_volume(self, name: str) -> None:
        raise AssertionError(name)

    def live_query(self) -> Query | None:
        return None

    def stop(self) -> None:
        self._pass("stop")
        self.is_up = False
        self._pass()

    def resume(self) -> None:
        raise AssertionError

    def restore(self, volume: str, options: Sequence[str]) -> Restored:
        raise AssertionError((volume, options))

    @contextlib.contextmanager
    def server(self, volume: str) -> Iterator[Query]:
        raise AssertionError(volume)
        yield

    def verify(self, volume: str, base: str) -> None:
        raise AssertionError((volume, base))

    def find_switch(self) -> str:
        return self.switched

    def set_apart(self, until: str, since: str) -> None:
        assert not self.is_up
        self._pass("set_apart")
        self.apart.add((since, until))
        self._pass()

    def switch(self, volume: str, at: str) -> str:
        self._pass("switch")
        self.switched = at
        self._pass()
        self.current = volume
        self._pass()
        self.is_up = True
        return URL


class Interrupted(Machine):
    """A machine on which Ctrl-C comes while backups are restored."""

    def live_query(self) -> Query | None:
        def query(statement: str, values: Mapping[str, str]) -> str:
            raise AssertionError(statement, values)

        return query

    def restore(self, volume: str, options: Sequence[str]) -> Restored:
        self.calls.append(f"restore into {volume} {options}")
        raise KeyboardInterrupt

    def remove_volume(self, name: str) -> None:
        self.calls.append(f"remove {name}")

    def resume(self) -> None:
        self.calls.append("resume")
        self.is_up = True


def test_an_interrupted_restore_starts_the_stack_with_the_former_data(tmp_path: Path) -> None:
    machine, record = Interrupted(), tmp_path / "restore.json"
    with pytest.raises(KeyboardInterrupt):
        restore.run(machine, Target(), tmp_path, record)
    assert machine.calls == [
        "stop",
        "restore into todo-data-2 []",
        "remove todo-data-2",
        "resume",
    ]
    assert (machine.current, machine.is_up) == ("todo-data-1", True)
    assert list(tmp_path.iterdir()) == []


def test_the_volume_in_use_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    machine = Machine()
    with pytest.raises(DeployError, match="the stack already uses the volume todo-data-1") as found:
        restore.use_volume(machine, "todo-data-1", tmp_path / "restore.json")
    assert found.value.code == ExitCode.USAGE
    assert found.value.hint == "python3 build.py up starts it"
    assert machine.calls == []
    assert list(tmp_path.iterdir()) == []


def test_a_return_that_is_killed_anywhere_is_finished_by_the_same_command(tmp_path: Path) -> None:
    place, is_killed = 0, True
    while is_killed:
        place += 1
        machine, record = Machine(dies_at=place), tmp_path / str(place) / "restore.json"
        try:
            restore.use_volume(machine, "todo-data", record)
            is_killed = False
        except KilledError:
            is_killed = True
            machine.dies_at = 0
            outcome = restore.use_volume(machine, "todo-data", record)
            assert outcome.former == "todo-data-1"
        assert (machine.current, machine.is_up) == ("todo-data", True)
        # Into one folder, and what is backed up from then on is of the other volume.
        ((since, until),) = machine.apart
        assert since == "20261129T000000Z"
        assert machine.switched == until
        assert list(record.parent.iterdir()) == []
    assert place > 6


def test_nothing_else_is_restored_from_backups_that_were_moved_partly(tmp_path: Path) -> None:
    machine, record = Machine(dies_at=4), tmp_path / "restore.json"
    with pytest.raises(KilledError):
        restore.use_volume(machine, "todo-data", record)
    with pytest.raises(DeployError, match="return to the volume todo-data was interrupted") as one:
        restore.run(machine, Target(), tmp_path, record)
    assert one.value.hint == "finish it: python3 build.py restore --to-volume todo-data"
    with pytest.raises(DeployError, match="return to the volume todo-data was interrupted"):
        restore.use_volume(machine, "todo-data-1", record)


# -- What the machine refuses ----------------------------------------------------------------------


def make_folder(folder: Path, **majors: str) -> Path:
    for stamp, version in majors.items():
        (folder / "base" / stamp).mkdir(parents=True)
        facts = {"stamp": stamp, "postgresql": version}
        (folder / "base" / f"{stamp}.json").write_text(json.dumps(facts))
    return folder


def make_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_foreign: bool
) -> StackMachine:
    monkeypatch.setattr(containers, "find_account", lambda: Account(1, 1, 1, "todo_backup"))
    monkeypatch.setattr(postgresql, "find_installed", lambda: "17")
    return StackMachine(folder, is_foreign=is_foreign, accept_findings=False)


@pytest.mark.parametrize("is_foreign", [True, False])
def test_a_backup_of_another_version_is_refused_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_foreign: bool
) -> None:
    folder = make_folder(tmp_path, **{"20261129T000000Z": "17.6", "20261130T000000Z": "18beta1"})
    machine = make_machine(folder, monkeypatch, is_foreign=is_foreign)
    ran: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_: object) -> process.Completed:
        ran.append(argv)
        return process.Completed(tuple(argv), 0, "1\n", "")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(DeployError) as caught:
        machine.check()
    assert caught.value.message == (
        "the base backup 20261130T000000Z is of PostgreSQL 18, and this stack runs PostgreSQL 17"
    )
    assert caught.value.hint == (
        "python3 build.py up, then python3 build.py upgrade-db, then the same command"
    )
    assert caught.value.code == ExitCode.CONFIG
    assert all(argv[:3] == ["podman", "image", "exists"] for argv in ran)
    if not is_foreign:
        # The one that is named counts.
        machine.check("20261129T000000Z")


@pytest.mark.parametrize(
    ("code", "version", "message"),
    [
        (1, "", "--to-volume: the volume todo-socket has no database"),
        (
            0,
            "18\n",
            "the volume todo-socket is of PostgreSQL 18, and this stack runs PostgreSQL 17",
        ),
        (0, "17\n", ""),
    ],
)
def test_a_volume_that_the_server_cannot_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, version: str, message: str
) -> None:
    def run(argv: Sequence[str], **_: object) -> process.Completed:
        if "inspect" in argv:
            return process.Completed(tuple(argv), 0, "/volumes/_data\n", "")
        assert argv[-2:] == ["cat", "/volumes/_data/data/PG_VERSION"]
        return process.Completed(tuple(argv), code, version, "")

    machine = make_machine(tmp_path, monkeypatch, is_foreign=False)
    monkeypatch.setattr(process, "run", run)
    if not message:
        machine.refuse_volume("todo-socket")
        return
    with pytest.raises(DeployError) as caught:
        machine.refuse_volume("todo-socket")
    assert caught.value.message == message
    assert caught.value.hint


def test_backups_stay_where_the_stack_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_machine, "has_backups", lambda: False)
    machine = make_machine(tmp_path, monkeypatch, is_foreign=False)
    machine.set_apart("20261130T000000Z", "")
    assert list(tmp_path.iterdir()) == []
