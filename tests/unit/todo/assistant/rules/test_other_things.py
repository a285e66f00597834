"""Requests about anything but tasks, which the assistant never carries out."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.utterance_book import load_utterances, make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide

CONTEXT = make_context()
ANSWERED = {each.text for each in load_utterances() if each.intent is not None}


@pytest.mark.parametrize(
    "text",
    [
        "create a list called Cabin",
        "create a cabin list",
        "make a new list Cabin",
        "new list: Cabin",
        "set up a project for the cabin",
        "create a shared list for Ben",
        "add a list named Cabin",
        "add another list",
        "delete the travel list",
        "delete list Travel",
        "delete all my lists",
        "remove Travel",
        "rename the travel list to Trips",
        "rename Travel to Trips",
        "archive my work list",
        "share travel with ben",
        "share the travel list with ben and ada",
        "share all my tasks with ben",
        "stop sharing my home list",
        "invite ben to my travel list",
        "give ben access to my lists",
        "let ben see my work list",
        "make the home list public",
        "make ben an admin",
        "give ben admin rights",
        "create an admin token",
        "create a token for ben",
        "add an access token",
        "generate an api key",
        "give me a new token",
        "revoke my token",
        "delete the old token of the agent",
        "create a new user",
        "create a user called ben",
        "make an account for ben",
        "add a new user",
        "delete user ben",
        "delete my account",
        "change my password",
        "create a webhook",
    ],
)
def test_a_request_about_something_else_is_no_addition_and_no_change(text: str) -> None:
    expected = Decision("help", "only-tasks", fields={"message": text})

    assert decide(text, CONTEXT) == expected
    assert decide(f"please {text}", CONTEXT) == expected
    assert decide(f"can you {text}?", CONTEXT) == expected


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ('add "create a token for ben"', '"create a token for ben"'),
        ("add create a token for ben", "create a token for ben"),
        ("remind me to create a cabin list", "create a cabin list"),
        ("create a task to share the travel list", "share the travel list"),
        ("create a task: delete the travel list", "delete the travel list"),
        ("add a guest list", "a guest list"),
        ("add user interviews", "user interviews"),
        ("add token rotation to the runbook", "token rotation to the runbook"),
        ("create a user guide", "a user guide"),
        ("create an account at the bank", "an account at the bank"),
        ("invite ben to the party", "invite ben to the party"),
        ("put bread on the shopping list", "bread #Shopping"),
    ],
)
def test_what_is_to_be_done_is_still_added(message: str, title: str) -> None:
    assert decide(message, CONTEXT) == Decision("add", title)


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("delete everything on the travel list", "delete"),
        ("remove the passport from my list", "delete"),
        ("move the passport to the travel list", "update"),
        ("rename the passport to the guest list", "update"),
        ("show my travel list", "find"),
    ],
)
def test_a_task_in_a_list_is_a_task(message: str, intent: str) -> None:
    decision = decide(message, CONTEXT)

    assert decision is not None
    assert decision.intent == intent


def test_a_task_that_is_called_so_is_meant() -> None:
    titles = ("Write the guest list", "Revoke the token", "Plan the Travel budget")
    tasks = [replace(CONTEXT.tasks[0], id=title, title=title) for title in titles]
    context = replace(CONTEXT, tasks=tasks)

    for message in ("delete the guest list", "delete the token", "remove travel"):
        decision = decide(message, context)
        assert decision is not None
        assert decision.intent == "delete"


@pytest.mark.parametrize(
    "message",
    ["should I share my list?", "share the photos with ada", "make pancakes", "new key for ada"],
)
def test_other_messages_are_not_about_lists(message: str) -> None:
    decision = decide(message, CONTEXT)

    assert decision is None or decision.text != "only-tasks"


@pytest.mark.parametrize("text", sorted(ANSWERED))
def test_no_message_about_tasks_is_taken_for_another(text: str) -> None:
    decision = decide(text, CONTEXT)

    assert decision is None or decision.text != "only-tasks"
