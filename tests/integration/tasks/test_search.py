"""Words that tasks are found by, on both databases."""

import unicodedata
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.tasks.test_paging import NOW
from tests.integration.users import TASKS, MakePerson, Person, read
from tests.integration.worlds import World, open_world
from todo.core.caller import Caller
from todo.tasks import query as tasks_query
from todo.tasks.page_sql import NARROW
from todo.tasks.service import TaskService
from todo.text.search_words import OWNER_MARK, parse_query, render_searched
from todo.writes.unit_of_work import UnitOfWork

# Likely to be split, folded or taken for something else by one of the databases.
PIECES = (
    *("milk", "Milk", "mi", "x@y.org", "/a/b", "<b>", "&amp;", "3.14", "-5", "1e5", "O'Neil", "§"),
    *("½", "²", "①", "m²", "٣", "Ⅷ", "ﬁn", "ＡＢ", "ΟΔΟΣ", "οδός", "İi", "ı", "ß", "SS", "e\u0301"),
    *(
        "é",
        "報告書",
        "報告",
        "書",
        "明日",
        "ซื้อนม",
        "นม",
        "한글",
        "iPhone版",
        "🦊",
        "\u200b",
        "\\",
        '"',
    ),
)
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(" ".join) | st.lists(
    st.sampled_from(PIECES), min_size=1, max_size=3
).map("".join)


def search(person: Person, words: str, **more: str) -> list[str]:
    """Return the titles that a query finds."""
    found = read(person.http.get(TASKS, params={"q": words, "fields": "title", **more}))
    return [each["title"] for each in found["items"]]


@pytest.mark.parametrize("words", ["o", "own", "owner", "milk own", "v", "null"])
def test_what_is_not_written_in_a_task_does_not_find_it(
    make_person: MakePerson, words: str
) -> None:
    alice = make_person("alice")
    alice.create(TASKS, title="Buy milk")

    assert search(alice, words) == []
    assert len(search(alice, "buy mi")) == 1


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("हिन्दी सीखो", "हिन्दी"),
        ("हिन्दी सीखो", "हिन्दी सी"),
        ("ซื้อน้ำ now", "ซื้อน้ำ now"),
        ("שָׁלוֹם all", "שָׁלוֹם all"),
        ("Cafe\u0301 noir", "cafe\u0301 noir"),
        ("Cafe\u0301 noir", "café noir"),
        ("Café noir", "CAFE\u0301"),
        ("Привет МИР", "мир"),
        ("Grüße", "GRÜ"),
        ("Straße", "strasse"),
        ("ΟΔΟΣ", "οδος"),
        ("οδος", "ΟΔΟΣ"),
        ("İstanbul", "istanbul"),
        ("istanbul", "İSTANBUL"),
        ("recipe ½ cup", "½"),
        ("15 m² parquet", "m²"),
        ("item ① first", "①"),
        ("ＴＯＤＯ", "todo"),
        ("明日までに報告書を書く", "報告書"),
        ("买牛奶和面包", "面包"),
        ("ซื้อนมพรุ่งนี้", "นม"),
        ("회의보고서를 작성", "보고서"),
    ],
)
def test_words_of_any_script_are_found(make_person: MakePerson, title: str, words: str) -> None:
    alice = make_person("alice")
    made = alice.create(TASKS, title=title)
    alice.create(TASKS, title="something else")

    found = read(alice.http.get(TASKS, params={"q": words}))["items"]

    assert [each["id"] for each in found] == [made["id"]]


@pytest.mark.parametrize("words", ["½", "②", "²", "⅓", "alpha ½", "?! ½"])
def test_a_number_that_is_in_no_task_finds_none(make_person: MakePerson, words: str) -> None:
    alice = make_person("alice")
    for title in ("alpha beta", "item ① first", "plain", "1 2 3 4"):
        alice.create(TASKS, title=title)

    assert search(alice, words) == []


@pytest.mark.parametrize("words", ["", " ", "\u3000"])
def test_an_empty_search_is_no_filter(make_person: MakePerson, words: str) -> None:
    alice = make_person("alice")
    for title in ("one", "two"):
        alice.create(TASKS, title=title)

    assert search(alice, words) == ["two", "one"]
    theirs = alice.http.get(f"/api/{alice.name}/tasks", params={"search": words})
    assert len(theirs.json()) == 2
    refused = alice.http.get(TASKS, params={"q": words, "sort": "relevance"})
    assert refused.status_code == 422


