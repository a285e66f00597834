"""The restore drill: what is missing in a backup is found and named, on real servers."""

import contextlib
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.integration.backup.backup_source import Source
from tests.integration.cluster import Cluster
from todo.core.exit import ExitCode
from todo.journal import drill_command
from todo.writes.hash_chain import Entry, commit, link

BACKUP = '{\n"backup": {"at": "2026-11-30T03:00:00Z", "ok": true, "reason": ""}\n}\n'
REMOVE_ENTRY = "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)"
REMOVE_TASK = "DELETE FROM task WHERE created_at = (SELECT max(created_at) FROM task)"
MOVE_HEAD = """
UPDATE account SET seq = seq - 1,
    hash = (SELECT hash FROM journal WHERE journal.seq = account.seq - 1)
"""


_NAMES = ("seq", "at", "salt", "operation", "kind", "entity_id", "list_id", "before", "after")
_LAST_ENTRY = """
SELECT seq, at, salt, operation, kind, entity_id, list_id, before, after FROM journal
ORDER BY seq DESC LIMIT 1
"""


class RunDrill(Protocol):
    def __call__(
        self, change: Callable[[Cluster], None] = ..., *, live: Path | None = None
    ) -> tuple[int, dict[str, Any]]: ...


@pytest.fixture
def drill(source: Source, monkeypatch: pytest.MonkeyPatch) -> RunDrill:
    """Run a drill that accepts no loss; return its exit code and the recorded outcome."""
    state = source.backup.folder / "state.json"
    state.write_text(BACKUP)

    def run(
        change: Callable[[Cluster], None] = lambda _: None, *, live: Path | None = None
    ) -> tuple[int, dict[str, Any]]:
        address = f"postgresql+psycopg://postgres@/{source.database}?host="
        with source.backup.drilling(change) as folder:
            monkeypatch.setenv("TODO_DATABASE_URL", f"{address}{folder / 'run'}")
            words = ["--live", f"{address}{live or source.cluster.root}", "--max-rpo", "0"]
            words += ["--backup", str(source.backup.folder), "--restored", str(folder)]
            code = drill_command.main(words)
        assert {path.name for path in folder.iterdir()} <= {"began", "restored", "failed"}
        recorded = json.loads(state.read_text())
        assert recorded["backup"] == json.loads(BACKUP)["backup"]
        # A shell replaces one outcome.
        assert [line[:9] for line in state.read_text().split("\n")[1:3]] == [
            '"backup":',
            '"drill": ',
        ]
        return code, recorded["drill"]

    return run


def change_by(source: Source, *statements: str) -> Callable[[Cluster], None]:
    def change(copy: Cluster) -> None:
        for statement in statements:
            copy.query(f"/{source.database}?", statement)

    return change


def find_published(source: Source) -> dict[str, Any]:
    """Return the data of the backend's metrics."""
    settings = source.ask("SELECT unnest(rolconfig) FROM pg_roles WHERE rolname = 'postgres'")
    pairs = (setting.partition("=") for setting in settings)
    return {name: json.loads(value) for name, _, value in pairs}


def find_head(source: Source) -> int:
    (seq,) = source.ask("SELECT seq FROM account")
    return int(seq)


def test_a_complete_backup_passes_while_the_service_is_written_to(
    source: Source, drill: RunDrill, capsys: pytest.CaptureFixture[str]
) -> None:
    source.backup.switch_wal()
    source.backup.catch_up()
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.1):
            source.write("meanwhile")

    writer = threading.Thread(target=write)

    def begin(_copy: Cluster) -> None:
        writer.start()

    try:
        code, found = drill(begin)
    finally:
        ended.set()
        writer.join()
    said = capsys.readouterr()
    assert (code, found["ok"], found["reason"], found["rpo_seconds"]) == (0, True, "", 0), said
    assert found["rto_seconds"] > 0
    assert find_published(source)["todo.drill"] == found
    tasks, entries = source.ask("SELECT count(*) FROM task"), find_head(source)
    assert 0 < found["rows"] <= int(tasks[0]) + entries + 1
    assert said.out.startswith("restored and verified 1 journals, ")
    assert "\nRPO 0.0 s, RTO " in said.out


def test_a_missing_wal_file_is_named(source: Source, drill: RunDrill) -> None:
    missing = source.backup.switch_wal()
    source.write("behind it")
    source.backup.catch_up()
    source.lose(missing)
    code, found = drill()
    assert (code, found["ok"]) == (ExitCode.BROKEN, False)
    reason = f"WAL file {missing} is missing in the backup: nothing after it can be restored"
    assert found["reason"] == reason
    assert find_published(source)["todo.drill_failure"] == found


def test_the_last_wal_file_is_named_when_it_is_missing(source: Source, drill: RunDrill) -> None:
    source.backup.switch_wal()
    source.write("in the last WAL file")
    source.backup.catch_up()
    (missing,) = (source.backup.folder / "wal").glob("*.partial")
    source.backup.leave()
    missing.unlink()
    code, found = drill()
    assert code == ExitCode.BROKEN
    name = missing.name.removesuffix(".partial")
    assert (
        found["reason"]
        == f"WAL file {name}, which the database has written, is missing from the backup"
    )


