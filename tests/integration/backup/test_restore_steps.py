"""A whole restore, step by step, with real servers in the place of containers."""

from __future__ import annotations

import contextlib
import json
import shutil
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from deploy import process
from deploy.backup import restore
from deploy.backup.restore import Restored
from deploy.backup.target import Target, parse_change, parse_time
from deploy.errors import DeployError
from tests.integration.cluster import Cluster, find_postgres
from tests.integration.service import call_admin, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from deploy.backup.journal_query import Query
    from tests.integration.backup.backup_source import Source

URL = "http://127.0.0.1:8000"


class FolderMachine:
    """A machine whose volumes are folders with clusters."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self.volumes: dict[str, Path] = {"todo-data": source.cluster.root}
        self.current: str | None = "todo-data"
        self.is_live = True
        self.verified: list[str] = []
        self.options: list[Sequence[str]] = []
        self.switched = ""
        self.apart: list[tuple[str, str]] = []
        self._made = 0

    def new_volume_name(self) -> str:
        self._made += 1
        return f"todo-data-{self._made}"

    def current_volume(self) -> str | None:
        return self.current

    def has_volume(self, name: str) -> bool:
        return name in self.volumes

    def remove_volume(self, name: str) -> None:
        root = self.volumes.pop(name, None)
        if root is not None:
            shutil.rmtree(root)

    def live_query(self) -> Query | None:
        return self._query(self.source.cluster) if self.is_live else None

    def stop(self) -> None:
        self.source.backup.catch_up()
        self.is_live = False

    def resume(self) -> None:
        self.is_live = True

    def restore(self, volume: str, options: Sequence[str]) -> Restored:
        self.remove_volume(volume)
        self.options.append(options)
        root, done = self.source.backup.restore(*options)
        self.volumes[volume] = root
        if done.returncode != 0:
            raise DeployError(done.stderr)
        facts = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        return Restored(facts["base"], facts["last"])

    @contextlib.contextmanager
    def server(self, volume: str) -> Iterator[Query]:
        cluster = Cluster(self.volumes[volume])
        cluster.start()
        try:
            yield self._query(cluster)
        finally:
            cluster.stop()

    def verify(self, volume: str, base: str) -> None:
        assert base
        url = f"postgresql+psycopg://postgres@/{self.source.database}?host={self.volumes[volume]}"
        environment = make_environment(self.folder, {"TODO_DATABASE_URL": url})
        done = call_admin(environment, "verify", "--state")
        assert done.returncode == 0, done.stdout
        self.verified.append(volume)

    def switch(self, volume: str, at: str) -> str:
        self.current, self.switched = volume, at
        self.is_live = True
        return URL

    def refuse_volume(self, name: str) -> None:
        assert (self.volumes[name] / "data" / "PG_VERSION").exists()

    def find_switch(self) -> str:
        return self.switched

    def set_apart(self, until: str, since: str) -> None:
        self.apart.append((since, until))

    def _query(self, cluster: Cluster) -> Query:
        psql = [str(find_postgres() / "psql"), f"--host={cluster.root}", "--username=postgres"]
        psql += [f"--dbname={self.source.database}", "--no-psqlrc", "--quiet", "--tuples-only"]

        def run(statement: str, variables: Mapping[str, str]) -> str:
            words = [f"--set={name}={value}" for name, value in variables.items()]
            argv = [*psql, "--no-align", "--set=ON_ERROR_STOP=1", "--file=-", *words]
            return process.run(argv, stdin=f"{statement};\n").stdout.strip()

        return run


@pytest.fixture
def machine(source: Source, tmp_path: Path) -> FolderMachine:
    return FolderMachine(source, tmp_path)


def run(machine: FolderMachine, target: Target) -> restore.Outcome:
    record = machine.folder / "restore.json"
    outcome = restore.run(machine, target, machine.source.backup.folder, record)
    assert not record.exists()
    return outcome


def hash_of(machine: FolderMachine) -> dict[str, str]:
    assert machine.current is not None
    cluster = Cluster(machine.volumes[machine.current])
    cluster.start()
    try:
        return machine.source.hash(cluster)
    finally:
        cluster.stop()


def test_the_moment_before_an_agents_run_is_restored(
    source: Source, machine: FolderMachine
) -> None:
    source.backup.pass_second()
    expected = source.hash()
    source.write("made by the agent", run="nightly-3")
    source.write("also made by it", run="nightly-3")
    source.write("made by a person afterwards")
    source.backup.catch_up()
    outcome = run(machine, parse_change("nightly-3"))
    assert hash_of(machine) == expected
    assert (outcome.volume, outcome.former, outcome.url) == ("todo-data-1", "todo-data", URL)
    assert machine.verified == ["todo-data-1"]
    assert "made by the agent" in source.titles()


def test_the_moment_before_an_entry_is_restored_without_the_live_database(
    source: Source, machine: FolderMachine
) -> None:
    source.backup.pass_second()
    expected = source.hash()
    (last,) = source.ask("SELECT max(seq) FROM journal")
    source.write("a mistake")
    source.backup.catch_up()
    machine.is_live = False
    run(machine, parse_change(f"{source.alice.name}/{int(last) + 1}"))
    assert hash_of(machine) == expected


def test_a_run_whose_requests_overlap_is_restored_before_the_first_commit(
    source: Source, machine: FolderMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "verify", lambda *_: None)
    source.backup.pass_second()
    expected = source.hash()
    insert = """
        INSERT INTO journal (owner, seq, at, actor, run_id, commitment, hash)
        VALUES (%s, 1, %s, 'agent', 'both', '', '')
    """
    with contextlib.ExitStack() as stack:
        slow, fast = (
            stack.enter_context(
                psycopg.connect(
                    host=str(source.cluster.root), dbname=source.database, user="postgres"
                )
            )
            for _ in range(2)
        )
        slow.execute(insert, ["began first", "2030-01-01T00:00:00Z"])
        fast.execute(insert, ["committed first", "2030-01-01T00:00:01Z"])
        fast.commit()
        slow.commit()
    source.backup.catch_up()
    run(machine, parse_change("both"))
    assert hash_of(machine) == expected
    assert len(machine.options) == 2
    source.cluster.query(f"/{source.database}?", "DELETE FROM journal WHERE actor = 'agent'")


def test_the_end_is_restored_with_what_the_server_wrote_last(
    source: Source, machine: FolderMachine
) -> None:
    source.write("the last change")
    outcome = run(machine, Target())
    assert hash_of(machine) == source.hash()
    assert outcome.restored is not None
    assert outcome.restored.last


def test_a_time_is_restored(source: Source, machine: FolderMachine) -> None:
    source.backup.pass_second()
    expected = source.hash()
    (now,) = source.ask("SELECT clock_timestamp()")
    source.write("later")
    source.backup.catch_up()
    (later,) = source.ask("SELECT clock_timestamp()")
    run(machine, parse_time(now, datetime.fromisoformat(later)))
    assert hash_of(machine) == expected


def test_a_failed_restore_leaves_nothing_and_starts_the_stack_again(
    source: Source, machine: FolderMachine
) -> None:
    missing = source.backup.switch_wal()
    source.write("behind it")
    source.backup.catch_up()
    source.lose(missing)
    with pytest.raises(DeployError, match=missing):
        run(machine, Target())
    assert (machine.current, machine.is_live, list(machine.volumes)) == (
        "todo-data",
        True,
        ["todo-data"],
    )
    assert not (machine.folder / "restore.json").exists()


class Killed(BaseException):
    """The program, or the machine, ends."""


@pytest.mark.parametrize("step", ["restore", "server", "verify", "switch"])
def test_a_restore_that_was_killed_is_done_by_the_same_command(
    source: Source, machine: FolderMachine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    source.backup.catch_up()
    record = machine.folder / "restore.json"
    with monkeypatch.context() as patched:

        def kill(*_: object) -> None:
            # A program that was killed cleans up nothing.
            patched.setattr(machine, "remove_volume", kill)
            raise Killed

        patched.setattr(machine, step, kill)
        with pytest.raises(Killed):
            restore.run(machine, Target(), source.backup.folder, record)
    assert json.loads(record.read_text())["step"] == ("switch" if step == "switch" else "restore")
    machine.is_live = True
    outcome = run(machine, Target())
    # What was verified is used; anything else is made new, and the unfinished volume removed.
    assert outcome.volume == ("todo-data-1" if step == "switch" else "todo-data-2")
    assert sorted(machine.volumes) == sorted(["todo-data", outcome.volume])
    assert hash_of(machine) == source.hash()


def test_another_command_after_a_crash_removes_the_unfinished_volume(
    source: Source, machine: FolderMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.backup.catch_up()
    record = machine.folder / "restore.json"
    with monkeypatch.context() as patched:

        def kill(*_: str) -> None:
            raise Killed

        patched.setattr(machine, "switch", kill)
        with pytest.raises(Killed):
            restore.run(machine, Target(), source.backup.folder, record)
    source.backup.pass_second()
    source.write("one more")
    source.backup.catch_up()
    (last,) = source.ask("SELECT max(seq) FROM journal")
    outcome = run(machine, parse_change(f"{source.alice.name}/{last}"))
    assert outcome.volume == "todo-data-2"
    assert sorted(machine.volumes) == ["todo-data", "todo-data-2"]


def test_the_former_volume_can_be_used_again(source: Source, machine: FolderMachine) -> None:
    source.backup.catch_up()
    outcome = run(machine, Target())
    switched = machine.switched
    record = machine.folder / "restore.json"
    back = restore.use_volume(machine, "todo-data", record)
    assert [since for since, _ in machine.apart] == [switched]
    assert (machine.current, back.volume, back.former) == ("todo-data", "todo-data", outcome.volume)
    with pytest.raises(DeployError, match="--to-volume: the volume todo-data-9 does not exist"):
        restore.use_volume(machine, "todo-data-9", record)
    assert machine.current == "todo-data"
