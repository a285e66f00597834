import pytest

from todo.assistant.rules.decision import Decision
from todo.assistant.rules.reply import decide_reply

DELETION = frozenset({"delete"})
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
    ["ok, add milk", "which gym", "what is due today", "okay, complete the report", "why not milk"],
)
def test_an_instruction_or_a_question_is_no_talk_about_the_plan(message: str) -> None:
    assert decide_reply(message, DELETION) is None
