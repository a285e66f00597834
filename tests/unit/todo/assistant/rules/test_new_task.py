"""The line of quick add that an addition becomes."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest

from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide
from todo.quickadd.parser import parse_quick_add

CONTEXT = make_context()


def read_addition(message: str) -> dict[str, Any]:
    """Return what is added: the title, and each field that is not empty."""
    decision = decide(message, CONTEXT)
    assert decision is not None
    assert decision.intent == "add"
    read = parse_quick_add(decision.text, CONTEXT.now, CONTEXT.zone, CONTEXT.list_names)
    assert not read.questions
    due = read.due_date or read.due_at
    day = due.date() if isinstance(due, datetime) else due
    fields = {**asdict(read), "due": None if day is None else day.isoformat()}
    wanted = ("title", "due", "list_name", "priority", "tags")
    return {name: fields[name] for name in wanted if fields[name] not in (None, "none", ())}


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ('add "Ring the tailor" to shopping', {"list_name": "Shopping"}),
        ('put "Ring the tailor" on my home list', {"list_name": "Home"}),
        ("add 'Ring the tailor' on friday", {"due": "2026-12-04"}),
        ("add \u201cRing the tailor\u201d for next monday", {"due": "2026-12-07"}),
        ('new task: "Ring the tailor" #shopping @town p2', {"priority": "medium"}),
        ('add "Ring the tailor" high priority', {"priority": "high"}),
        ('remind me to "Ring the tailor" tomorrow at 5pm', {"due": "2026-12-03"}),
        ('don\'t forget: "Ring the tailor" tomorrow', {"due": "2026-12-03"}),
        ('add tomorrow: "Ring the tailor"', {"due": "2026-12-03"}),
        ('add:\n- "Ring the tailor" tomorrow', {"due": "2026-12-03"}),
    ],
)
def test_a_title_in_quotation_marks_loses_them_and_nothing_else(
    message: str, more: dict[str, str]
) -> None:
    added = read_addition(message)

    assert added["title"] == "Ring the tailor"
    assert added.items() >= more.items()


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ("add yeast to shopping tomorrow", {"due": "2026-12-03"}),
        ("add yeast to the shopping list on friday at 5pm", {"due": "2026-12-04"}),
        ("put yeast on my shopping list @bakery tomorrow", {"due": "2026-12-03"}),
        ("add yeast to shopping with low priority", {"priority": "low"}),
        ("add yeast to shopping tomorrow, high priority", {"priority": "high"}),
    ],
)
def test_a_list_is_found_in_front_of_dates_and_marks(message: str, more: dict[str, str]) -> None:
    added = read_addition(message)

    assert (added["title"], added["list_name"]) == ("yeast", "Shopping")
    assert added.items() >= more.items()


@pytest.mark.parametrize(
    "title", ["send the form to Rome", "write memo to work", "the form to Omar"]
)
def test_what_is_no_list_in_front_of_a_date_stays_in_the_title(title: str) -> None:
    assert read_addition(f"add {title} tomorrow") == {"title": title, "due": "2026-12-03"}


def test_a_list_that_there_is_not_is_named_also_in_front_of_a_date() -> None:
    decision = decide("add yeast to my bakery list tomorrow", CONTEXT)

    assert decision == Decision("help", "unknown-list", fields={"list": "bakery"})


@pytest.mark.parametrize("title", ["call tomorrow", "p1 #work @x", "every day at 9", "Read 'Emma'"])
def test_words_in_quotation_marks_are_only_a_title(title: str) -> None:
    assert read_addition(f'add "{title}" on friday p3') == {
        "title": title,
        "due": "2026-12-04",
        "priority": "low",
    }


@pytest.mark.parametrize(
    "title", ['read "Emma"', '"Emma" by Jane Austen', '"Emma" and "Persuasion"', "don't panic"]
)
def test_marks_around_a_part_of_a_title_stay(title: str) -> None:
    assert read_addition(f"add {title} on friday")["title"] == title


@pytest.mark.parametrize(
    ("words", "priority"),
    [
        ("with high priority", "high"),
        ("with a high priority", "high"),
        (", high priority", "high"),
        ("high priority", "high"),
        (", priority high", "high"),
        ("(low priority)", "low"),
        ("at medium priority", "medium"),
        ("- top prio", "high"),
        ("urgent", "high"),
        (", urgently", "high"),
    ],
)
@pytest.mark.parametrize("due", ["", " on friday"])
def test_the_words_of_a_priority_are_no_part_of_the_title(
    words: str, priority: str, due: str
) -> None:
    for message in (f"add visit Eva {words}{due}", f"add visit Eva{due} {words}"):
        added = read_addition(message)
        assert (added["title"], added["priority"]) == ("visit Eva", priority)
        assert ("due" in added) == bool(due)


@pytest.mark.parametrize(
    "title",
    [
        "sort the tickets by high priority",
        "discuss high priority",
        "reviews of high priority",
        "review the high priority bugs",
        "write to customers with high priority bugs",
        "find out what has high priority",
        "visit Eva with priority",
        "make the sign urgent",
        "sort the urgent mails",
    ],
)
def test_a_priority_that_a_title_is_about_stays_in_it(title: str) -> None:
    assert read_addition(f"add {title}") == {"title": title}


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("don't forget the review is at 3pm on friday", "the review"),
        ("remember the match is on friday", "the match"),
        ("don't forget that the fair starts at 8pm on friday", "the fair"),
        ("I have to remember that Eva's birthday is on dec 4", "Eva's birthday"),
        ("note that the concert takes place on friday", "the concert"),
        ("remind me that the exams are on friday", "the exams"),
        ("I must remember to feed the cat on friday", "feed the cat"),
        ("I need to not forget the vet on friday", "the vet"),
    ],
)
def test_what_is_to_be_remembered_is_a_title_without_the_verb_of_its_date(
    message: str, title: str
) -> None:
    assert read_addition(message) == {"title": title, "due": "2026-12-04"}


@pytest.mark.parametrize(
    "title",
    [
        "ask where Bob is",
        "check when the film starts",
        "find out who the winners are",
        "that the parcel arrives",
        "Eva's train lands",
        "study how life begins",
    ],
)
def test_a_verb_that_a_title_needs_stays(title: str) -> None:
    assert read_addition(f"add {title} on friday") == {"title": title, "due": "2026-12-04"}
