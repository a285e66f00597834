"""The rules decide the messages of the utterance book, and none of them wrongly."""

from collections import Counter

import pytest

from tests.unit.todo.assistant.utterance_book import (
    BOOKS,
    Utterance,
    context_of,
    judge,
    load_utterances,
)
from todo.assistant.rules import decide

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
}


@pytest.mark.parametrize("utterance", load_utterances(), ids=lambda each: each.text[:60])
def test_the_rules_decide_as_the_person_means_it_or_not_at_all(utterance: Utterance) -> None:
    decision = decide(utterance.text, context_of(utterance))

    expected = "undecided" if utterance.text in LEFT_TO_A_MODEL else "right"
    assert judge(utterance, decision) == expected, decision


def test_the_book_is_large_and_a_third_of_it_is_older_than_the_rules() -> None:
    books = Counter(each.book for each in load_utterances())

    assert sum(books.values()) >= 150
    assert books[BOOKS[0]] * 3 >= sum(books.values())


def test_each_message_is_in_the_book_once() -> None:
    texts = Counter((each.text, str(each.expected)) for each in load_utterances())

    assert [text for text, number in texts.items() if number > 1] == []
