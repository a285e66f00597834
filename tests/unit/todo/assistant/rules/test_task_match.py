"""Matching of tasks by a phrase."""

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
    tasks = [task(f"call number {number}", id=str(number)) for number in range(90)]

    assert len(match_tasks("call", tasks).candidates) == MAX_CANDIDATES


def test_titles_of_other_scripts_are_named_by_their_words() -> None:
    tasks = [task("Zubni lékař"), task("Купить хлеб"), task("牛乳")]

    assert match_tasks("ZUBNI LÉKAŘ", tasks).found == (tasks[0],)
    assert match_tasks("купить хлеб", tasks).found == (tasks[1],)
    assert match_tasks("牛乳", tasks).found == (tasks[2],)


@pytest.mark.parametrize(
    ("title", "phrase"),
    [
        ("Pay invoice 20261", "invoice 20262"),
        ("Pay invoice 20261", "invoice 2026"),
        ("Release 1.2", "release 2.1"),
        ("Move ticket ABC1234", "ticket ABC1235"),
        ("Plan Q1", "plan Q1s"),
    ],
)
def test_a_number_with_another_digit_is_another_number(title: str, phrase: str) -> None:
    assert not match_tasks(phrase, [task(title)])


@pytest.mark.parametrize(
    ("title", "phrase"),
    [
        ("Call Maria", "call Marta"),
        ("Call Jan", "call Jane"),
        ("Call Hans", "call Han"),
        ("call hans", "call han"),
        ("Email Pete", "email pet"),
        ("Buy tape", "buy the tap"),
        ("Buy a cap", "buy a cape"),
        ("Read the plan", "read the planes"),
        ("Buy paint", "buy painting"),
        ("Renew passport", "the pasport"),
        ("Call the dentist", "the dentsit"),
        ("Pay electricity bill", "electric bill"),
    ],
)
def test_a_near_word_only_asks(title: str, phrase: str) -> None:
    named = task(title)

    assert match_tasks(phrase, [named]) == Match(candidates=(named,), is_near=True)
    chosen = task(title, is_chosen=True)
    assert match_tasks(phrase, [chosen]).found == (chosen,)


@pytest.mark.parametrize(
    ("title", "phrase"),
    [
        ("Plan the trip", "planning the trip"),
        ("Cancel the gym", "cancelled the gym"),
        ("Cancel the gym", "canceled the gym"),
        ("Carry the boxes", "carried the box"),
        ("Wash and fold laundry", "washed and folded laundry"),
        ("Pay the bills", "paid the bill"),
        ("Buy cherries", "bought a cherry"),
        ("Deploy app", "deploying app"),
        ("Call Ann's sister", "called Ann's sister"),
    ],
)
def test_another_form_of_a_verb_or_a_thing_is_the_same_word(title: str, phrase: str) -> None:
    assert match_tasks(phrase, [task(title)]).found == (task(title),)


def test_an_exact_name_wins_over_a_near_one() -> None:
    tasks = [task("Call Jane"), task("Call Jan")]

    assert match_tasks("call Jan", tasks).found == (tasks[1],)
    assert match_tasks("call Jane", tasks).found == (tasks[0],)


GROUPS = [
    *("everything on my work list", "all work tasks", "all overdue tasks", "everything late"),
    *("both reports", "all tasks about the report", "everything at work"),
]


@pytest.mark.parametrize("phrase", GROUPS)
def test_a_group_has_no_task_of_another_list_of_the_same_name(phrase: str) -> None:
    own = [
        task(f"report {number}", list_name="Work", due="2026-11-01", id=str(number))
        for number in range(2)
    ]
    theirs = task(
        "report 2",
        list_name="Work",
        due="2026-11-01",
        is_shared=True,
        owner="ben",
        is_of_named_list=False,
    )

    match = match_tasks(phrase, [*own, theirs], NOW)

    assert (match.found, match.affects_others) == (tuple(own), False)


@pytest.mark.parametrize("phrase", ["everything on the party list", "all party tasks"])
def test_a_group_of_a_list_that_others_see_is_named_by_the_list(phrase: str) -> None:
    theirs = [
        task(title, list_name="Party", due="2026-11-01", is_shared=True, owner="ben")
        for title in ("cake", "balloons")
    ]

    match = match_tasks(phrase, theirs, NOW)

    assert (match.found, match.affects_others) == (tuple(theirs), True)
    assert not match_tasks("all overdue tasks", theirs, NOW)
    assert not match_tasks("the cake", theirs, NOW).affects_others


def test_a_task_that_can_only_be_read_does_not_make_a_name_unclear() -> None:
    own = task("Buy milk", id="1")
    theirs = task("Buy milk", id="2", is_read_only=True, is_shared=True, owner="ben")

    assert match_tasks("buy milk", [own, theirs]).found == (own,)
    assert match_tasks("buy milk", [theirs]).found == (theirs,)


# Without an owner, the task is in a list that the person shares, where others add tasks.
@pytest.mark.parametrize("owner", ["ben", None])
def test_an_exact_title_that_others_can_give_does_not_win_over_an_own_task(
    owner: str | None,
) -> None:
    own = task("Finish the report", id="1")
    theirs = task("Report", id="2", is_shared=True, owner=owner)

    assert match_tasks("the report", [own, theirs]).candidates == (own, theirs)
    assert match_tasks("finish the report", [own, theirs]).found == (own,)
    assert match_tasks("the report", [theirs]).found == (theirs,)
