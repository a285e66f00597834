"""Questions about tasks: each of their words narrows the search, or nothing is searched."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide

# A Wednesday, the 2nd of December.
CONTEXT = make_context()


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("what's due before friday?", {"due_to": "2026-12-03"}),
        ("what's due by friday?", {"due_to": "2026-12-04"}),
        ("tasks due until next week", {"due_to": "2026-12-13"}),
        ("what's due by tomorrow?", {"due_to": "2026-12-03"}),
        ("what was due before today?", {"due_to": "2026-12-01"}),
        ("anything due after tomorrow?", {"due_from": "2026-12-04"}),
        ("show tasks due from tomorrow", {"due_from": "2026-12-03"}),
        (
            "what is due between thursday and saturday?",
            {"due_from": "2026-12-03", "due_to": "2026-12-05"},
        ),
        ("which tasks are due on friday?", {"due_from": "friday", "due_to": "friday"}),
        ("which work tasks are due before friday?", {"list": "Work", "due_to": "2026-12-03"}),
        ("show tasks due before friday in work", {"list": "Work", "due_to": "2026-12-03"}),
    ],
)
def test_a_bound_is_not_the_day_itself(message: str, fields: dict[str, Any]) -> None:
    assert decide(message, CONTEXT) == Decision("find", fields=fields)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("which work tasks are due today?", {"list": "Work", "due": "today"}),
        ("how many open work tasks are there?", {"limit": 50, "list": "Work"}),
        (
            "what work stuff is due this week?",
            {"list": "Work", "due_from": "this week", "due_to": "this week"},
        ),
        ("which tasks at work are overdue?", {"list": "Work", "due": "overdue"}),
        (
            "list my high priority work tasks due today",
            {"list": "Work", "priority": "high", "due": "today"},
        ),
        ("show tasks with tag errand due today", {"tags": ["errand"], "due": "today"}),
        (
            "what did I finish since yesterday?",
            {"status": "completed", "updated_since": "2026-12-01"},
        ),
        ("what did I finish today?", {"status": "completed", "updated_since": "today"}),
    ],
)
def test_a_list_and_a_tag_count_wherever_they_are(message: str, fields: dict[str, Any]) -> None:
    assert decide(message, CONTEXT) == Decision("find", fields=fields)


@pytest.mark.parametrize(
    ("message", "words", "fields"),
    [
        ("show open tasks with the word call", "call", {}),
        ("find everything with call in it", "call", {}),
        ("tasks about the report due tomorrow", "report", {"due": "tomorrow"}),
        ("show work tasks about the report", "report", {"list": "Work"}),
    ],
)
def test_words_of_titles_are_searched_without_those_around_them(
    message: str, words: str, fields: dict[str, Any]
) -> None:
    assert decide(message, CONTEXT) == Decision("find", words, fields={**fields, "query": words})


@pytest.mark.parametrize(
    ("message", "words", "fields"),
    [
        ('find "water the plants"', "water the plants", {}),
        ("find 'no'", "no", {}),
        ('search for "a"', "a", {"status": "any"}),
        ('look for "due today"', "due today", {"status": "any"}),
    ],
)
def test_what_is_in_quotation_marks_is_searched_as_it_is(
    message: str, words: str, fields: dict[str, Any]
) -> None:
    assert decide(message, CONTEXT) == Decision("find", words, fields={**fields, "query": words})


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("show tasks that have no list", {"list": "none"}),
        ("which tasks are not on any list?", {"list": "none"}),
        ("tasks without a list", {"list": "none"}),
        ("tasks without a priority due today", {"priority": "none", "due": "today"}),
        ("show work tasks with no priority", {"list": "Work", "priority": "none"}),
        ("what do I have this month?", dict.fromkeys(("due_from", "due_to"), "this month")),
        (
            "work tasks due this month",
            {"list": "Work", **dict.fromkeys(("due_from", "due_to"), "this month")},
        ),
        ("show open and completed work tasks", {"status": "any", "list": "Work"}),
        ("what did I finish this month?", {"status": "completed", "updated_since": "this month"}),
        ("show tasks from last week", dict.fromkeys(("due_from", "due_to"), "last week")),
        ("how many are high priority?", {"limit": 50, "priority": "high"}),
        ("are we all done yet?", {}),
        ("is everything finished?", {}),
    ],
)
def test_a_search_is_for_what_the_question_says(message: str, fields: dict[str, Any]) -> None:
    assert decide(message, CONTEXT) == Decision("find", fields=fields)


@pytest.mark.parametrize(
    "message",
    [
        "which tasks did I finish yesterday?",
        "show tasks with no labels",
        "tasks without tags",
        "show me everything about reports except Omar",
        "search for slides without the review",
        "tasks about the report but not Omar",
        "show what I completed from last week",
        'show "milk" tasks due today',
        "what did I complete last week?",
        "what did I finish before friday?",
        "what isn't due today?",
        "show everything except work",
        "what is due between friday and thursday?",
        "how much work is left?",
    ],
)
def test_a_question_that_no_search_answers_is_not_decided(message: str) -> None:
    assert decide(message, CONTEXT) is None


def test_a_word_that_says_nothing_is_not_dropped_where_a_list_has_its_name() -> None:
    context = replace(CONTEXT, list_names=("Plans",))

    assert decide("what plans do I have today?", context) is None
    assert decide("what plans do I have today?", CONTEXT) == Decision(
        "find", fields={"due": "today"}
    )
