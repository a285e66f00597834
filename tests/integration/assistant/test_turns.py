"""Turns of the assistant that rules decide, and what is said where they do not."""

import threading
from dataclasses import replace

import pytest

from tests.integration.assistant.desk import UNDECIDED, Desk, Model, choose, note, say
from todo.assistant.rules import engine
from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.turn import rule_decision, runner
from todo.assistant.turn.answer import AGENT, EarlierMessage
from todo.core.caller import Caller


def test_a_message_that_rules_decide_needs_no_model(desk: Desk, ann: Caller) -> None:
    model = Model("tools", say("never"))
    answer = desk.ask(desk.hire(model), ann, "add buy milk tomorrow #x")
    assert (answer.degraded, answer.changed, model.requests) == (None, True, [])
    assert answer.response.startswith('Added "buy milk" (due ')
    assert answer.response.endswith('To take it back, write "undo".')
    (entry,) = desk.journal(ann.user)
    assert (entry["agent"], entry["model"], entry["run_id"]) == (AGENT, None, answer.run_id)


@pytest.mark.parametrize(
    ("message", "start"), [("thanks!", "You're welcome."), ("hi", "Hello. "), ("help", "You can ")]
)
def test_small_talk_has_an_answer_of_its_own(
    desk: Desk, ann: Caller, message: str, start: str
) -> None:
    answer = desk.ask(desk.hire(), ann, message)
    assert (answer.response.startswith(start), answer.degraded) == (True, None)


def test_each_line_of_a_list_is_a_task(desk: Desk, ann: Caller) -> None:
    answer = desk.ask(desk.hire(), ann, "add:\n- buy milk\n- buy bread")
    assert answer.response.startswith("Added 2 tasks:")
    assert set(desk.tasks(ann)) == {"buy milk", "buy bread"}


def test_days_are_those_of_the_zone_of_the_person(desk: Desk, ann: Caller) -> None:
    desk.set_zone(ann, "Asia/Tokyo")
    desk.add(ann, "call the dentist", "call the plumber", due="2027-03-15 08:30")
    answer = desk.ask(desk.hire(), ann, "complete the call")
    assert answer.response.splitlines()[1:3] == [
        '1. "call the plumber", due 2027-03-15 08:30',
        '2. "call the dentist", due 2027-03-15 08:30',
    ]
    model = Model("json_schema", choose("none", reply="Hello."))
    desk.ask(desk.hire(model), ann, UNDECIDED)
    assert '1. "call the dentist", due 2027-03-15T08:30' in model.requests[0].messages[0]["content"]


def test_undo_takes_back_the_last_answer_and_then_the_one_before(desk: Desk, ann: Caller) -> None:
    assistant = desk.hire()
    history: list[EarlierMessage] = []
    for message in ("add buy milk", "add buy bread", "undo", "undo"):
        history.append(note(desk.ask(assistant, ann, message, history)))
        assert history[-1].run_id is not None
    assert desk.tasks(ann) == {}
    assert desk.ask(assistant, ann, "undo", history).response == "There is nothing to undo."


def test_undo_in_a_new_conversation_takes_back_what_the_assistant_did_last(
    desk: Desk, ann: Caller
) -> None:
    assistant = desk.hire()
    desk.ask(assistant, ann, "add buy milk")
    desk.add(ann, "by somebody else")
    desk.ask(assistant, ann, "undo")
    assert set(desk.tasks(ann)) == {"by somebody else"}