def test_a_change_that_did_not_arrive_is_named_with_its_age(
    source: Source, drill: RunDrill
) -> None:
    source.backup.catch_up()
    source.backup.leave()
    source.write("lost")
    # Ages are in tenths of a second.
    source.backup.pass_second()
    source.backup.pass_second()
    code, found = drill()
    assert code == ExitCode.BROKEN
    head = f"{source.alice.name!r}, entry {find_head(source)}: is missing from the copy"
    assert found["reason"].startswith(head)
    assert found["rpo_seconds"] > 0


def test_a_removed_row_is_named_with_its_account_and_entry(source: Source, drill: RunDrill) -> None:
    source.write("one more")
    source.backup.catch_up()
    (task_id,) = source.ask("SELECT id FROM task ORDER BY created_at DESC LIMIT 1")
    entry = f"{source.alice.name!r}, entry {find_head(source)}: "
    reasons = {
        (REMOVE_ENTRY,): f"{entry}is missing",
        (REMOVE_TASK,): f"{entry}the task {task_id} of the journal does not exist",
        # Somebody who makes the copy whole again.
        (REMOVE_ENTRY, MOVE_HEAD, REMOVE_TASK): f"{entry}is missing from the copy, although",
        ("DELETE FROM journal", "DELETE FROM task", "DELETE FROM account"): (
            f"{source.alice.name!r}, entry 1: is missing from the copy"
        ),
    }
    for removal, reason in reasons.items():
        code, found = drill(change_by(source, *removal))
        assert (code, found["ok"]) == (ExitCode.BROKEN, False), removal
        assert found["reason"].startswith(reason), removal


def rewrite_last_entry(source: Source, copy: Cluster) -> None:
    """Give the last entry another author, and make the chain whole again."""
    with copy.connect(source.database) as connection:
        row = connection.execute(_LAST_ENTRY)
        found = dict(zip(_NAMES, row.fetchone() or (), strict=True))
        (chain_id,) = connection.execute("SELECT chain_id FROM account").fetchone() or ()
        former = "SELECT hash FROM journal WHERE seq = %s"
        (previous,) = connection.execute(former, [found["seq"] - 1]).fetchone() or ()
        content = {name: found[name] for name in _NAMES[3:]}
        content["list_id"] = found["list_id"] and str(found["list_id"])
        at = found["at"].isoformat()
        commitment = commit(found["salt"], Entry(at=at, actor="mallory", **content))
        head = link(previous, chain_id, found["seq"], at, commitment)
        values = [commitment, head, found["seq"]]
        update = "UPDATE journal SET actor = 'mallory', commitment = %s, hash = %s WHERE seq = %s"
        connection.execute(update, values)
        connection.execute("UPDATE account SET hash = %s", [head])


def test_a_chain_that_was_rewritten_in_the_copy_is_named(source: Source, drill: RunDrill) -> None:
    source.backup.catch_up()
    code, found = drill(lambda copy: rewrite_last_entry(source, copy))
    assert code == ExitCode.BROKEN
    entry = f"{source.alice.name!r}, entry {find_head(source)}: "
    assert found["reason"].startswith(f"{entry}the chain up to here was rewritten")


def test_a_damaged_file_is_named(source: Source, drill: RunDrill) -> None:
    stamp = source.backup.take_base()
    source.backup.catch_up()
    (name,) = source.ask("SELECT pg_relation_filepath('task')")
    path = source.backup.folder / "base" / stamp / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    code, found = drill()
    assert code == ExitCode.BROKEN
    assert found["reason"].startswith(f"base backup {stamp} is damaged: ")
    assert name in found["reason"]


def test_a_live_database_that_lost_changes_is_named(source: Source, drill: RunDrill) -> None:
    source.backup.catch_up()
    last = find_head(source)
    code, found = drill(change_by(source, "UPDATE account SET seq = seq + 1"))
    assert code == ExitCode.BROKEN
    assert found["reason"] == (
        f"{source.alice.name!r}, entry {last + 1}: "
        f"the copy ends here, but the live journal ends with entry {last}"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_drill_that_is_stopped_while_it_restores_leaves_no_copy(
    source: Source, number: signal.Signals
) -> None:
    source.backup.catch_up()
    folder = source.backup.interrupt_drill(number)
    assert {path.name for path in folder.iterdir()} == {"began"}
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            assert str(folder).encode() not in process.read_bytes()


def test_a_drill_without_the_live_database_is_recorded_as_not_done(
    source: Source, drill: RunDrill, tmp_path: Path
) -> None:
    source.backup.catch_up()
    code, found = drill(live=tmp_path)
    assert code == ExitCode.DATABASE_UNAVAILABLE
    assert not found["ok"]
    assert "rpo_seconds" not in found
