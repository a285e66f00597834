from datetime import UTC
from typing import Any

import pytest

from tests.unit.todo.quickadd.phrasebook import Phrase, load_phrases
from todo.quickadd.parser import parse_quick_add
from todo.quickadd.result import QuickAdd
from todo.schedule.rule import read_rule

PHRASES = list(load_phrases())
KNOWN_MISSES = {
    "say no to 6am meetings": "a time before a noun is a time in most lines",
    "watch 2:22 the play": "a title of digits; quotation marks keep it",
}
"""Texts that are read otherwise, and why that stays so; at most 3 % of all."""


def parse(phrase: Phrase, text: str | None = None) -> QuickAdd:
    zone = phrase.now.tzinfo or UTC
    return parse_quick_add(text or phrase.text, phrase.now, zone, phrase.lists)


def compare(phrase: Phrase) -> tuple[Any, Any]:
    """Return what was found, and what was expected."""
    found = parse(phrase)
    codes = tuple(question.code for question in found.questions)
    if phrase.expected is None:
        return codes, phrase.questions
    fields = {name: getattr(found, name) for name in phrase.expected}
    if found.due_at is not None:
        # Python compares an instant that a clock shows twice with no other zone's.
        fields["due_at"] = found.due_at.astimezone(UTC)
    return fields, phrase.expected


def name_of(phrase: Phrase) -> str:
    return f"{phrase.topic}-{phrase.text}"


@pytest.mark.parametrize("phrase", PHRASES, ids=name_of)
def test_a_phrase_means_its_task(phrase: Phrase) -> None:
    found, expected = compare(phrase)

    if phrase.text in KNOWN_MISSES:
        assert found != expected, "not missed any more: remove it from KNOWN_MISSES"
        return
    assert found == expected
    assert phrase.questions or not parse(phrase).questions


def test_few_phrases_are_missed() -> None:
    assert {phrase.text for phrase in PHRASES} >= KNOWN_MISSES.keys()
    assert len(KNOWN_MISSES) <= 0.03 * len(PHRASES)


@pytest.mark.parametrize("phrase", [phrase for phrase in PHRASES if phrase.questions], ids=name_of)
def test_a_choice_of_a_question_answers_it(phrase: Phrase) -> None:
    for question in parse(phrase).questions:
        for choice in question.choices:
            text = f"{phrase.text[: question.start]}{choice}{phrase.text[question.end :]}"
            assert not parse(phrase, text).questions


def test_phrases_are_written_once_and_mean_one_thing() -> None:
    assert len({(phrase.text, phrase.now) for phrase in PHRASES}) == len(PHRASES)
    for phrase in PHRASES:
        expected = phrase.expected
        if expected is None:
            continue
        due_date, due_at = expected["due_date"], expected["due_at"]
        assert due_date is None or due_at is None, phrase.text
        assert due_date is None or due_date >= phrase.now.date(), phrase.text
        assert due_at is None or due_at > phrase.now, phrase.text
        if expected["recurrence"] is not None:
            assert str(read_rule(expected["recurrence"])) == expected["recurrence"]
            assert due_date or due_at, phrase.text
