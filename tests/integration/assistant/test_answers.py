"""Answers of the assistant: what they say about a change, and what they promise."""

import pytest

from tests.integration.assistant.desk import UNDECIDED, Desk, Model, choose, say
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
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
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


def test_a_message_that_says_several_things_does_none_of_them(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "buy bread")
    answer = desk.ask(desk.hire(), ann, "add buy cheese and complete buy bread")
    assert answer.response.startswith("The message says several things at once")
    assert (answer.tool_calls, answer.degraded) == ((), None)


def test_a_quotation_is_a_title_without_its_marks(desk: Desk, ann: Caller) -> None:
    for message in ('add "undo"', 'add "call mom tomorrow" to my list', "add:\n- 'a'\n- \"b\""):
        desk.ask(desk.hire(), ann, message)
    tasks = desk.tasks(ann)
    assert set(tasks) == {"undo", "call mom tomorrow", "a", "b"}
    assert tasks["call mom tomorrow"]["due_date"] is None


def test_a_list_that_there_is_not_is_named_instead_of_a_title(desk: Desk, ann: Caller) -> None:
    answer = desk.ask(desk.hire(), ann, "add foo baz to my shopping list")
    assert answer.response.startswith('There is no list "shopping" to which you can add tasks')
    assert desk.tasks(ann) == {}


def test_a_reminder_is_added_to_those_that_a_task_has(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "call the dentist", due="2027-03-15 08:30", reminders=[10])
    answer = desk.ask(desk.hire(), ann, "remind me about the dentist an hour before")
    assert f"(reminders 10 min before {_ARROW} 10, 60 min before)" in answer.response
    assert desk.tasks(ann)["call the dentist"]["reminders"] == [10, 60]


def test_a_task_that_moves_keeps_its_time(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "gym", due="2027-03-15 08:30")
    answer = desk.ask(desk.hire(), ann, "move gym to 2027-03-17 same time")
    assert f"(due Mon 2027-03-15 08:30 {_ARROW} Wed 2027-03-17 08:30)" in answer.response


@pytest.mark.parametrize("message", ["delete everything", "delete all my tasks"])
def test_deleting_everything_waits_and_leaves_out_what_others_see(
    desk: Desk, ann: Caller, ben: Caller, message: str
) -> None:
    desk.add(ann, "one")
    desk.add(ann, "ours", list=desk.make_list(ann, "Trip", share_with=ben.user))
    desk.add(ben, "theirs", list=desk.make_list(ben, "Flat", share_with=ann.user))
    answer = desk.ask(desk.hire(), ann, message)
    assert answer.plan is not None
    assert [each["title"] for each in answer.plan["changes"]] == ["one"]
    assert not answer.changed
