"""Messages of several lines: what a heading says about the tasks below it."""

import pytest

from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide

CONTEXT = make_context()
ITEMS = "\n- eggs\n- ham"


@pytest.mark.parametrize(
    ("heading", "mark"),
    [
        ("add to shopping:", '#"Shopping"'),
        ("add these to my work list:", '#"Work"'),
        ("put on the shopping list:", '#"Shopping"'),
        ("Shopping list:", '#"Shopping"'),
        ("Home:", '#"Home"'),
        ("add for tomorrow:", "tomorrow"),
        ("new tasks for friday:", "friday"),
        ("can you create reminders at 5pm:", "5pm"),
        ("remind me every monday to:", "every monday"),
        ("new high priority tasks:", "!high"),
        ("3 urgent tasks:", "!high"),
        ("low-priority items:", "!low"),
        ("add tasks tagged errand:", "@errand"),
        ("please add to work, due monday:", '#"Work" monday'),
        ("add these to my shopping list for saturday:", '#"Shopping" saturday'),
        ("add for saturday to shopping:", '#"Shopping" saturday'),
        ("new urgent tasks for work with tag q4:", '!high @q4 #"Work"'),
    ],
)
def test_a_heading_is_about_each_line_below_it(heading: str, mark: str) -> None:
    assert decide(heading + ITEMS, CONTEXT) == Decision("add", f"eggs {mark}\nham {mark}")


@pytest.mark.parametrize(
    "heading",
    ["add:", "add", "Todo:", "to-do list:", "add these tasks:", "the following items:", "my list:"],
)
def test_a_heading_can_say_only_that_these_are_tasks(heading: str) -> None:
    assert decide(heading + ITEMS, CONTEXT) == Decision("add", "eggs\nham")


@pytest.mark.parametrize(
    "heading",
    [
        "make a note to delete these:",
        "note what is done:",
        "new status done:",
        "add eggs:",
        "complete:",
        "Notes from the meeting:",
        "these are done:",
        "don't add these:",
        "should I add these:",
        "add to shopping and work:",
        'add "cancel" tasks:',
        "eggs",
        f"add {'x ' * 60}:",
    ],
)
def test_a_heading_with_other_words_decides_nothing(heading: str) -> None:
    assert decide(heading + ITEMS, CONTEXT) is None


@pytest.mark.parametrize("heading", ["add to the garden list:", "garden list:"])
def test_an_unknown_list_is_named(heading: str) -> None:
    assert decide(heading + ITEMS, CONTEXT) == Decision(
        "help", "unknown-list", fields={"list": "garden"}
    )


def test_a_heading_that_creates_a_list_adds_nothing() -> None:
    decision = decide(f"create a list called Garden:{ITEMS}", CONTEXT)

    assert decision is not None
    assert (decision.intent, decision.text) == ("help", "only-tasks")


def test_what_a_line_says_itself_counts_more_than_its_heading() -> None:
    message = "add to shopping tomorrow:\n- eggs friday\n- ham #Home\n- tea !low"

    assert decide(message, CONTEXT) == Decision(
        "add", 'eggs friday #"Shopping"\nham #Home tomorrow\ntea !low #"Shopping" tomorrow'
    )


def test_a_line_in_quotation_marks_is_a_title() -> None:
    decision = decide('add to shopping:\n- "complete the milk"\n- "tomorrow"', CONTEXT)

    assert decision == Decision("add", 'complete the milk #"Shopping"\n\\tomorrow #"Shopping"')


def test_lines_without_bullets_need_a_heading_with_a_colon() -> None:
    assert decide("add:\neggs\nham", CONTEXT) == Decision("add", "eggs\nham")
    assert decide("add\neggs\nham", CONTEXT) is None
    assert decide("eggs\nham", CONTEXT) is None


@pytest.mark.parametrize("heading", ["", "add to shopping:\n"])
def test_more_lines_than_one_message_can_add_are_refused_as_a_whole(heading: str) -> None:
    items = [f"- thing {number}" for number in range(51)]

    decision = decide(heading + "\n".join(items[:50]), CONTEXT)
    assert decision is not None
    assert (decision.intent, decision.text.count("\n")) == ("add", 49)
    assert decide(heading + "\n".join(items), CONTEXT) == Decision(
        "help", "too-many-lines", fields={"lines": 51}
    )


@pytest.mark.parametrize("ticked", ["- [x] gym", "[X] gym", "* [\u2713] gym"])
def test_a_ticked_line_among_others_decides_nothing(ticked: str) -> None:
    assert decide(f"- juice\n{ticked}", CONTEXT) is None


def test_the_box_of_an_open_task_is_not_a_part_of_its_title() -> None:
    assert decide("- [ ] juice\n- eggs", CONTEXT) == Decision("add", "juice\neggs")
