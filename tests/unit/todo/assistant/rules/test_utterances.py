"""The rules decide the messages of the utterance book, and none of them wrongly."""

from collections import Counter

import pytest

from tests.unit.todo.assistant.rules.utterance_book import (
    HELD_OUT,
    Utterance,
    context_of,
    judge,
    load_utterances,
)
from todo.assistant.rules.engine import decide

# What only a model can understand. The rest is what the rules are for.
LEFT_TO_A_MODEL = {
    "we're out of coffee, put it on the list",
    "just got off the phone with mum, you can check that off",
    "cross the cake off my list, it's ordered",
    "scrap the novel",
    "can we do the slides on sunday instead?",
    "move the novel to the travel list",
    "actually the bathroom still needs cleaning",
    "ad buy a new lamp",
    "I need to push the quarterly report to friday",
}


KNOWN = [each for each in load_utterances() if each.book != HELD_OUT]
OTHERS = [each for each in load_utterances() if each.book == HELD_OUT]


@pytest.mark.parametrize("utterance", KNOWN, ids=lambda each: each.text[:60])
def test_the_rules_decide_as_the_person_means_it_or_not_at_all(utterance: Utterance) -> None:
    decision = decide(utterance.text, context_of(utterance))

    expected = "undecided" if utterance.text in LEFT_TO_A_MODEL else "right"
    assert judge(utterance, decision) == expected, decision


@pytest.mark.parametrize("utterance", OTHERS, ids=lambda each: each.text[:60])
def test_the_rules_make_no_wrong_change_of_a_message_that_they_were_not_made_for(
    utterance: Utterance,
) -> None:
    decision = decide(utterance.text, context_of(utterance))

    assert judge(utterance, decision) != "wrong", decision


def test_a_third_of_the_book_is_older_than_the_rules_or_unknown_to_them() -> None:
    books = Counter(each.book for each in load_utterances())

    assert sum(books.values()) >= 150
    assert 3 * (books["before_rules"] + books[HELD_OUT]) >= sum(books.values())


def test_each_message_is_in_the_book_once() -> None:
    texts = Counter((each.text, str(each.expected)) for each in load_utterances())

    assert [text for text, number in texts.items() if number > 1] == []