def test_undo_takes_back_a_change_in_a_list_of_another_user(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    desk.add(ann, "pack", list=desk.make_list(ann, "Trip", share_with=ben.user))
    assistant = desk.hire()
    history = [note(desk.ask(assistant, ben, message)) for message in ("add x", "complete pack")]
    history.append(note(desk.ask(assistant, ben, "undo", history)))
    assert (desk.tasks(ann)["pack"]["is_completed"], len(desk.tasks(ben))) == (False, 1)
    desk.ask(assistant, ben, "undo", history)
    assert desk.tasks(ben) == {}


def test_a_deletion_waits_for_yes(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one", "two")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    assert not planned.changed
    assert '- delete "one"' in planned.response
    assert set(desk.tasks(ann)) == {"one", "two"}
    done = desk.ask(assistant, ann, "yes", [], planned.plan["id"])
    assert (done.changed, set(desk.tasks(ann))) == (True, {"two"})
    desk.ask(assistant, ann, "undo", [note(done)])
    assert set(desk.tasks(ann)) == {"one", "two"}


def test_another_verb_does_not_confirm_a_deletion(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    answer = desk.ask(assistant, ann, "complete it", [], planned.plan["id"])
    assert (answer.changed, set(desk.tasks(ann))) == (False, {"one"})
    assert desk.ask(assistant, ann, "delete it", [], planned.plan["id"]).changed
    assert desk.tasks(ann) == {}


def test_a_reply_reads_no_tasks(desk: Desk, ann: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_context(*_: object) -> None:
        raise AssertionError

    assistant = desk.hire()
    added = desk.ask(assistant, ann, "add one")
    monkeypatch.setattr(runner, "read_context", read_context)
    for message in ("help", "thanks", "undo"):
        assert desk.ask(assistant, ann, message, [note(added)]).degraded is None


def test_rules_do_not_compute_about_many_tasks_on_the_event_loop(
    desk: Desk, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def decide(message: str, context: RuleContext) -> Decision | None:
        threads.append(threading.current_thread())
        return engine.decide(message, context)

    monkeypatch.setattr(rule_decision, "decide", decide)
    assistant = desk.hire()
    desk.ask(assistant, ann, "complete one")
    for start in range(0, 300, 50):
        tasks = [{"title": f"task {number}"} for number in range(start, start + 50)]
        desk.call(ann, "add_tasks", tasks=tasks)
    assert desk.ask(assistant, ann, "complete task 7").changed
    main = threading.main_thread()
    assert [thread is main for thread in threads] == [True, False]


def test_no_deletes_the_plan(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    declined = desk.ask(assistant, ann, "no", [], planned.plan["id"])
    assert (declined.changed, declined.response) == (False, "Nothing was changed.")
    late = desk.ask(assistant, ann, "yes", [], planned.plan["id"])
    assert (late.changed, set(desk.tasks(ann))) == (False, {"one"})


def test_a_change_of_many_tasks_waits_for_yes(desk: Desk, ann: Caller) -> None:
    list_id = desk.make_list(ann, "Work")
    desk.add(ann, *(f"task {number}" for number in range(6)), list=list_id)
    planned = desk.ask(desk.hire(), ann, "complete everything on my Work list")
    assert planned.plan is not None
    assert planned.plan["summary"] == [{"operation": "complete", "kind": "task", "count": 6}]
    assert not any(task["is_completed"] for task in desk.tasks(ann).values())


def test_rules_may_change_a_shared_list(desk: Desk, ann: Caller, ben: Caller) -> None:
    list_id = desk.make_list(ann, "Trip", share_with=ben.user)
    desk.add(ann, "pack", list=list_id)
    answer = desk.ask(desk.hire(), ben, "complete pack")
    assert (answer.changed, answer.plan) == (True, None)
    assert desk.tasks(ann)["pack"]["is_completed"]


def test_a_plan_of_the_rules_names_no_model(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "call the dentist")
    answer = desk.ask(desk.hire(Model("tools", say("?")), ai_model="small"), ann, "delete the call")
    assert answer.plan is not None
    found = desk.plan(ann, answer.plan["id"])
    assert (found.agent, found.model) == (AGENT, None)


def test_without_a_model_the_answer_says_what_can_be_said(desk: Desk, ann: Caller) -> None:
    answer = desk.ask(desk.hire(), ann, UNDECIDED)
    assert (answer.degraded, answer.changed, answer.tool_calls) == ("not-configured", False, ())
    assert '"complete buy milk"' in answer.response


def test_a_yes_without_a_plan_is_answered_as_one(desk: Desk, ann: Caller) -> None:
    for message in ("yes", "no"):
        answer = desk.ask(desk.hire(), ann, message)
        assert answer.response.startswith("No changes are waiting")
        assert answer.degraded is None


def test_a_token_may_do_what_its_scopes_say(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one")
    reader = replace(ann, scopes=frozenset({"assistant", "read"}))
    answer = desk.ask(desk.hire(), reader, "complete one")
    assert (answer.changed, desk.tasks(ann)["one"]["is_completed"]) == (False, False)
    assert "scope" in answer.response
    answer = desk.ask(desk.hire(), reader, "delete one")
    assert answer.plan is None
    blind = replace(ann, scopes=frozenset({"assistant", "write"}))
    answer = desk.ask(desk.hire(), blind, "complete one")
    assert (answer.changed, answer.degraded) == (False, None)
    assert "lacks the scope read" in answer.response
