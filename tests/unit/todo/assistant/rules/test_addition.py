"""Messages that add a task, or could be about one that exists."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide

CONTEXT = make_context()


@pytest.mark.parametrize(
    "message",
    [
        *(
            "add",
            "add a task",
            "create a new task",
            "add an item",
            "create a reminder",
            "new task:",
        ),
        *("make a new task please", "set a reminder", "remind me", "add one", "add a to-do"),
        *("add a task for tomorrow", "add a task to work", "add reminder tomorrow 5pm"),
    ],
)
def test_an_addition_without_a_title_asks_for_it(message: str) -> None:
    assert decide(message, CONTEXT) == Decision("help", "no-title")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("add 'a task'", "'a task'"),
        ("add a task called x", "x"),
    ],
)
def test_words_for_a_task_can_be_in_a_title(message: str, text: str) -> None:
    assert decide(message, CONTEXT) == Decision("add", text)


@pytest.mark.parametrize(
    "message",
    [
        *("make mum's call at 6pm", "get the passport done", "get the flights changed today"),
        *("do a call with mum tomorrow", "set a call with the dentist for monday"),
        "put a call to the dentist on friday",
    ],
)
def test_a_line_that_can_be_about_a_task_or_a_new_one_is_not_decided(message: str) -> None:
    assert decide(message, CONTEXT) is None


@pytest.mark.parametrize(
    "message",
    [
        *("get eggs", "schedule a call with mum on friday", "make dinner at 6pm"),
        *("schedule another call with the dentist on friday", "get a passport photo friday"),
    ],
)
def test_a_new_task_is_added_beside_those_that_exist(message: str) -> None:
    assert decide(message, CONTEXT) == Decision("add", message)


@pytest.mark.parametrize("message", ["the passport has no due date", "my dentist has no deadline"])
def test_how_a_due_is_does_not_say_how_it_should_be(message: str) -> None:
    assert decide(message, CONTEXT) is None
    assert decide(f"{message} any more", CONTEXT) is not None


def test_a_task_that_can_only_be_read_keeps_nothing_from_being_added() -> None:
    theirs = replace(name_task(1, "Buy leeks"), is_read_only=True, owner="ben")

    decision = decide("buy leeks", replace(CONTEXT, tasks=[theirs]))

    assert decision == Decision("add", "buy leeks")


@pytest.mark.parametrize(
    "message",
    [
        "buy eggs tomorrow and call Ann friday",
        "remind me tomorrow at 9 to call Ben and at 10 to call Ann",
        "remind me to call Ben at 9 and Ann at 10",
        "add juice to shopping and bread to home",
        "add call Ann #work and book a hotel #home",
        "water the roses every day and feed the cat every monday",
    ],
)
def test_parts_with_dates_or_lists_of_their_own_are_several_instructions(message: str) -> None:
    assert decide(message, CONTEXT) == Decision("help", "several")


@pytest.mark.parametrize(
    "message",
    [
        "add buy bread and butter tomorrow",
        "dinner with Ann and Ben friday 7pm",
        "buy 2 eggs and 10 apples tomorrow",
        'add "call Ben and call Ann friday" tomorrow',
    ],
)
def test_parts_without_dates_of_their_own_are_one_title(message: str) -> None:
    decision = decide(message, CONTEXT)

    assert decision is not None
    assert decision.intent == "add"


@pytest.mark.parametrize(
    "line", ["oil change done at the garage", "oil change finished at noon", "order done, costs 80"]
)
def test_what_is_reported_as_done_is_not_added(line: str) -> None:
    assert decide(line, CONTEXT) is None


def test_what_somebody_is_to_get_done_is_added() -> None:
    added = decide("get the oil change done tomorrow", CONTEXT)

    assert added == Decision("add", "get the oil change done tomorrow")


@pytest.mark.parametrize("verb", ["go", "walk", "cycle", "listen"])
def test_a_way_to_work_is_not_a_task_of_the_list(verb: str) -> None:
    assert decide(f"add {verb} to work", CONTEXT) == Decision("add", f"{verb} to work")
