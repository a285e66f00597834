import pytest

from tests.unit.todo.assistant.rules.utterance_book import DELETION, make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide
from todo.assistant.rules.reply import decide_reply, turns_away

AGAIN = Decision("help", "plan")


@pytest.mark.parametrize(
    "message",
    [
        *("ok", "OK!", "okay", "k", "hmm", "hm", "hmmm...", "ok, hmm", "fine", "sure?", "right"),
        *("which one?", "which ones", "what?", "which tasks are those?", "what does it delete"),
        *("what will be deleted?", "what would you do?", "what happens if I say yes?"),
        *("show me the plan", "are you sure?", "is that all?", "why?", "I'm not sure"),
    ],
)
def test_what_is_no_answer_to_a_plan_is_about_it_only_while_it_waits(message: str) -> None:
    assert decide_reply(message, DELETION) == AGAIN
    assert decide_reply(message, None) != AGAIN
    assert decide_reply(message, frozenset()) != AGAIN


@pytest.mark.parametrize("message", ["ok do it", "ok, yes", "sure", "okay, go ahead", "yes, sure"])
def test_a_yes_with_other_words_is_a_yes(message: str) -> None:
    assert decide_reply(message, DELETION) == Decision("confirm")


@pytest.mark.parametrize(
    "message",
    [
        *(
            "please don't",
            "Please don\u2019t!",
            "absolutely not",
            "no, certainly not",
            "\U0001f44e",
        ),
        *("hell no", "of course not, thanks", "please no"),
    ],
)
def test_a_no_in_other_words_is_a_no(message: str) -> None:
    assert decide_reply(message, DELETION) == Decision("decline")


@pytest.mark.parametrize(
    "message",
    ["ok, add milk", "which gym", "what is due today", "okay, complete the report", "why not milk"],
)
def test_an_instruction_or_a_question_is_no_talk_about_the_plan(message: str) -> None:
    assert decide_reply(message, DELETION) is None


@pytest.mark.parametrize(
    "message",
    [
        *("actually delete the bread instead", "not that one", "the other one", "I meant bread"),
        *("yes but not now", "No, don\u2019t want that", "Wrong one", "actually keep the milk"),
    ],
)
def test_a_message_turns_from_a_plan_without_an_answer(message: str) -> None:
    assert turns_away(message)


@pytest.mark.parametrize("message", ["ok", "which one?", "no wait yes", "actually yes", "hm"])
def test_a_message_that_is_open_does_not_turn_from_a_plan(message: str) -> None:
    assert not turns_away(message)


@pytest.mark.parametrize(
    "message",
    [
        *("delete the passport instead", "actually delete the passport instead of the cake"),
        *("no, delete the passport", "sorry, I meant delete the passport"),
    ],
)
def test_an_instruction_instead_of_a_plan_is_understood(message: str) -> None:
    decision = decide(message, make_context(DELETION))

    assert decision is not None
    assert (decision.intent, [task.id for task in decision.tasks]) == ("delete", ["passport"])


def test_instead_is_a_word_of_a_title_where_no_plan_waits() -> None:
    assert decide("add tea instead", make_context()) == Decision("add", "tea instead")
    assert decide("add tea instead", make_context(DELETION)) == Decision("add", "tea")
