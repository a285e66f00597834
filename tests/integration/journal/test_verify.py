"""`todo.admin verify` on real databases: what was altered by hand is found and named."""

import asyncio
import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import (
    Service,
    call_admin,
    make_environment,
    open_folder,
    open_service,
    run_admin,
)
from tests.integration.users import LISTS, TASKS, MakePerson, invite, read
from tests.machine_clock import CLOCK
from todo.config.settings import Settings
from todo.core.exit import ExitCode, FatalError
from todo.journal.commands import run_check
from todo.writes.hash_chain import GENESIS, SALT_BYTES, Entry, commit, link

AT = "2026-11-25T10:00:00.000000+00:00"
MANY = 100_000
# On a busy machine; it takes a tenth of that on a quiet one.
MANY_S = 60


@dataclass
class Ledger:
    """A database that somebody may lay hands on, and its environment."""

    environment: dict[str, str]
    execute: Callable[[str], None]
    insert: Callable[[str, list[str], list[tuple[Any, ...]]], None]

    def holds(self, **options: Any) -> str:  # noqa: ANN401 - those of run_check
        """Verify what must hold; return what was said."""
        said: list[str] = []
        self._verify(said, options)
        return "\n".join(said)

    def finds(self, **options: Any) -> list[str]:  # noqa: ANN401 - those of run_check
        """Verify what must not hold; return the findings."""
        said: list[str] = []
        with pytest.raises(FatalError) as caught:
            self._verify(said, options)
        assert caught.value.code == ExitCode.BROKEN
        return said

    def _verify(self, said: list[str], options: dict[str, Any]) -> None:
        settings = Settings(database_url=self.environment["TODO_DATABASE_URL"])
        asyncio.run(run_check(settings, said.append, **options))


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, folder: Path) -> Ledger:
    """A migrated database of each kind."""
    if request.param == "sqlite":
        ledger = _open_sqlite(folder)
    else:
        ledger = _open_postgres(folder, request.getfixturevalue("cluster"))
    assert call_admin(ledger.environment, "migrate").returncode == 0
    return ledger


