"""Answers of the assistant: what they say about a change, and what they promise."""

import pytest

from tests.integration.assistant.desk import Desk, Model, choose, say
from todo.core.caller import Caller

_ARROW = "\u2192"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("rename buy milk to buy oat milk", f'Changed "buy milk" {_ARROW} "buy oat milk".'),
        (
            "set the priority of buy milk to high",
            f'Changed "buy milk" (priority low {_ARROW} high).',
        ),
        (
            "move buy milk to 2027-03-02",
            f'Moved "buy milk" (due Mon 2027-03-01 {_ARROW} Tue 2027-03-02).',
        ),
        ("tag buy milk with x", f'Changed "buy milk" (tags "home" {_ARROW} "home, x").'),
        ("move buy milk to the Work list", f'Changed "buy milk" (list none {_ARROW} "Work").'),
    ],
)
def test_an_answer_to_a_change_says_what_it_was_before(
    desk: Desk, ann: Caller, message: str, line: str
) -> None:
    desk.make_list(ann, "Work")
    desk.add(ann, "buy milk", due="2027-03-01", priority="low", tags=["home"])
    answer = desk.ask(desk.hire(), ann, message)
    assert answer.response == f'{line}\nTo take it back, write "undo".'


def test_a_change_of_a_model_shows_what_it_overwrote(desk: Desk, ann: Caller) -> None:
    (task_id,) = desk.add(ann, "Finish quarterly report", description="for Lena")
    fields = f'"title": "x", "description": "", "priority": "low", "id": "{task_id}"'
    call = ("update_tasks", f'{{"tasks": [{{{fields}}}]}}')
    model = Model("tools", say("", *[call] * 9), say("", *[call] * 9), say("All is well."))
    answer = desk.ask(desk.hire(model), ann, "hmm, my head is spinning")
    assert answer.response == (
        f'All is well.\nChanged "Finish quarterly report" {_ARROW} "x"'
        f' (priority none {_ARROW} low, description "for Lena" {_ARROW} none).\n'
        'To take it back, write "undo".'
    )


def test_a_choice_of_a_model_says_what_it_was_before(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "call the dentist", due="2027-03-01")
    model = Model("json_schema", choose("reschedule", 1))
    message = "the dentist has no time for me until 2027-03-15"
    answer = desk.ask(desk.hire(model), ann, message)
    line = f'Moved "call the dentist" (due Mon 2027-03-01 {_ARROW} Mon 2027-03-15).'
    assert answer.response.startswith(line)
