"""An upgrade of a database with data in it: what is stored becomes what would be stored today."""

import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import sqlalchemy as sa

from tests.integration.cluster import Cluster
from tests.integration.old_data import (
    BEFORE_WORDS,
    COMPOSED,
    DECOMPOSED,
    GROWS,
    OWNERS,
    fill,
    migrate_to,
    open_engine,
)
from tests.integration.service import open_folder
from tests.integration.tasks.test_paging import NOW, SIZES, SORTS
from tests.integration.worlds import World, find_url, open_database
from tests.machine_clock import wait_until
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.db.migrate import migrate
from todo.journal.checkpoints import Head
from todo.journal.repository import Filter, View, read_history
from todo.journal.undo import Undo
from todo.journal.verify import verify
from todo.lists.repository import ListRepository
from todo.tags.repository import find_names
from todo.tasks import query as tasks_query
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.core.domain import TaskChanges

COUNT = 2400
EACH = COUNT // len(OWNERS)
ENTRIES = sa.text("SELECT * FROM journal ORDER BY owner, seq")
HEADS = sa.text("SELECT owner, chain_id, seq, hash FROM account ORDER BY owner")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of revision 0004 with tasks, lists and journals of two owners."""
    with open_folder() as folder:
        url = find_url(request, folder)
        engine = open_engine(url)
        migrate_to(engine, BEFORE_WORDS)
        fill(engine, COUNT)
        engine.dispose()
        yield url


def upgrade(url: str) -> None:
    migrate(Settings(database_url=url), lambda _line: None)


def query(url: str, statement: sa.TextClause) -> list[tuple[Any, ...]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    engine.dispose()
    return rows


def read(world: World, owner: str, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - of any kind
    question = tasks_query.Query(**{"limit": 100, **asked})
    pages = world.read_pages(Caller(owner), NOW, question)
    return [orjson.loads(item) for page in pages for item in page]


def test_pages_tags_words_and_journals_are_right_after_an_upgrade(url: str) -> None:
    before, heads = query(url, ENTRIES), query(url, HEADS)
    upgrade(url)

    after = query(url, ENTRIES)
    kept = {row[:2]: row for row in after}
    # Later revisions add columns.
    assert [kept[row[:2]][: len(row)] for row in before] == before
    with open_database(url) as world:
        for owner in OWNERS:
            _check_journal(world, owner, next(row for row in heads if row[0] == owner))
            _check_pages(world, owner)
            _check_texts(world, owner)
            _check_undo(world, owner)
            _check_words(world, owner)


def test_searches_are_planned_with_statistics_after_an_upgrade(url: str) -> None:
    upgrade(url)
    if url.startswith("postgresql"):
        analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = 'task' AND attname = 'words'"
        assert query(url, sa.text(analyzed)) == [(1,)]


def _check_journal(world: World, owner: str, head: tuple[Any, ...]) -> None:
    exported = Head(owner, str(head[1]), head[2], bytes(head[3]).hex())

    async def check() -> list[Any]:
        found = verify(world.database, owner=owner, heads={owner: exported}, with_state=True)
        return [finding async for each in found for finding in each.findings]

    assert world.run(check) == []


def _check_pages(world: World, owner: str) -> None:
    for sort, descending in itertools.product(SORTS, (False, True)):
        if sort == "position":
            continue
        walks = []
        for limit in SIZES[3:]:
            found = read(
                world, owner, sort=sort, descending=descending, limit=limit, fields=("id",)
            )
            walks.append([task["id"] for task in found])
        assert len(set(walks[0])) == len(walks[0]) == EACH, sort
        assert walks[0] == walks[1], sort


def _check_texts(world: World, owner: str) -> None:
    tasks = read(world, owner)
    assert not [task for task in tasks if DECOMPOSED in orjson.dumps(task).decode()]
    # What would be too long stays.
    assert {task["title"] for task in tasks} >= {GROWS, f"{COMPOSED} one", f"{COMPOSED} two"}
    changed = [task for task in tasks if task["version"] == 2]
    assert len(changed) > EACH // 20
    assert all(task["tags"].count(COMPOSED) <= 1 for task in tasks)
    tagged = {task["id"] for task in tasks if COMPOSED in task["tags"]}
    assert {task["id"] for task in read(world, owner, tags=(COMPOSED,))} == tagged
    times = {len(task[name]) for task in tasks for name in ("created_at", "updated_at")}
    assert times == {len("2026-01-01T00:00:00.000000+00:00")}

    async def find() -> tuple[list[str], list[str]]:
        async with world.database.reading() as session:
            tags = await find_names(session, owner, None, 100)
            lists = await ListRepository(session, Caller(owner)).find_page(None, 100)
            return tags, [orjson.loads(document)["name"] for document, _id in lists]

    tags, names = world.run(find)
    assert sorted(tags) == sorted({"home", COMPOSED})
    # Two lists stay two lists.
    assert names == [COMPOSED, COMPOSED, "plain"]


def _check_undo(world: World, owner: str) -> None:
    """Undo what the upgrade changed of each kind: the text comes back in the one form."""
    caller = Caller(owner)

    async def converted() -> dict[str, int]:
        async with world.database.reading() as session:
            wanted = Filter()
            items, _following = await read_history(session, View(owner), wanted, None, 2000)
            entries = [orjson.loads(item) for item in items]
            return {e["kind"]: e["seq"] for e in entries if e["agent"] == "todo.admin migrate"}

    async def undo(seq: int, work: UnitOfWork) -> bytes:
        return await Undo(work, View(owner)).undo_change(seq)

    found = world.run(converted)
    assert found.keys() == {"task", "list"}
    for seq in found.values():
        done = world.write(caller, NOW, partial(undo, seq))
        (restored,) = orjson.loads(done)["items"]
        assert restored["after"]["version"] == 3
        assert DECOMPOSED not in orjson.dumps(restored).decode()


def _check_words(world: World, owner: str) -> None:
    tasks = read(world, owner)
    for words, part in (
        (COMPOSED, COMPOSED),
        (DECOMPOSED, COMPOSED),
        ("½", "½"),
        ("報告書", "報告書"),
    ):
        wanted = {t["id"] for t in tasks if part in t["title"] or part in (t["description"] or "")}
        assert wanted
        assert {task["id"] for task in read(world, owner, search=words)} == wanted
    # What is written from now on keeps the index of words in step.
    caller, first = Caller(owner), tasks[0]
    change: TaskChanges = {"title": "entirely other"}
    world.write(caller, NOW, lambda work: TaskService(work).update(first["id"], change))
    assert [task["id"] for task in read(world, owner, search="entirely oth")] == [first["id"]]
    world.write(caller, NOW, lambda work: TaskService(work).delete(first["id"]))
    assert read(world, owner, search="entirely") == []


def test_an_upgrade_that_is_interrupted_has_changed_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = ("task", "list", "task_tag", "account", "journal", "alembic_version")
    before = {name: query(url, sa.text(f"SELECT * FROM {name}")) for name in tables}  # noqa: S608
    left = iter(range(COUNT - 100))

    def render(*_texts: str) -> str:
        next(left)
        return ""

    # The revision is loaded from its file each time.
    monkeypatch.setattr(sys.modules["todo.text.search_words"], "render_searched", render)
    with pytest.raises(StopIteration):
        upgrade(url)
    monkeypatch.undo()

    after = {name: query(url, sa.text(f"SELECT * FROM {name}")) for name in tables}  # noqa: S608
    assert after == before
    upgrade(url)
    with open_database(url) as world:
        assert len(read(world, "alice")) == EACH


def test_an_upgrade_of_an_empty_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/todo.db"
    engine = open_engine(url)
    migrate_to(engine, BEFORE_WORDS)
    engine.dispose()

    upgrade(url)

    assert query(url, sa.text("SELECT count(*) FROM task")) == [(0,)]


def test_an_upgrade_waits_for_a_text_that_is_being_changed(cluster: Cluster) -> None:
    url = cluster.make_database()
    engine = open_engine(url)
    migrate_to(engine, BEFORE_WORDS)
    fill(engine, 100)
    migrate_to(engine, "0009")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE task SET words = ' former '"))
    change = sa.text("UPDATE task SET title = 'milk', words = ' milk ' WHERE title LIKE 'task %'")
    waits = sa.text("SELECT 1 FROM pg_locks WHERE NOT granted")

    with ThreadPoolExecutor(1) as thread:
        with engine.begin() as connection, engine.connect() as observer:
            assert connection.execute(change).rowcount > 10
            upgrading = thread.submit(upgrade, url)
            wait_until(lambda: observer.execute(waits).first(), "the upgrade waits", within_s=120)
        upgrading.result()

    engine.dispose()
    # Searched texts that were made of the former titles would have their words.
    assert query(url, sa.text("SELECT id FROM task WHERE words LIKE '%task%'")) == []
    with open_database(url) as world:
        found = [task for owner in OWNERS for task in read(world, owner, search="milk")]
    assert {task["title"] for task in found} == {"milk"}


def test_words_of_former_rules_are_made_anew_and_nothing_else_changes(url: str) -> None:
    engine = open_engine(url)
    migrate_to(engine, "0009")
    former = "UPDATE task SET words = ' former ', title = '2026年3月' WHERE title LIKE 'task %7'"
    with engine.begin() as connection:
        connection.execute(sa.text(former))
    engine.dispose()
    unchanged = sa.text("SELECT id, title, version, updated_at FROM task ORDER BY id")
    before = [query(url, each) for each in (ENTRIES, HEADS, unchanged)]

    upgrade(url)

    assert [query(url, each) for each in (ENTRIES, HEADS, unchanged)] == before
    with open_database(url) as world:
        for owner in OWNERS:
            assert read(world, owner, search="former") == []
            assert {task["title"] for task in read(world, owner, search="6年3")} == {"2026年3月"}
            assert len(read(world, owner, search="6年3")) == EACH // 10
