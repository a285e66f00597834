"""Actions that the rules never take, for any message."""

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.todo.assistant.rules.utterance_book import DELETION, load_utterances, make_context
from todo.assistant.rules.decision import RuleContext, TaskName
from todo.assistant.rules.engine import MAX_LENGTH, decide

CONTEXT = make_context()
WITH_PLAN = make_context(DELETION)
CHANGES = {"complete", "reopen", "delete", "reschedule", "update"}
WORDS = sorted({word for each in load_utterances() for word in each.text.split()})


@pytest.mark.parametrize(
    "text",
    [
        each.text
        for each in load_utterances()
        if each.kind in CHANGES and not each.text.endswith("?")
    ],
)
def test_a_message_in_quotation_marks_or_said_by_others_changes_nothing(text: str) -> None:
    for said in (f"\u201c{text}\u201d", f"Omar said: {text}", f"my note says {text}"):
        decision = decide(said, CONTEXT)

        assert decision is None or decision.intent not in CHANGES, said


@pytest.mark.parametrize(
    "text",
    [each.text for each in load_utterances() if each.kind in {"complete", "delete", "reopen"}],
)
def test_a_condition_or_a_doubt_changes_nothing(text: str) -> None:
    for said in (f"if {text} then tell me", f"should I say {text}?", f"what if {text}"):
        decision = decide(said, CONTEXT)

        assert decision is None or decision.intent not in CHANGES, said


@pytest.mark.parametrize(
    "text",
    [
        "the passport isn't due today",
        "the slides are not due on friday",
        "the slides aren't planned for next week",
        "the passport isn't needed today",
        "check the slides is done",
        "please check that the slides are finished",
        "can you check the passport is done",
        "the passport is low",
        "the milk is high",
        "the slides are normal",
    ],
)
def test_a_statement_or_a_wish_to_know_changes_nothing(text: str) -> None:
    decision = decide(text, CONTEXT)

    assert decision is None or decision.intent not in CHANGES


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("the slides aren't due until friday", "reschedule"),
        ("the slides are due on friday", "reschedule"),
        ("check off the slides", "complete"),
        ("mark the slides as done", "complete"),
        ("the slides are urgent", "update"),
        ("the slides have high priority", "update"),
    ],
)
def test_a_plain_message_still_changes_its_task(text: str, intent: str) -> None:
    decision = decide(text, CONTEXT)

    assert decision is not None
    assert (decision.intent, len(decision.tasks)) == (intent, 1)


@pytest.mark.parametrize("command", ["delete", "remove", "complete", "cancel", "move", "undo"])
@pytest.mark.parametrize("opening", ["add", "remind me to", "new task:", "don't let me forget to"])
def test_a_command_behind_an_announced_addition_is_its_title(opening: str, command: str) -> None:
    decision = decide(f"{opening} {command} the slides", CONTEXT)

    assert decision is not None
    assert (decision.intent, decision.text) == ("add", f"{command} the slides")


def test_a_message_with_two_meanings_decides_nothing() -> None:
    context = replace(CONTEXT, list_names=("Tomorrow",))

    assert decide("move the passport to tomorrow", CONTEXT) is not None
    assert decide("move the passport to tomorrow", context) is None


def test_a_plan_is_confirmed_only_where_one_waits() -> None:
    for text in ("yes", "confirm", "go ahead", "do it", "no", "cancel that"):
        decision = decide(text, CONTEXT)
        assert decision is None or decision.intent not in {"confirm", "decline"}
        answered = decide(text, WITH_PLAN)
        assert answered is not None
        assert answered.intent in {"confirm", "decline"}


@pytest.mark.parametrize("text", ["ok", "yes?", "yes but not the slides", "yesterday", "thanks"])
def test_what_may_be_no_consent_confirms_nothing(text: str) -> None:
    decision = decide(text, WITH_PLAN)

    assert decision is None or decision.intent != "confirm"


@pytest.mark.parametrize("text", ["complete it", "ok, move it", "yes, change it", "delete them"])
@pytest.mark.parametrize("operations", [set(), {"delete"}, {"complete"}, {"complete", "delete"}])
def test_a_verb_confirms_only_a_plan_that_does_nothing_else(
    text: str, operations: set[str]
) -> None:
    decision = decide(text, make_context(frozenset(operations)))

    is_confirmed = decision is not None and decision.intent == "confirm"
    verbs = {"complete it": {"complete"}, "delete them": {"delete"}}
    assert is_confirmed == (operations == verbs.get(text))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_words_in_any_order_never_confirm_or_name_a_task_that_is_not_there(text: str) -> None:
    decision = decide(text, CONTEXT)

    if decision is not None:
        assert decision.intent not in {"confirm", "decline"}
        assert {*decision.tasks, *decision.candidates} <= set(CONTEXT.tasks)
        assert not (decision.tasks and decision.candidates)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_the_rules_fail(text: str) -> None:
    decide(text, CONTEXT)
    decide(f"delete {text}", WITH_PLAN)
    decide(f"add {text}", CONTEXT)


LENGTH = 10_000
MAX_S = 0.02
LARGE = RuleContext(
    CONTEXT.now,
    CONTEXT.zone,
    tuple(f"List number {number}" for number in range(200)),
    [
        TaskName(
            id=str(number),
            title=f"Task number {number} of a long list",
            version=1,
            list_name="Home",
            is_completed=False,
            due=None,
            is_shared=False,
        )
        for number in range(3)
    ],
    open_plan=DELETION,
)
STARTS = [
    *("", "add ", "delete ", "move ", "mark ", "I ", "what ", "show ", "rename ", "yes", "undo"),
    *("remind me ", "the ", "all ", "no", "add:\n- "),
]
REPEATED = [
    *(" ", "a", "a ", "to ", "and ", "the ", "is done ", "now ", "to friday ", "done", '"', "'"),
    *(", ", ".", "?", "!", "#", "all ", "tasks ", "on my list ", "task ", "number 1 ", "\n- a"),
    *("please ", "ok ", "yes ", "no ", "undo ", "as high ", "with ", "\u0130", "- ", "due ", "'s "),
    *("tomorrow ", "every ", "just ", "has ", "it ", "for ", "have i ", "thanks ", "\u2019"),
]


@pytest.mark.parametrize("repeated", REPEATED, ids=repr)
def test_the_time_of_the_rules_is_in_proportion_to_the_length(repeated: str) -> None:
    for start in STARTS:
        for length in (MAX_LENGTH - 20, LENGTH):
            text = f"{start}{repeated * (length // len(repeated))}"
            # A slow machine: a quarter of the text takes a quarter of the time.
            quarter = f"{start}{repeated * (length // 4 // len(repeated))}"
            assert is_fast(text) or is_in_proportion(text, quarter), (start, length)


def is_fast(text: str) -> bool:
    return measure(text) <= MAX_S


def is_in_proportion(text: str, quarter: str) -> bool:
    """Return whether the shortest times have the ratio of the lengths; what disturbs one passes."""
    took_s = quarter_s = math.inf
    for _ in range(50):
        took_s = min(took_s, measure(text))
        quarter_s = min(quarter_s, measure(quarter))
        # Quadratic time would be 16.
        if took_s < 8 * quarter_s:
            return True
    return False


def measure(text: str) -> float:
    start = time.thread_time()
    decide(text, LARGE)
    return time.thread_time() - start
