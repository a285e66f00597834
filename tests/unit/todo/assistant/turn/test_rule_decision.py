"""Messages that answer "which one do you mean?"."""

import asyncio
from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision, RuleContext, TaskName
from todo.assistant.turn.answer import EarlierMessage
from todo.assistant.turn.answer_text import say_candidates
from todo.assistant.turn.rule_decision import decide_by_rules

CONTEXT = make_context()
TASKS = {task.id: task for task in CONTEXT.tasks}


def decide(
    message: str, history: list[EarlierMessage], context: RuleContext = CONTEXT
) -> Decision | None:
    return asyncio.run(decide_by_rules(message, context, history, explains=False))


def talk(*messages: str, context: RuleContext = CONTEXT) -> Decision | None:
    """Return the decision about the last of these messages; those before are questions."""
    history: list[EarlierMessage] = []
    for message in messages[:-1]:
        decision = decide(message, history, context)
        assert decision is not None
        assert decision.candidates
        shown = f"{say_candidates(decision.candidates)}\nSomething else."
        history += [EarlierMessage("user", message), EarlierMessage("assistant", shown)]
    return decide(messages[-1], history, context)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (("remove the milk", "1"), Decision("delete", tasks=(TASKS["milk"],))),
        (("remove the milk", "the last one"), Decision("delete", tasks=(TASKS["oat milk"],))),
        (("complete milk", "for lena"), Decision("complete", tasks=(TASKS["oat milk"],))),
        (
            ("complete milk", "both"),
            Decision("complete", tasks=(TASKS["milk"], TASKS["oat milk"])),
        ),
        (
            ("move the report to sunday", "Omar"),
            Decision("reschedule", "sunday", (TASKS["omar"],)),
        ),
        (
            ("make the report urgent", "2"),
            Decision("update", tasks=(TASKS["omar"],), fields={"priority": "high"}),
        ),
        (("complete milk", "none of them"), Decision("help", "none-chosen")),
    ],
)
def test_the_answer_to_a_question_is_carried_out(
    messages: tuple[str, ...], expected: Decision
) -> None:
    assert talk(*messages) == expected


def test_the_other_tasks_of_a_message_are_not_forgotten() -> None:
    decision = talk("complete mum and milk", "1")

    assert decision == Decision("complete", tasks=(TASKS["mum"], TASKS["milk"]))


def test_two_questions_about_one_message_are_answered_one_after_the_other() -> None:
    decision = talk("complete the report and milk", "omar", "2")

    assert decision == Decision("complete", tasks=(TASKS["omar"], TASKS["oat milk"]))


def make_calls(count: int) -> RuleContext:
    tasks: list[TaskName] = [
        replace(TASKS["mum"], id=str(number), title=f"Call person {number} of team {number % 2}")
        for number in range(count)
    ]
    return replace(CONTEXT, tasks=tasks)


def test_words_of_several_tasks_leave_fewer_to_choose_from() -> None:
    context = make_calls(6)
    decision = talk("complete the call", "team 1", context=context)
    assert decision is not None
    assert [task.id for task in decision.candidates] == ["1", "3", "5"]

    decision = talk("complete the call", "team 1", "2", context=context)

    assert decision is not None
    assert [task.id for task in decision.tasks] == ["3"]


def test_one_of_many_tasks_is_chosen_although_a_question_shows_only_some() -> None:
    decision = talk("complete the call", "3", context=make_calls(95))

    assert decision is not None
    assert [task.id for task in decision.tasks] == ["2"]


@pytest.mark.parametrize(
    ("message", "intent"),
    [("complete the passport", "complete"), ("add 2", "add"), ("what is due today?", "find")],
)
def test_another_message_is_no_answer(message: str, intent: str) -> None:
    decision = talk("remove the milk", message)

    assert decision is not None
    assert decision.intent == intent


@pytest.mark.parametrize("message", ["3", "the passport", "hmm", "not the first one"])
def test_an_answer_that_chooses_nothing_decides_nothing(message: str) -> None:
    assert talk("remove the milk", message) is None


def test_a_number_means_only_what_the_person_saw() -> None:
    shown = say_candidates([TASKS["oat milk"], TASKS["milk"]])
    asked = [EarlierMessage("user", "remove the milk"), EarlierMessage("assistant", shown)]

    assert decide("1", asked) is None
    assert decide("1", [*asked, EarlierMessage("user", "x")]) is None
    assert decide("1", [EarlierMessage("user", "remove the milk")]) is None
    assert decide("1", []) is None


def test_without_a_model_a_command_is_explained() -> None:
    message = "complete the harp"
    made = asyncio.run(decide_by_rules(message, CONTEXT, [], explains=True))

    assert made is not None
    assert made.text == "unknown-task"
    assert decide(message, []) is None


def test_about_many_tasks_the_same_is_decided() -> None:
    context = replace(CONTEXT, tasks=[*CONTEXT.tasks, *make_calls(300).tasks])

    assert talk("remove the milk", "1", context=context) == Decision(
        "delete", tasks=(TASKS["milk"],)
    )
    made = asyncio.run(decide_by_rules("complete the harp", context, [], explains=True))
    assert made is not None
    assert made.text == "unknown-task"