def _open_sqlite(folder: Path) -> Ledger:
    path = folder / "todo.db"

    def execute(statement: str) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()

    def insert(table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" for _ in columns)
        with sqlite3.connect(path) as connection:
            connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        connection.close()

    options = {"TODO_DATABASE_URL": f"sqlite:///{path}", "TODO_DATABASE_MIGRATE": "startup"}
    return Ledger(make_environment(folder, options), execute, insert)


def _open_postgres(folder: Path, cluster: Cluster) -> Ledger:
    url = cluster.make_database()
    database = url.rpartition("?")[0].rpartition("/")[2]

    def execute(statement: str) -> None:
        cluster.query(url, statement)

    def insert(table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        statement = f"COPY {table} ({names}) FROM STDIN".encode()
        with (
            psycopg.connect(host=str(cluster.root), dbname=database, user="postgres") as connection,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    return Ledger(make_environment(folder, options), execute, insert)


def fill(ledger: Ledger, owner: str, count: int) -> None:
    """Write a journal as the program would."""
    chain_id, head = uuid4(), GENESIS
    rows: list[tuple[Any, ...]] = []
    columns = ["owner", "seq", *asdict(make_entry(owner, 0)), "salt", "commitment", "hash"]
    for seq in range(1, count + 1):
        entry = make_entry(owner, seq)
        salt = secrets.token_bytes(SALT_BYTES)
        commitment = commit(salt, entry)
        head = link(head, chain_id, seq, entry.at, commitment)
        rows.append((owner, seq, *asdict(entry).values(), salt, commitment, head))
    ledger.insert("journal", columns, rows)
    account = (owner, "UTC", str(chain_id), count, head, AT)
    ledger.insert("account", ["owner", "zone", "chain_id", "seq", "hash", "created_at"], [account])


def make_entry(owner: str, seq: int) -> Entry:
    return Entry(
        at=AT,
        actor=owner,
        operation="update",
        kind="task",
        entity_id=str(UUID(int=seq)),
        agent="agent",
        run_id=f"run-{seq // 100}",
        before=f'{{"title":"before {seq}"}}',
        after=f'{{"title":"after {seq} {"x" * 100}"}}',
    )


def test_a_journal_of_100_000_entries_is_verified_and_an_altered_one_named(ledger: Ledger) -> None:
    fill(ledger, "alice", MANY)
    fill(ledger, "bob", 3)

    began = CLOCK.now()
    done = call_admin(ledger.environment, "verify")
    took_s = CLOCK.now() - began
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"verified 2 journals, {MANY + 3} entries\n"
    assert took_s < MANY_S

    ledger.execute("UPDATE journal SET after = '{}' WHERE owner = 'alice' AND seq = 67890")
    done = call_admin(ledger.environment, "verify")
    assert (done.returncode, done.stdout.count("\n"), done.stderr.count("\n")) == (2, 1, 1)
    assert done.stdout.startswith("'alice', entry 67890: the content (")
    assert ledger.holds(owner="bob") == "verified 1 journals, 3 entries"


ALTERATIONS = {
    "UPDATE journal SET actor = 'mallory' WHERE seq = 5": "entry 5: the content (",
    "UPDATE journal SET run_id = NULL WHERE seq = 5": "entry 5: the content (",
    "UPDATE journal SET salt = commitment WHERE seq = 5": "entry 5: the content (",
    "UPDATE journal SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 5": "entry 5: the chain is",
    "UPDATE journal SET hash = commitment WHERE seq = 5": "entry 5: the chain is broken",
    "DELETE FROM journal WHERE seq = 5": "entry 5: is missing",
    "DELETE FROM journal WHERE seq > 7": "entry 8: is missing, and all up to 9",
    "DELETE FROM journal": "entry 1: is missing, and all up to 9",
    "UPDATE account SET seq = 8": "entry 9: was inserted",
    "UPDATE account SET hash = (SELECT hash FROM journal WHERE seq = 1)": "entry 9: the account",
    "DELETE FROM account": "'alice': the journal does not exist",
}


def test_alterations_by_hand_are_named(ledger: Ledger) -> None:
    for alteration, finding in ALTERATIONS.items():
        ledger.execute("DELETE FROM journal")
        ledger.execute("DELETE FROM account")
        fill(ledger, "alice", 9)
        ledger.execute(alteration)

        assert finding in ledger.finds()[0], alteration


def test_an_exported_head_tells_a_cut_tail_and_a_rewritten_chain(
    ledger: Ledger, folder: Path
) -> None:
    heads = folder / "heads"
    fill(ledger, "alice", 9)
    fill(ledger, "bob", 2)
    assert ledger.holds(export=str(heads)) == "verified 2 journals, 11 entries"
    assert ledger.holds(heads=str(heads)) == "verified 2 journals, 11 entries"

    # By somebody who knows how: what is left is a sound chain.
    ledger.execute("DELETE FROM journal WHERE owner = 'alice' AND seq > 7")
    ledger.execute(
        "UPDATE account SET seq = 7, hash = (SELECT hash FROM journal"
        " WHERE journal.owner = 'alice' AND seq = 7) WHERE owner = 'alice'"
    )
    ledger.holds()
    (found,) = ledger.finds(heads=str(heads))
    assert found == "'alice', entry 7: the journal ends here, but its exported head is entry 9"

    ledger.execute("DELETE FROM journal")
    ledger.execute("DELETE FROM account")
    fill(ledger, "alice", 9)
    rewritten, gone = ledger.finds(heads=str(heads))[-2:]
    assert rewritten.startswith("'alice', entry 9: the chain up to here was rewritten")
    assert gone == "'bob': the journal of the exported head is missing"


def test_heads_of_what_does_not_hold_are_not_exported(ledger: Ledger, folder: Path) -> None:
    fill(ledger, "alice", 2)
    ledger.execute("UPDATE journal SET actor = 'x' WHERE seq = 1")

    ledger.finds(export=str(folder / "heads"))
    assert not (folder / "heads").exists()


def test_heads_go_through_pipes(folder: Path) -> None:
    ledger = _open_sqlite(folder)
    assert call_admin(ledger.environment, "migrate").returncode == 0
    fill(ledger, "alice", 3)
    command = [sys.executable, "-m", "todo.admin", "verify"]

    exported = subprocess.run(
        [*command, "--export-head", "-"], env=ledger.environment, capture_output=True, check=True
    )
    compared = subprocess.run(
        [*command, "--head", "-"],
        env=ledger.environment,
        input=exported.stdout,
        capture_output=True,
        check=True,
    )

    assert orjson.loads(exported.stdout)["seq"] == 3
    assert exported.stderr == compared.stdout == b"verified 1 journals, 3 entries\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot read"), ("{}", "line 1"), ("x", "line 1"), ('{"owner": 1}', "line 1")],
)
def test_a_file_that_has_no_heads_is_refused(folder: Path, text: str | None, said: str) -> None:
    ledger = _open_sqlite(folder)
    heads = folder / "heads"
    if text is not None:
        heads.write_text(text)

    done = run_admin(ledger.environment, "verify", "--head", str(heads))
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert said in done.stderr


