"""The scan looks only at tokens that a recognizer can start with: no recognizer may lack a word."""

from collections.abc import Callable
from datetime import UTC

import pytest

from tests.unit.todo.quickadd.phrasebook import load_phrases
from tests.unit.todo.quickadd.test_any_text import make_texts
from todo.quickadd import due, ranges, reminders
from todo.quickadd.days.present import make_present
from todo.quickadd.rules import bounds, repeats
from todo.quickadd.tokens.line import Line

PHRASES = list(load_phrases())
TEXTS = [*(phrase.text for phrase in PHRASES), *make_texts(seed=4, count=400)]
PRESENT = make_present(PHRASES[0].now, PHRASES[0].now.tzinfo or UTC)


@pytest.mark.parametrize(
    ("find", "starts"),
    [
        (repeats.find_repeat, repeats.STARTS),
        (lambda line, at: bounds.find_bound(line, at, PRESENT), bounds.STARTS),
        (reminders.find_reminder, reminders.STARTS),
        (lambda line, at: ranges.find_range(line, at, PRESENT), ranges.STARTS),
        (lambda line, at: due.find_due(line, at, PRESENT), due.STARTS),
    ],
    ids=["repeats", "bounds", "reminders", "ranges", "due"],
)
def test_a_recognizer_lists_every_word_that_it_starts_with(
    find: Callable[[Line, int], object], starts: frozenset[str]
) -> None:
    found = set()
    for text in TEXTS:
        line = Line(text)
        for at in range(len(line)):
            if not line.has_number(at) and line.starts(at) and find(line, at) is not None:
                found.add(line.words[at])

    assert found <= starts
    assert len(found) > 3