def test_two_spellings_of_a_letter_are_one_tag_and_one_name(make_person: MakePerson) -> None:
    alice = make_person("alice")
    for spelling in ("r\u00e9sum\u00e9", "re\u0301sume\u0301"):
        made = alice.create(TASKS, title=spelling, description=spelling, tags=[spelling])
        assert unicodedata.is_normalized("NFC", orjson.dumps(made).decode())
        listed = alice.create("/api/v1/lists", name=spelling)
        assert listed["name"] == "r\u00e9sum\u00e9"

    assert read(alice.http.get("/api/v1/tags"))["items"] == [{"name": "r\u00e9sum\u00e9"}]
    found = read(alice.http.get(TASKS, params={"tag": "re\u0301sume\u0301"}))["items"]
    assert len(found) == 2
    renamed = alice.http.patch("/api/v1/tags/re\u0301sume\u0301", json={"name": "cv"})
    assert read(renamed)["tasks"] == 2


def test_a_task_is_found_by_its_words_of_now(make_person: MakePerson) -> None:
    alice = make_person("alice")
    parent = alice.create(TASKS, title="above")
    made = alice.create(TASKS, title="old words", parent_id=parent["id"])
    path = f"{TASKS}/{made['id']}"

    read(alice.http.patch(path, json={"title": "new words"}))
    assert (search(alice, "old"), search(alice, "new")) == ([], ["new words"])
    read(alice.http.patch(path, json={"description": "報告書"}))
    assert search(alice, "告書") == ["new words"]
    seq = read(alice.http.get("/api/v1/journal"))["items"][0]["seq"]
    read(alice.http.post("/api/v1/undo", json={"seq": seq}))
    assert search(alice, "告書") == []
    # The task below goes with it.
    assert alice.http.delete(f"{TASKS}/{parent['id']}").status_code == 204
    assert search(alice, "words") == []


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(request) as world:
        yield world


def fill(
    world: World, caller: Caller, texts: Sequence[tuple[str, str | None]]
) -> list[dict[str, Any]]:
    """Store tasks with titles and descriptions; return them."""

    async def create(work: UnitOfWork) -> list[dict[str, Any]]:
        tasks = TaskService(work)
        return [
            orjson.loads((await tasks.create({"title": title, "description": description})).body)
            for title, description in texts
        ]

    return world.write(caller, NOW, create)


def find(world: World, caller: Caller, **asked: Any) -> list[str]:  # noqa: ANN401 - of any kind
    pages = world.read_pages(caller, NOW, tasks_query.Query(limit=100, **asked))
    return [orjson.loads(item)["id"] for page in pages for item in page]


def rank(task: dict[str, Any], words: str) -> int | None:
    """Return how many words of a query a task's title has; None if it lacks one altogether."""
    query = parse_query(words)
    if query is None:
        return None
    searched = render_searched(task["owner"], task["title"], task["description"])
    if not all(piece in searched for piece in query.pieces):
        return None
    end = searched.index(OWNER_MARK)
    return sum(searched.index(piece) < end - 1 for piece in query.pieces)


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    texts=st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=8),
    queries=st.lists(TEXTS, min_size=1, max_size=8),
)
def test_a_database_finds_what_the_words_say_in_the_order_of_their_rank(
    world: World, texts: list[tuple[str, str | None]], queries: list[str]
) -> None:
    caller = Caller(f"user-{uuid.uuid4()}")
    tasks = fill(world, caller, texts)
    for words in queries:
        ranks = {task["id"]: rank(task, words) for task in tasks}
        wanted = sorted((each for each in ranks if ranks[each] is not None), reverse=True)
        for sort in ("created", "title"):
            assert set(find(world, caller, search=words, sort=sort)) == set(wanted), words
        wanted.sort(key=lambda each: ranks[each] or 0, reverse=True)
        assert find(world, caller, search=words, sort="relevance") == wanted, words


def test_a_word_of_many_tasks_is_found_page_by_page(world: World) -> None:
    caller = Caller(f"user-{uuid.uuid4()}")
    other = Caller(f"user-{uuid.uuid4()}")
    texts = [(f"報告書 {number}", None) for number in range(NARROW + 20)]
    tasks = fill(world, caller, texts)
    # Others' tasks with the same words, and own ones that have the pairs in another order.
    fill(world, other, texts)
    fill(world, caller, [("告書 報告", None)] * (NARROW + 20))

    for words in ("報告書", "報告書 1", "書"):
        wanted = {task["id"] for task in tasks if words != "報告書 1" or " 1" in task["title"]}
        found = find(world, caller, search=words, sort="title")
        assert len(set(found)) == len(found)
        assert wanted <= set(found)
        if words != "書":
            assert wanted == set(found)
