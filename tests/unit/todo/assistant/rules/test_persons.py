"""Statements about persons and animals, and such about the things of tasks."""

from dataclasses import replace

import pytest

from tests.unit.todo.assistant.rules.names import name_task
from tests.unit.todo.assistant.rules.utterance_book import make_context
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.engine import decide
from todo.assistant.rules.model_choice import fill
from todo.assistant.rules.persons import names_only_persons

TITLES = (
    *("Call grandma", "Text Priya", "Ask the plumber about the boiler", "Post the keys to Ravi"),
    *("Card for Noor", "Feed the cat", "Read Emma", "Write the minutes", "Visit the dentist"),
    *("Renew Spotify", "ring omar", "Omar's visa", "Wash the blankets", "Email Ada about Rome"),
    "Send the plan to Ines",
)
CONTEXT = replace(
    make_context(), tasks=[name_task(at, title) for at, title in enumerate(TITLES, 1)]
)


def _decide(message: str) -> Decision:
    found = decide(message, CONTEXT)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("grandma is done", "Call grandma"),
        ("grandma was already taken care of", "Call grandma"),
        ("Priya has been handled", "Text Priya"),
        ("the plumber is finished", "Ask the plumber about the boiler"),
        ("Ravi got sorted out", "Post the keys to Ravi"),
        ("Noor's settled", "Card for Noor"),
        ("the cat is settled", "Feed the cat"),
        ("I'm through with Priya", "Text Priya"),
        ("finished with the cat", "Feed the cat"),
        ("Ravi is really important", "Post the keys to Ravi"),
        ("grandma became a high priority", "Call grandma"),
        ("Noor is urgent", "Card for Noor"),
        ("the cat is due on friday", "Feed the cat"),
        ("the plumber is needed tomorrow", "Ask the plumber about the boiler"),
        ("Priya will have to wait until friday", "Text Priya"),
        ("Noor isn't wanted until 7 january", "Card for Noor"),
        ("I emailed Ines", "Send the plan to Ines"),
        ("grandma has no deadline any more", "Call grandma"),
    ],
)
def test_a_statement_about_a_person_of_a_longer_title_asks(message: str, title: str) -> None:
    found = decide(message, CONTEXT)
    assert found is not None
    assert (found.tasks, [task.title for task in found.candidates]) == ((), [title])


def test_a_task_that_was_chosen_is_no_question_again() -> None:
    chosen = [replace(task, is_chosen=task.title == "Call grandma") for task in CONTEXT.tasks]
    found = decide("grandma is done", replace(CONTEXT, tasks=chosen))
    assert found is not None
    assert [task.title for task in found.tasks] == ["Call grandma"]


def test_what_is_not_done_yet_reopens_no_task_of_a_person() -> None:
    closed = [replace(task, is_completed=True) for task in CONTEXT.tasks]
    found = decide("the plumber isn't finished yet", replace(CONTEXT, tasks=closed))
    assert found is not None
    assert (found.intent, found.tasks) == ("reopen", ())


@pytest.mark.parametrize(
    ("message", "intent", "title"),
    [
        ("the boiler is done", "complete", "Ask the plumber about the boiler"),
        ("the keys are sorted", "complete", "Post the keys to Ravi"),
        ("the card for Noor is done", "complete", "Card for Noor"),
        ("Noor's card is done", "complete", "Card for Noor"),
        ("Emma is done", "complete", "Read Emma"),
        ("Spotify is handled", "complete", "Renew Spotify"),
        ("the dentist is done", "complete", "Visit the dentist"),
        ("the minutes are done", "complete", "Write the minutes"),
        ("call grandma is done", "complete", "Call grandma"),
        ("grandma: done", "complete", "Call grandma"),
        ("done: grandma", "complete", "Call grandma"),
        ("Priya \u2713", "complete", "Text Priya"),
        ("mark grandma as done", "complete", "Call grandma"),
        ("I called grandma", "complete", "Call grandma"),
        ("I asked the plumber about the boiler", "complete", "Ask the plumber about the boiler"),
        ("the blankets are important", "update", "Wash the blankets"),
        ("grandma is low priority", "update", "Call grandma"),
        ("make grandma urgent", "update", "Call grandma"),
        ("the card is due friday", "reschedule", "Card for Noor"),
        ("the boiler can wait until friday", "reschedule", "Ask the plumber about the boiler"),
        ("move grandma to friday", "reschedule", "Call grandma"),
    ],
)
def test_a_statement_about_the_thing_of_a_title_is_about_the_task(
    message: str, intent: str, title: str
) -> None:
    found = _decide(message)
    assert (found.intent, [task.title for task in found.tasks]) == (intent, [title])


@pytest.mark.parametrize(
    "message", ["I'd read Emma", "we'd read Emma", "set the cat off", "set the blankets off"]
)
def test_what_is_not_said_to_be_done_completes_nothing(message: str) -> None:
    assert decide(message, CONTEXT) is None


@pytest.mark.parametrize(
    ("phrase", "title", "is_person"),
    [
        ("omar", "ring omar", True),
        ("Omar", "Omar's visa", True),
        ("the visa", "Omar's visa", False),
        ("Rome", "Email Ada about Rome", True),
        ("the Rome thing", "Email Ada about Rome", False),
        ("Ada", "Ada", False),
        ("dogs", "Wash the dog", True),
        ("2027", "Call 2027", False),
        ("milk", "Ring Ben", False),
    ],
)
def test_names_are_known_by_their_capital_or_the_verb(
    phrase: str, title: str, *, is_person: bool
) -> None:
    assert names_only_persons(phrase, title) is is_person


@pytest.mark.parametrize(
    ("message", "title", "is_right"),
    [
        ("Noor's birthday is tomorrow", "Birthday card for Noor", False),
        ("the meeting was on friday", "Slides for the meeting", False),
        ("the gala dinner is on friday", "Gala dinner", True),
    ],
)
def test_a_model_moves_nothing_because_of_when_something_happens(
    message: str, title: str, *, is_right: bool
) -> None:
    task = name_task(1, title)
    found = fill("reschedule", [task], message, replace(CONTEXT, tasks=[task]))
    assert (found is not None) is is_right
