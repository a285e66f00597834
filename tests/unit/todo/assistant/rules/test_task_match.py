"""Which tasks a phrase names."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import TaskName
from todo.assistant.rules.task_match import MAX_CANDIDATES, Match, TaskIndex

CONTEXT = make_context()
OPEN = [task for task in CONTEXT.tasks if not task.is_completed]
NOW = CONTEXT.now


def match_tasks(phrase: str, tasks: Sequence[TaskName], now: datetime | None = None) -> Match:
    return TaskIndex(tasks, now).match(phrase)


def names(phrase: str) -> tuple[list[str], list[str]]:
    match = match_tasks(phrase, OPEN, NOW)
    return [task.id for task in match.found], [task.id for task in match.candidates]


def task(title: str, **fields: object) -> TaskName:
    values = {"id": title, "title": title, "version": 1, "list_name": None, "is_completed": False}
    return TaskName(**{**values, "due": None, "is_shared": False, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("the dentist", ["dentist"]),
        ("Call the dentist", ["dentist"]),
        ("calling mum", ["mum"]),
        ("the passport thing", ["passport"]),
        ("the one about the kitchen tap", ["tap"]),
        ('"Buy milk"', ["milk"]),
        ("buy milk", ["milk"]),
        ("the oat milk", ["oat milk"]),
        ("milk for Lena", ["oat milk"]),
        ("electric bill", ["electricity"]),
        ("the pasport", ["passport"]),
        ("the dentsit", ["dentist"]),
        ("the dentist and mum", ["dentist", "mum"]),
        ("passport, plants and the slides", ["passport", "plants", "slides"]),
        ("both milk tasks", ["milk", "oat milk"]),
        ("all overdue tasks", ["plants", "electricity"]),
        ("everything that is overdue", ["plants", "electricity"]),
        ("everything due today", ["mum"]),
        ("all tasks due tomorrow", ["dentist"]),
        ("all my travel tasks", ["flights"]),
        ("everything on the shopping list", ["milk", "oat milk", "cake"]),
        ("all tasks about the report", ["report", "omar"]),
        ("the report on the work list", []),
        ("the cake on my shopping list", ["cake"]),
    ],
)
def test_a_phrase_names_tasks(phrase: str, found: list[str]) -> None:
    assert names(phrase)[0] == found


@pytest.mark.parametrize(
    ("phrase", "candidates"),
    [
        ("milk", ["milk", "oat milk"]),
        ("the report", ["report", "omar"]),
        ("call", ["dentist", "mum"]),
        ("the slides and the report", ["report", "omar"]),
    ],
)
def test_none_is_chosen_where_several_fit(phrase: str, candidates: list[str]) -> None:
    assert names(phrase) == ([], candidates)


@pytest.mark.parametrize(
    "phrase",
    [
        "",
        "it",
        "that one",
        "the task",
        "everything",
        "all tasks",
        "the dentist and the butcher",
        "the dentist tomorrow",
        "milk chocolate",
        "the cake in the oven",
        "x" * 5_000,
        "milk " * 2_000,
    ],
)
def test_a_phrase_with_other_words_names_nothing(phrase: str) -> None:
    found, _ = names(phrase)

    assert found == []


def test_without_the_present_nothing_is_overdue() -> None:
    assert not match_tasks("all overdue tasks", OPEN)


def test_a_due_with_a_time_is_overdue_from_that_instant_on() -> None:
    report = task("report", due="2026-12-04T14:00:00Z")
    zone = ZoneInfo("Europe/Berlin")

    before = datetime(2026, 12, 4, 14, 59, tzinfo=zone)
    after = datetime(2026, 12, 4, 15, 1, tzinfo=zone)
    assert match_tasks("all overdue tasks", [report], before).found == ()
    assert match_tasks("all overdue tasks", [report], after).found == (report,)


def test_a_title_of_the_same_words_wins_over_one_with_more() -> None:
    tasks = [task("Paint the fence green"), task("Paint the fence")]

    assert match_tasks("paint the fence", tasks).found == (tasks[1],)


def test_tasks_of_the_same_title_are_candidates() -> None:
    tasks = [task("Call Ana", id="1"), task("Call Ana", id="2")]

    match = match_tasks("call Ana", tasks)

    assert (match.found, match.candidates) == ((), tuple(tasks))


def test_the_number_of_candidates_has_a_limit() -> None:
    tasks = [task(f"call number {number}", id=str(number)) for number in range(50)]

    assert len(match_tasks("call", tasks).candidates) == MAX_CANDIDATES


def test_titles_of_other_scripts_are_named_by_their_words() -> None:
    tasks = [task("Zubni lékař"), task("Купить хлеб"), task("牛乳")]

    assert match_tasks("ZUBNI LÉKAŘ", tasks).found == (tasks[0],)
    assert match_tasks("купить хлеб", tasks).found == (tasks[1],)
    assert match_tasks("牛乳", tasks).found == (tasks[2],)
