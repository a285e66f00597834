"""Targets of "undo" in a conversation, and the answers that offer it."""

from dataclasses import replace

from tests.integration.assistant.desk import Desk
from todo.assistant.turn.answer import EarlierMessage
from todo.core.caller import Caller


def test_undo_in_a_new_conversation_takes_back_a_change_in_a_list_of_another_user(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    desk.add(ann, "pack", list=desk.make_list(ann, "Trip", share_with=ben.user))
    assistant = desk.hire()
    desk.ask(assistant, ben, "add x")
    desk.ask(assistant, ben, "complete pack")
    answer = desk.ask(assistant, ben, "undo")
    assert 'restored "pack"' in answer.response
    assert (desk.tasks(ann)["pack"]["is_completed"], set(desk.tasks(ben))) == (False, {"x"})
    desk.ask(assistant, ben, "undo")
    assert desk.tasks(ben) == {}


def test_undo_takes_back_what_was_last_wherever_it_was(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    desk.add(ann, "pack", list=desk.make_list(ann, "Trip", share_with=ben.user))
    assistant = desk.hire()
    desk.ask(assistant, ben, "complete pack")
    desk.ask(assistant, ben, "add x")
    desk.ask(assistant, ben, "undo")
    assert (desk.tasks(ann)["pack"]["is_completed"], desk.tasks(ben)) == (True, {})


def test_undo_takes_back_nothing_of_another_user_in_a_shared_list(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    desk.add(ann, "pack", list=desk.make_list(ann, "Trip", share_with=ben.user))
    assistant = desk.hire()
    desk.ask(assistant, ann, "complete pack")
    assert desk.ask(assistant, ben, "undo").response == "There is nothing to undo."
    assert desk.tasks(ann)["pack"]["is_completed"]


def test_undo_after_undo_continues_where_the_conversation_changed_nothing_else(
    desk: Desk, ann: Caller
) -> None:
    assistant = desk.hire()
    for message in ("add alpha", "add beta"):
        desk.ask(assistant, ann, message)
    history: list[EarlierMessage] = []
    for left in ({"alpha"}, set[str]()):
        undone = desk.ask(assistant, ann, "undo", history)
        history.append(EarlierMessage("assistant", undone.response, undone.run_id))
        assert set(desk.tasks(ann)) == left
    last = desk.ask(assistant, ann, "undo", history)
    assert last.response == "There is nothing to undo."


def test_undo_goes_on_behind_what_was_undone_and_has_changed_since(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "milk")
    assistant = desk.hire()
    for message in ("add pears", "make milk urgent", "rename milk to oat milk", "undo", "undo"):
        desk.ask(assistant, ann, message)
    assert (desk.tasks(ann)["milk"]["priority"], "pears" in desk.tasks(ann)) == ("none", True)
    assert 'removed "pears"' in desk.ask(assistant, ann, "undo").response


def test_a_token_that_cannot_undo_gets_no_promise(desk: Desk, ann: Caller) -> None:
    assistant = desk.hire()
    writer = replace(ann, scopes=frozenset({"assistant", "read", "write"}))
    answer = desk.ask(assistant, writer, "add alpha")
    assert answer.response == 'Added "alpha".'
    assert "undo" in desk.ask(assistant, writer, "rename alpha to beta").response
    assert "undo" in desk.ask(assistant, ann, "add gamma").response


def test_a_refused_plan_has_an_error_like_that_of_any_tool(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    desk.ask(assistant, ann, "rename one to two")
    refused = desk.ask(assistant, ann, "yes", [], planned.plan["id"])
    (use,) = refused.tool_calls
    assert use.result["error"]["message"] == refused.response
    assert isinstance(use.result["error"]["code"], str)


def test_a_list_that_can_only_be_read_is_searched_when_it_is_named(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    list_id = desk.make_list(ann, "Work")
    desk.add(ann, "plan the offsite", list=list_id)
    desk.share(ann, list_id, ben.user, "read")
    assistant = desk.hire()
    for message in ("what is on my work list?", "show work"):
        answer = desk.ask(assistant, ben, message)
        assert '"plan the offsite"' in answer.response
    added = desk.ask(assistant, ben, "add x to my work list")
    assert added.response.startswith('There is no list "work" to which you can add')
