"""Commands about a group of tasks, where others share lists with the person."""

import pytest

from tests.integration.assistant.desk import Desk, note
from todo.assistant.turn.answer import EarlierMessage
from todo.core.caller import Caller
from todo.core.domain import ShareAccess


@pytest.mark.parametrize("access", ["write", "read"])
@pytest.mark.parametrize(
    "message",
    [
        "complete everything on my shopping list",
        "complete all tasks due today",
        "complete everything",
        "complete milk",
    ],
)
def test_a_shared_list_of_the_same_name_stays_as_it_is(
    desk: Desk, ann: Caller, ben: Caller, message: str, access: ShareAccess
) -> None:
    own, theirs = desk.make_list(ann, "Shopping"), desk.make_list(ben, "Shopping")
    desk.share(ben, theirs, ann.user, access)
    desk.add(ann, "milk", list=own, due="today")
    desk.add(ben, "yacht", "castle", list=theirs, due="today")

    answer = desk.ask(desk.hire(), ann, message)

    assert answer.changed
    assert [task["is_completed"] for task in desk.tasks(ben).values()] == [False, False]
    assert [task["is_completed"] for task in desk.tasks(ann).values()] == [True]


@pytest.mark.parametrize(
    "message", ["complete everything on the party list", "move all party tasks to friday"]
)
def test_a_group_of_a_shared_list_waits_and_names_the_owner(
    desk: Desk, ann: Caller, ben: Caller, message: str
) -> None:
    list_id = desk.make_list(ben, "Party", share_with=ann.user)
    desk.add(ben, "cake", list=list_id)
    before = desk.tasks(ben)

    answer = desk.ask(desk.hire(), ann, message)

    assert answer.plan is not None
    assert f'list "Party" of "{ben.user}"' in answer.response
    assert desk.tasks(ben) == before
    assert desk.ask(desk.hire(), ann, "yes", [], answer.plan["id"]).changed
    assert desk.tasks(ben) != before


def test_the_question_which_task_is_meant_names_the_owner(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    theirs = desk.make_list(ben, "Work", share_with=ann.user)
    desk.add(ann, "Plan", list=desk.make_list(ann, "Work"))
    desk.add(ben, "Plan", list=theirs)

    answer = desk.ask(desk.hire(), ann, "complete plan")

    assert '1. "Plan", list "Work"\n' in answer.response
    assert f'2. "Plan", list "Work" of "{ben.user}"' in answer.response


@pytest.mark.parametrize("answer", ["yes", "1", "passport"])
def test_a_near_name_is_asked_about(desk: Desk, ann: Caller, answer: str) -> None:
    desk.add(ann, "Renew passport")
    assistant = desk.hire()

    asked = desk.ask(assistant, ann, "complete the pasport")

    assert not asked.changed
    history = [EarlierMessage("user", "complete the pasport"), note(asked)]
    assert desk.ask(assistant, ann, answer, history).changed
