"""A command whose task does not exist."""

from typing import Any

import pytest

from tests.unit.todo.assistant.rules.utterance_book import load_utterances, make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import MAX_LENGTH, decide
from todo.assistant.rules.unknown_task import explain

CONTEXT = make_context()


def explain_fields(message: str) -> dict[str, Any] | None:
    assert decide(message, CONTEXT) is None
    decision = explain(message, CONTEXT)
    return None if decision is None else {"why": decision.text, **decision.fields}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("delete the harp", ""),
        ("please get rid of the harp", ""),
        ("could you remove the harp?", ""),
        ("take the harp off my list", ""),
        ("complete the harp", "open "),
        ("mark the harp as done", "open "),
        ("tick off the harp", "open "),
        ("cross the harp off", "open "),
        ("reopen the harp", "completed "),
        ("uncheck the harp", "completed "),
        ("move the harp to friday", "open "),
        ("postpone the harp by a week", "open "),
        ("move the harp to the travel list", "open "),
        ("remove the due date of the harp", "open "),
        ("set the due date of the harp to friday", "open "),
        ("rename the harp to the flute", "open "),
        ('change "the harp" to "the flute"', "open "),
        ("make the harp urgent", "open "),
        ("set the priority of the harp to low", "open "),
        ("tag the harp with music", "open "),
        ('delete "the harp"', ""),
    ],
)
def test_a_command_names_what_fits_no_task(message: str, kind: str) -> None:
    assert explain_fields(message) == {"why": "unknown-task", "names": ["the harp"], "kind": kind}


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("complete mum and the harp", ["the harp"]),
        ("delete the harp, the passport and the lute", ["the harp", "the lute"]),
        ("complete the harp and the lute", ["the harp and the lute"]),
    ],
)
def test_of_several_names_those_are_named_that_fit_no_task(message: str, names: list[str]) -> None:
    fields = explain_fields(message)

    assert fields is not None
    assert fields["names"] == names


@pytest.mark.parametrize(
    "group",
    [
        "all tasks due this week",
        "all high priority tasks",
        "everything tagged travel",
        "all tasks except the passport",
        "everything on the music list",
        "every harp",
    ],
)
@pytest.mark.parametrize("command", ["delete {}", "complete {}", "move {} to monday"])
def test_a_group_that_is_not_known_is_named_as_one(command: str, group: str) -> None:
    assert explain_fields(command.format(group)) == {"why": "unknown-group", "name": group}


@pytest.mark.parametrize(
    ("message", "title", "state"),
    [
        ("complete the library books", "Return library books", "completed"),
        ("move the bathroom to friday", "Clean the bathroom", "completed"),
        ("rename the bathroom to the bath", "Clean the bathroom", "completed"),
        ("reopen the passport", "Renew passport", "open"),
    ],
)
def test_a_task_that_is_in_the_other_state_is_named(message: str, title: str, state: str) -> None:
    assert explain_fields(message) == {"why": "other-state", "title": title, "is": state}


@pytest.mark.parametrize(
    ("message", "title", "due"),
    [
        ("call mum on friday", "Call mum", "friday"),
        ("water the plants tonight", "Water the plants", "tonight"),
        ("Renew passport by 24 december", "Renew passport", "24 december"),
        ("call mum at 7", "Call mum", "2026-12-03 07:00"),
    ],
)
def test_a_line_with_the_title_of_a_task_says_how_to_move_it_or_to_add_another(
    message: str, title: str, due: str
) -> None:
    assert explain_fields(message) == {"why": "known-task", "title": title, "due": due}
    moved = decide(f'move "{title}" to {due}', CONTEXT)
    assert moved is not None
    assert (moved.intent, [task.title for task in moved.tasks]) == ("reschedule", [title])
    added = decide(f'add "{title}" {due}', CONTEXT)
    assert added is not None
    assert (added.intent, added.text) == ("add", f"{title} {due}")


@pytest.mark.parametrize(
    "message",
    ["call mum", "mum on friday", "call mum on friday p1", "called mum on friday", "clean friday"],
)
def test_another_line_about_a_task_is_not_explained(message: str) -> None:
    assert explain(message, CONTEXT) is None


@pytest.mark.parametrize(
    "message",
    [
        "mark done",
        "should I delete the harp?",
        "don't delete the harp",
        "I deleted the harp",
        "the harp is done",
        "Omar said: delete the harp",
        "set the table on friday",
        "make pancakes on sunday",
        "change the tires on friday",
        "push the harp",
        "delete",
        "complete\nthe harp",
        "delete the harp " + "x" * MAX_LENGTH,
        "hmm, my head is spinning",
    ],
)
def test_what_is_no_command_about_a_task_is_not_explained(message: str) -> None:
    assert explain(message, CONTEXT) is None


@pytest.mark.parametrize("utterance", load_utterances(), ids=lambda each: each.text[:60])
def test_an_explanation_changes_nothing(utterance: Any) -> None:  # noqa: ANN401 - an Utterance
    decision = explain(utterance.text, CONTEXT)

    assert decision is None or (decision.intent, decision.tasks) == ("help", ())


@pytest.mark.parametrize("message", ["dentist moved to 3pm", "the train left at 5pm"])
def test_a_statement_with_a_time_is_asked_about(message: str) -> None:
    assert decide(message, CONTEXT) is None
    assert explain(message, CONTEXT) == Decision("help", "statement")
