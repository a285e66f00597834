"""Titles keep all of their words, also those that begin or end like a command."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from todo.assistant.rules.decision import RuleContext
from todo.assistant.rules.engine import decide

CONTEXT = RuleContext(
    now=datetime(2026, 11, 30, 9, tzinfo=UTC),
    zone=ZoneInfo("Europe/Berlin"),
    list_names=("Groceries",),
    tasks=(),
    open_plan=None,
)


def read(message: str) -> str | None:
    decision = decide(message, CONTEXT)
    return decision.text if decision is not None and decision.intent == "add" else None


@pytest.mark.parametrize("verb", ["add", "create", "please add", "jot down", "append"])
@pytest.mark.parametrize(
    "title",
    [
        *("meet Ann at the office", "medicine", "meal plan", "menu for sunday", "metal rods"),
        *("taskmaster poster", "itemized bill", "reminders app", "items to sell", "chores chart"),
        *("notebook", "todolist design", "entryway lamp"),
    ],
)
def test_a_word_that_begins_like_a_word_of_the_command_is_whole(verb: str, title: str) -> None:
    assert read(f"{verb} {title}") == title


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("add me milk", "milk"),
        ("add me medicine", "medicine"),
        ("add task buy milk", "buy milk"),
        ("add tasks: milk", "milk"),
        ("add a reminder to call mum", "call mum"),
    ],
)
def test_words_of_the_command_are_not_in_the_title(message: str, title: str) -> None:
    assert read(message) == title


@pytest.mark.parametrize(
    "title",
    [
        *("say thanks", "write cards saying thank you", "check that the alarm is ok"),
        *("teach Tim to say please", "write to Ty", "make a card that says thank you"),
        *("write a big thank you", "send a thank you", "sing for me"),
    ],
)
def test_thanks_that_are_part_of_a_title_stay(title: str) -> None:
    assert read(f"remind me to {title}") == title
    assert read(f"add {title}") == title


@pytest.mark.parametrize("end", [" please", ", please", " thanks", ", thank you!", " for me, ty"])
def test_thanks_behind_a_title_are_not_part_of_it(end: str) -> None:
    assert read(f"add buy eggs{end}") == "buy eggs"


@pytest.mark.parametrize(
    "line",
    [
        *("well-being workshop friday 3pm", "hi-fi repair tomorrow 3pm"),
        *("right-click tutorial tomorrow 5pm", "so-called expert talk tomorrow 3pm"),
        *("Hello Kitty gift tomorrow 8pm", "OK Computer evening tomorrow 8pm"),
    ],
)
def test_a_line_that_begins_like_a_greeting_is_whole(line: str) -> None:
    assert read(line) == line


@pytest.mark.parametrize("start", ["ok ", "OK ", "Hello, ", "hi - ", "Well, ", "so, please "])
def test_a_greeting_is_not_part_of_a_command(start: str) -> None:
    assert read(f"{start}add milk") == "milk"
    assert read(f"{start}Add milk") == "milk"
