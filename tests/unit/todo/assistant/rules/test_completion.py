"""Tasks that a message says are done, and messages that only sound like it."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide

LISTS = {
    "Groceries": ("rice", "soap", "Oat flakes", "Buy leeks"),
    "Office": ("Concept",),
}
TITLES = (
    *("Order toner", "Renew the library card", "Submit visa form", "Oil the hinges"),
    *("Terminate the phone contract", "Ask the roofer about the gutter", "Meet Ada", "Pay Ben"),
    *("Walk the cat", "Book hotel in Rome", "Return the tailor's call", "Finish the shelf"),
    *("Poem", "Read about Rome", "Doctor's appointment", "Paint the fence"),
)
BASE = make_context()
TASKS = [
    *(
        replace(name_task(number, title), id=title, list_name=name)
        for name, titles in LISTS.items()
        for number, title in enumerate(titles)
    ),
    *(replace(name_task(number, title), id=title) for number, title in enumerate(TITLES, 100)),
]
CONTEXT = replace(BASE, tasks=TASKS, list_names=tuple(LISTS))


def complete(message: str) -> list[str] | None:
    """Return the titles that a message completes; None if it completes none."""
    decision = decide(message, CONTEXT)
    if decision is None or decision.intent != "complete" or decision.candidates:
        return None
    return [task.title for task in decision.tasks]


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("rice is finished", "rice"),
        ("the rice is all finished", "rice"),
        ("soap finished", "soap"),
        ("rice and soap are finished", "rice"),
        ("we've finished the rice", "rice"),
        ("I finished the leeks", "Buy leeks"),
        ("the toner is finished", "Order toner"),
        ("library card is finished", "Renew the library card"),
        ("the poem is finished", "Poem"),
    ],
)
def test_what_can_mean_that_there_is_none_left_completes_nothing(message: str, title: str) -> None:
    assert decide(message, CONTEXT) == Decision("help", "used-up", fields={"title": title})


@pytest.mark.parametrize(
    ("message", "titles"),
    [
        ("rice is done", ["rice"]),
        ("the toner is done", ["Order toner"]),
        ("the concept is finished", ["Concept"]),
        ("I finished the poem", ["Poem"]),
        ("the shelf is finished", ["Finish the shelf"]),
        ("the fence is finished", ["Paint the fence"]),
        ("I'm finished with the library card", ["Renew the library card"]),
        ("complete rice and soap", ["rice", "soap"]),
    ],
)
def test_what_has_one_meaning_completes_its_task(message: str, titles: list[str]) -> None:
    assert complete(message) == titles


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("I asked the roofer about the gutter", "Ask the roofer about the gutter"),
        ("asked the roofer about the gutter", "Ask the roofer about the gutter"),
        ("I asked the roofer", "Ask the roofer about the gutter"),
        ("we read about Rome", "Read about Rome"),
        ("visa form submitted", "Submit visa form"),
        ("the hinges oiled!", "Oil the hinges"),
        ("phone contract terminated", "Terminate the phone contract"),
        ("visa form submitted yesterday", "Submit visa form"),
    ],
)
def test_the_words_of_a_title_with_its_verb_in_the_past_complete_it(
    message: str, title: str
) -> None:
    assert complete(message) == [title]


@pytest.mark.parametrize(
    "message",
    [
        "I asked about the gutter with the roofer",
        "I asked the roofer about the bill",
        "Ada met",
        "Ben paid",
        "cat walked",
        "the cat walked",
        "tailor returned",
        "hotel booked out",
        "visa form rejected",
        "visa form submitted late",
        "not the visa form submitted",
        "hinges and fence oiled",
        "the visa form submitted by Ben",
    ],
)
def test_a_past_of_somebody_else_or_of_something_else_completes_nothing(message: str) -> None:
    assert complete(message) is None


@pytest.mark.parametrize(
    ("message", "titles"),
    [
        ("bought rice", ["rice"]),
        ("I bought the soap", ["soap"]),
        ("got rice and soap", ["rice", "soap"]),
        ("bought rice, leeks and oat flakes", ["rice", "Buy leeks", "Oat flakes"]),
        ("I got rice", ["rice"]),
    ],
)
def test_a_thing_is_done_when_it_was_bought(message: str, titles: list[str]) -> None:
    assert complete(message) == titles


@pytest.mark.parametrize(
    "message",
    [
        "bought rice pudding",
        "I bought oat milk",
        "got a doctor's appointment",
        "got the poem",
        "got rice and a cold",
        "got rice?",
        "Ben bought rice",
    ],
)
def test_another_thing_that_was_bought_completes_nothing(message: str) -> None:
    assert complete(message) is None


@pytest.mark.parametrize("message", ["complete everything", "mark everything as done"])
def test_everything_can_be_completed(message: str) -> None:
    assert complete(message) == [task.title for task in TASKS]


@pytest.mark.parametrize(
    "message", ["everything is done", "I did everything", "complete everything except the poem"]
)
def test_a_statement_about_everything_completes_nothing(message: str) -> None:
    assert complete(message) is None


def decide_about_rent(message: str) -> Decision | None:
    tasks = [
        replace(name_task(1, "Pay rent"), is_completed=True),
        name_task(2, "Pay rent"),
        replace(name_task(3, "Clean the garage"), is_completed=True),
        name_task(4, "Clean the garage door"),
    ]
    return decide(message, replace(BASE, tasks=tasks))


@pytest.mark.parametrize(
    "message",
    [
        *("I haven't paid the rent yet", "the rent isn't done", "mark pay rent as not done"),
        "I did not pay the rent after all",
    ],
)
def test_an_open_task_is_meant_by_what_is_not_done(message: str) -> None:
    assert decide_about_rent(message) == Decision(
        "help", "other-state", fields={"title": "Pay rent", "is": "open"}
    )


@pytest.mark.parametrize(
    ("message", "number"), [("reopen the rent", 1), ("I haven't cleaned the garage yet", 3)]
)
def test_a_completed_task_is_reopened_by_its_name(message: str, number: int) -> None:
    decision = decide_about_rent(message)

    assert decision is not None
    assert [task.id for task in decision.tasks] == [name_task(number).id]