def test_an_unknown_owner_is_told_from_a_journal_that_lost_its_account(ledger: Ledger) -> None:
    fill(ledger, "alice", 3)
    done = call_admin(ledger.environment, "verify", "--owner", "alise")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == "todo.admin: error: --owner: unknown account alise\n"

    ledger.execute("DELETE FROM account")
    assert ledger.finds(owner="alice") == ["'alice': the journal does not exist"]


def test_an_absent_schema_is_one_line(folder: Path) -> None:
    done = call_admin(_open_sqlite(folder).environment, "verify")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (65, "", 1)


def test_tasks_that_were_changed_past_the_journal_are_named(ledger: Ledger) -> None:
    options = {"TODO_DATABASE_URL": ledger.environment["TODO_DATABASE_URL"]}
    with open_service(options) as service, invite(service) as make:
        service.wait_ready()
        alice = make("alice")
        home = alice.create(LISTS, name="Home")
        ids = [
            alice.create(TASKS, title=f"t{n}", list_id=home["id"], tags=["a"], reminders=[5])["id"]
            for n in range(4)
        ]
        read(alice.http.post(f"{TASKS}/{ids[0]}/complete"))
        alice.http.delete(f"{TASKS}/{ids[1]}")
        read(alice.http.post("/api/v1/undo", json={"seq": 7}))
    assert ledger.holds(with_state=True).endswith("entries")

    ledger.execute(f"UPDATE task SET title = 'forged' WHERE id = '{ids[2]}'")  # noqa: S608
    ledger.execute(f"DELETE FROM task WHERE id = '{ids[3]}'")  # noqa: S608
    ledger.holds()
    found = ledger.finds(with_state=True)

    assert found == [
        f"{alice.name!r}: the task {ids[2]} differs from the journal (title)",
        f"{alice.name!r}, entry 5: the task {ids[3]} of the journal does not exist",
    ]


UNUSUAL = [
    "".join(map(chr, range(1, 0x300))),
    'a "quoted" \\ back\\\\slash / and \\u0041 \\n',
    "\u2028\u2029\ufeff\ufffd\U0001f600\U0010ffff",
    "'; -- $1 %s %(owner)s :owner",
    "",
]


def test_what_the_program_wrote_is_sound_whatever_tasks_say(
    service: Service, make_person: MakePerson
) -> None:
    alice = make_person("alice")
    for number, text in enumerate(UNUSUAL):
        run = {"X-Agent": "a", "X-Model": "m", "X-Run-Id": f"run-{number}"} if number % 2 else {}
        # The first makes the account, those after it are one statement each on PostgreSQL.
        fields = {"title": f"{number}", "description": text, "tags": ["x", f"{number}"]}
        read(alice.http.post(TASKS, json=fields, headers=run), 201)
    operations = [{"op": "create", "task": {"title": "t", "description": text}} for text in UNUSUAL]
    read(alice.http.post(f"{TASKS}/batch", json={"operations": operations}))

    assert verify_journal(service, alice.name) == len(UNUSUAL) * 2


def test_the_chain_holds_when_one_owner_writes_many_tasks_at_a_time(
    service: Service, make_person: MakePerson
) -> None:
    alice = make_person("alice")

    def write(number: int) -> int:
        headers = {"Idempotency-Key": f"{number}"} if number % 4 == 0 else {}
        fields = {"title": f"{number}"}
        return alice.http.post(TASKS, json=fields, headers=headers).status_code

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(write, range(160))) == {201}

    assert verify_journal(service, alice.name) == len(range(160))


def verify_journal(service: Service, owner: str) -> int:
    """Verify a journal, which must hold; return how many entries it has."""
    done = call_admin(service.environment, "verify", "--owner", owner)
    found = re.fullmatch(r"verified 1 journals, (\d+) entries\n", done.stdout)
    assert found, done
    return int(found[1])
