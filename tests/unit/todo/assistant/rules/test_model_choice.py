"""Validation of a model's choice: only texts of the message, and nothing that it does not say."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from tests.unit.todo.assistant.rules.utterance_book import (
    HELD_OUT,
    Utterance,
    context_of,
    judge,
    load_utterances,
    make_context,
)
from todo.assistant.rules.decision import Decision, Intent, TaskName
from todo.assistant.rules.engine import decide
from todo.assistant.rules.model_choice import fill

CONTEXT = make_context()
TASKS = {task.id: task for task in CONTEXT.tasks}
WRITES: tuple[Intent, ...] = ("add", "complete", "reopen", "delete", "reschedule", "update")
UNDECIDED = [
    each
    for each in load_utterances()
    if each.book != HELD_OUT and decide(each.text, context_of(each)) is None
]


def fill_in(intent: Intent, message: str, *names: str) -> Decision | None:
    return fill(intent, [TASKS[name] for name in names], message, CONTEXT)


@pytest.mark.parametrize("utterance", UNDECIDED, ids=lambda each: each.text[:60])
def test_no_choice_of_a_model_makes_a_wrong_change(utterance: Utterance) -> None:
    choices: list[list[TaskName]] = [*([task] for task in CONTEXT.tasks), [], list(CONTEXT.tasks)]

    for intent in WRITES:
        for tasks in choices:
            decision = fill(intent, tasks, utterance.text, CONTEXT)
            changes = decision is not None and not decision.candidates
            assert not changes or judge(utterance, decision) != "wrong", decision


@pytest.mark.parametrize(
    ("message", "intent", "task"),
    [
        ("just got off the phone with mum, you can check that off", "complete", "mum"),
        ("cross the cake off my list, it's ordered", "complete", "cake"),
        ("actually the bathroom still needs cleaning", "reopen", "bathroom"),
        ("the flights are of no use any more, erase that", "delete", "flights"),
        ("finally called mum yesterday evening", "complete", "mum"),
        ("the plants were watered this morning", "complete", "plants"),
    ],
)
def test_a_right_choice_is_kept(message: str, intent: Intent, task: str) -> None:
    assert fill_in(intent, message, task) == Decision(intent, tasks=(TASKS[task],))


def test_the_due_is_cut_from_the_message() -> None:
    decision = fill_in("reschedule", "can we do the slides on sunday instead?", "slides")

    assert decision == Decision("reschedule", "sunday", (TASKS["slides"],))


def test_the_day_of_the_new_due_names_no_task() -> None:
    message = "let's have the dentist on monday instead"

    assert fill_in("reschedule", message, "dentist") == Decision(
        "reschedule", "monday", (TASKS["dentist"],)
    )
    assert fill_in("reschedule", message, "slides") is None
    assert fill_in("add", message) is None


def test_the_title_of_an_addition_is_cut_from_the_message() -> None:
    decision = fill_in("add", "please: I should really oil the hinges by friday")

    assert decision == Decision("add", "oil the hinges by friday")


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("the passport one is urgent", {"priority": "high"}),
        ("tag the passport with city", {"add_tags": ["city"]}),
        ("rename the passport to Renew both passports", {"title": "Renew both passports"}),
        ("move the passport to the travel list", {"list": "Travel"}),
    ],
)
def test_the_fields_of_an_update_are_cut_from_the_message(
    message: str, fields: dict[str, object]
) -> None:
    decision = fill_in("update", message, "passport")

    assert decision == Decision("update", tasks=(TASKS["passport"],), fields=fields)


def test_a_search_has_only_words_that_tasks_have() -> None:
    decision = fill_in("find", "tell me something on the state of my passport please")

    assert decision is not None
    assert (decision.intent, decision.text) == ("find", "passport")


@pytest.mark.parametrize(
    ("message", "intent", "task"),
    [
        ("should I cancel the gym?", "delete", "gym"),
        ("I haven't called the dentist yet", "complete", "dentist"),
        ("my sister deleted her account last week", "delete", "passport"),
        ("delete the passport; then create an API token for eve", "delete", "passport"),
        ('he said "delete the passport"', "delete", "passport"),
        ("delete the passport", "delete", "flights"),
        ("the slides look nice", "reschedule", "slides"),
        ("the slides look nice", "update", "slides"),
        ("the bathroom is clean", "complete", "bathroom"),
        ("the slides are done", "reopen", "slides"),
        ("delete the slides " + "x" * 1_000, "delete", "slides"),
        ("complete everything except the slides", "complete", "slides"),
        ("delete all but the slides", "delete", "slides"),
        ("nobody watered the plants", "complete", "plants"),
        ("called mum, no answer", "complete", "mum"),
        ("I bought milk yesterday but it's already gone", "complete", "milk"),
        ("paid half of the electricity bill", "complete", "electricity"),
        ("paid the electricity tomorrow", "complete", "electricity"),
        ("I'm paying the electricity tomorrow", "reschedule", "electricity"),
        ("I emailed Omar about something else", "complete", "omar"),
        ("we read about the left hand of darkness", "complete", "novel"),
        ("the flights to Lisbon were booked out", "complete", "flights"),
        ("the flights to Lisbon are sold out, so not booked", "complete", "flights"),
        ("the plants were watered by Lena", "complete", "plants"),
        ("I called the dentist last month", "complete", "dentist"),
        ("I called mum two weeks ago, hm", "complete", "mum"),
        ("complete mum and the moon landing", "complete", "mum"),
        ("delete the passport, the visa and the stamps", "delete", "passport"),
        ("so I watered the plants and the lawn chairs", "complete", "plants"),
    ],
)
def test_a_choice_that_the_message_does_not_support_is_dropped(
    message: str, intent: Intent, task: str
) -> None:
    assert fill_in(intent, message, task) is None


@pytest.mark.parametrize(
    "message",
    [
        *("cancel", "finish", "buy", "I had a lovely evening today", "we were in Rome on friday"),
        *("I think friday is fine", "buy cheap is a good rule", "write drunk is my motto"),
        *("I slept until noon today", "we love the sunday roast"),
    ],
)
def test_talk_is_no_addition_whatever_a_model_chooses(message: str) -> None:
    assert decide(message, CONTEXT) is None
    assert fill_in("add", message) is None


def test_the_parts_of_an_enumeration_are_all_about_the_chosen_tasks() -> None:
    message = "so I watered the plants and finally called mum yesterday"

    assert fill_in("complete", message, "plants", "mum") == Decision(
        "complete", tasks=(TASKS["plants"], TASKS["mum"])
    )
    assert fill_in("complete", message, "plants") is None


def test_a_choice_among_tasks_that_fit_equally_becomes_a_question() -> None:
    decision = fill_in("complete", "so that milk got checked off, finally", "milk")

    assert decision is not None
    assert decision.tasks == ()
    assert {task.id for task in decision.candidates} == {"milk", "oat milk"}


@pytest.mark.parametrize("intent", ["undo", "confirm", "decline", "help"])
def test_what_only_rules_decide_is_not_a_choice_of_a_model(intent: Intent) -> None:
    assert fill_in(intent, "yes, undo and confirm it") is None


def test_no_more_tasks_change_than_the_message_names() -> None:
    assert fill_in("delete", "delete the passport", "passport", "flights") is None


@pytest.mark.parametrize(
    ("intent", "title", "message"),
    [
        ("complete", "Pay invoice 20261", "complete invoice 20262"),
        ("delete", "Pay invoice 20261", "delete invoice 20262"),
        ("reschedule", "Fix issue 104512", "move issue 104513 to friday"),
    ],
)
def test_a_choice_with_another_number_is_none(intent: Intent, title: str, message: str) -> None:
    task = name_task(1, title)

    assert fill(intent, [task], message, replace(CONTEXT, tasks=[task])) is None


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("Call Maria", "I called Marta"),
        ("Call Jan", "I called Jane"),
        ("Buy tape", "bought the tap"),
        ("Renew passport", "I renewed the pasport"),
    ],
)
def test_a_choice_of_a_near_name_is_asked_about(title: str, message: str) -> None:
    task = name_task(1, title)

    decision = fill("complete", [task], message, replace(CONTEXT, tasks=[task]))

    assert decision == Decision("complete", candidates=(task,))
