"""Turns of the assistant: by rules, with a decision of a model, and with tools."""

import asyncio
import threading
from dataclasses import replace

import pytest

from tests.integration.assistant.desk import DEADLINE_S, Desk, Events, Model, choose, say
from todo.assistant.model.client import Mode, ModelAnswer, ModelError, ModelRequest, TokenCount
from todo.assistant.rules import engine
from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.turn import runner
from todo.assistant.turn.answer import AGENT, EarlierMessage, TurnAnswer
from todo.core.caller import Caller
from todo.core.errors import RateLimitedError

UNDECIDED = "hmm, my head is spinning"
"""Rules do not decide this."""
MOVES = "the dentist has no time for me until 2027-03-15"
PACKED = "hmm, guess the pack is done"


def _note(answer: TurnAnswer) -> EarlierMessage:
    return EarlierMessage("assistant", answer.response, answer.run_id if answer.changed else None)


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
    assert answer.response.splitlines()[1:] == [
        '- "call the plumber", due 2027-03-15',
        '- "call the dentist", due 2027-03-15',
    ]
    model = Model("json_schema", choose("none", reply="Hello."))
    desk.ask(desk.hire(model), ann, UNDECIDED)
    assert '1. "call the dentist", due 2027-03-15T08:30' in model.requests[0].messages[0]["content"]


def test_undo_takes_back_the_last_answer_and_then_the_one_before(desk: Desk, ann: Caller) -> None:
    assistant = desk.hire()
    history: list[EarlierMessage] = []
    for message in ("add buy milk", "add buy bread", "undo", "undo"):
        history.append(_note(desk.ask(assistant, ann, message, history)))
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
    history = [_note(desk.ask(assistant, ben, message)) for message in ("add x", "complete pack")]
    history.append(_note(desk.ask(assistant, ben, "undo", history)))
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
    desk.ask(assistant, ann, "undo", [_note(done)])
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
        assert desk.ask(assistant, ann, message, [_note(added)]).degraded is None


def test_rules_do_not_compute_about_many_tasks_on_the_event_loop(
    desk: Desk, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def decide(message: str, context: RuleContext) -> Decision | None:
        threads.append(threading.current_thread())
        return engine.decide(message, context)

    monkeypatch.setattr(runner, "decide", decide)
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


@pytest.mark.parametrize("mode", ["json_schema", "tools"])
def test_a_model_may_not_change_what_others_see(
    desk: Desk, ann: Caller, ben: Caller, mode: str
) -> None:
    list_id = desk.make_list(ann, "Trip", share_with=ben.user)
    (task_id,) = desk.add(ann, "pack", list=list_id)
    call = ("complete_tasks", f'{{"tasks": [{{"id": "{task_id}"}}]}}')
    for who in (ann, ben):
        model = (
            Model("json_schema", choose("complete", 1))
            if mode == "json_schema"
            else Model("tools", say("", call), say("It waits."))
        )
        answer = desk.ask(desk.hire(model), who, PACKED)
        assert answer.plan is not None
        assert (answer.changed, answer.degraded) == (False, None)
        assert "because it changes what others see" in answer.response
        assert '- complete "pack" (list "Trip")' in answer.response
    assert not desk.tasks(ann)["pack"]["is_completed"]


def test_a_decision_of_a_model_is_carried_out_with_the_words_of_the_person(
    desk: Desk, ann: Caller
) -> None:
    desk.add(ann, "call the dentist")
    model = Model("json_schema", choose("reschedule", 1))
    answer = desk.ask(desk.hire(model, ai_model="small"), ann, MOVES)
    assert desk.tasks(ann)["call the dentist"]["due_date"] == "2027-03-15"
    assert (answer.prompt_tokens, answer.output_tokens) == (100, 10)
    assert [entry["model"] for entry in desk.journal(ann.user)] == [None, "small"]


@pytest.mark.parametrize(
    ("mode", "replies"),
    [
        ("json_schema", [choose("delete", 1)]),
        ("tools", [say("", ("delete_tasks", '{"tasks": [{"id": "1"}]}')), say("It waits.")]),
    ],
)
def test_a_plan_that_a_model_proposed_names_the_model(
    desk: Desk, ann: Caller, mode: Mode, replies: list[ModelAnswer]
) -> None:
    desk.add(ann, "call the dentist")
    message = "that call with the dentist, honestly, get rid of it"
    answer = desk.ask(desk.hire(Model(mode, *replies), ai_model="small"), ann, message)
    assert answer.plan is not None
    found = desk.plan(ann, answer.plan["id"])
    assert (found.agent, found.model, found.run_id) == (AGENT, "small", answer.run_id)


def test_a_plan_of_the_rules_names_no_model(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "call the dentist")
    answer = desk.ask(desk.hire(Model("tools", say("?")), ai_model="small"), ann, "delete the call")
    assert answer.plan is not None
    found = desk.plan(ann, answer.plan["id"])
    assert (found.agent, found.model) == (AGENT, None)


def test_an_invalid_decision_goes_back_to_the_model_twice(desk: Desk, ann: Caller) -> None:
    model = Model("json_schema", say("{"), choose("complete", 7), choose("none", reply="Hello."))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert (answer.response, len(model.requests)) == ("Hello.\nNothing was changed.", 3)
    assert "the list has no number 7" in str(model.requests[2].messages[-1]["content"])
    model = Model("json_schema", say("no JSON"))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert (answer.degraded, len(model.requests)) == ("invalid", 3)


def test_a_model_with_tools_works_until_it_answers(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one")
    model = Model(
        "tools",
        say("Looking. ", ("find_tasks", '{"query": "one"}')),
        say("", ("complete_tasks", '{"tasks": [{"id": "1"}]}')),
        say("Done."),
    )
    answer = desk.ask(desk.hire(model), ann, "that thing is through")
    assert desk.tasks(ann)["one"]["is_completed"]
    assert [use.tool_name for use in answer.tool_calls] == ["find_tasks", "complete_tasks"]
    facts = 'Completed "one".\nTo take it back, write "undo".'
    assert answer.response == f"Looking. Done.\n{facts}"
    assert "run_id" not in str(model.requests[-1].messages)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"tasks": [{"title": "x"}], "run_id": "mine"}',
        '{"tasks": [{"title": "x"}], "idempotency_key": "mine"}',
        '{"tasks": [{"title": "x"}], "create_missing_lists": true}',
        '["x"]',
        "{",
    ],
)
def test_arguments_that_a_model_may_not_give_go_back_to_it(
    desk: Desk, ann: Caller, arguments: str
) -> None:
    model = Model("tools", say("", ("add_tasks", arguments)), say("Sorry."))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert (answer.changed, answer.degraded, desk.tasks(ann)) == (False, None, {})
    assert '"error"' in model.requests[1].messages[-1]["content"]


@pytest.mark.parametrize("tool", ["undo", "changes_since", "drop_tables"])
def test_a_model_has_only_some_of_the_tools(desk: Desk, ann: Caller, tool: str) -> None:
    model = Model("tools", say("", (tool, "{}")), say("Sorry."))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert answer.tool_calls[0].result["error"]["code"] == "unknown-tool"


@pytest.mark.parametrize("mode", ["json_schema", "tools"])
def test_the_answer_does_not_rely_on_what_a_model_says(desk: Desk, ann: Caller, mode: Mode) -> None:
    lie = "I deleted everything."
    said = choose("none", reply=lie) if mode == "json_schema" else say(lie)
    answer = desk.ask(desk.hire(Model(mode, said)), ann, UNDECIDED)
    assert answer.response == f"{lie}\nNothing was changed."


def test_a_model_that_never_ends_is_stopped(desk: Desk, ann: Caller) -> None:
    model = Model("tools", say("", ("overview", "{}")))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert (answer.degraded, len(model.requests)) == ("invalid", 8)


def test_a_model_that_fails_after_a_change_leaves_the_way_back(desk: Desk, ann: Caller) -> None:
    model = Model(
        "tools", say("", ("add_tasks", '{"tasks":[{"title":"x"}]}')), ModelError("refused")
    )
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert (answer.degraded, answer.changed) == ("refused", True)
    assert answer.response.endswith('To take it back, write "undo".')
    desk.ask(desk.hire(), ann, "undo", [_note(answer)])
    assert desk.tasks(ann) == {}


def test_many_small_calls_of_a_model_need_the_person_as_well(desk: Desk, ann: Caller) -> None:
    desk.add(ann, *(f"task {number}" for number in range(8)))
    calls = [("complete_tasks", f'{{"tasks": [{{"id": "{n}"}}]}}') for n in range(1, 9)]
    answer = desk.ask(desk.hire(Model("tools", say("", *calls), say("Done."))), ann, UNDECIDED)
    assert answer.plan is not None
    assert answer.plan["summary"] == [{"operation": "complete", "kind": "task", "count": 3}]
    done = [task for task in desk.tasks(ann).values() if task["is_completed"]]
    assert len(done) == 5


def test_deletions_of_a_model_are_one_plan_of_the_answer(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one", "two")
    calls = [("delete_tasks", f'{{"tasks": [{{"id": "{n}"}}]}}') for n in (1, 2)]
    answer = desk.ask(desk.hire(Model("tools", say("", *calls), say("Wait."))), ann, UNDECIDED)
    assert answer.plan is not None
    assert answer.plan["summary"] == [{"operation": "delete", "kind": "task", "count": 2}]
    assert "plan" not in str(answer.tool_calls)
    desk.ask(desk.hire(), ann, "yes", [], answer.plan["id"])
    assert desk.tasks(ann) == {}


def test_no_connection_is_held_while_a_model_thinks(desk: Desk, ann: Caller) -> None:
    held: list[int] = []

    def think(_request: ModelRequest) -> ModelAnswer:
        held.append(desk.state.database.pool.checkedout())
        return say("", ("overview", "{}")) if len(held) == 1 else say("Done.")

    desk.ask(desk.hire(Model("tools", think)), ann, UNDECIDED)
    assert held == [0, 0]


def test_a_turn_that_is_cancelled_leaves_nothing_behind(desk: Desk, ann: Caller) -> None:
    async def cancel() -> None:
        thinks = asyncio.Event()

        class Slow(Model):
            async def ask(self, *_args: object, **_more: object) -> ModelAnswer:
                thinks.set()
                await asyncio.Event().wait()
                raise AssertionError

        assistant = desk.hire(Slow("tools"), ai_concurrency=1)
        turn = asyncio.create_task(assistant.run(ann, UNDECIDED, (), None, Events(), DEADLINE_S))
        await thinks.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert len(asyncio.all_tasks()) == 1
        # The one turn at a time is free again.
        await assistant.run(ann, "help", (), None, Events(), DEADLINE_S)

    desk.runner.run(cancel())
    assert desk.state.database.pool.checkedout() == 0
    assert desk.journal(ann.user) == []


def test_a_model_that_is_slower_than_the_deadline_leaves_the_answer_to_rules(
    desk: Desk, ann: Caller
) -> None:
    class Slow(Model):
        async def ask(self, *_args: object, **_more: object) -> ModelAnswer:
            await asyncio.Event().wait()
            raise AssertionError

    assistant = desk.hire(Slow("json_schema"))
    answer = desk.runner.run(assistant.run(ann, UNDECIDED, (), None, Events(), 0.2))
    assert answer.degraded == "deadline"
    assert "did not answer" in answer.response


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
    assert (answer.changed, answer.degraded) == (False, "not-configured")


def test_a_used_up_budget_of_turns_refuses_the_message(desk: Desk, ann: Caller) -> None:
    assistant = desk.hire(ai_turns_per_minute=2)
    for _ in range(2):
        desk.ask(assistant, ann, "help")
    with pytest.raises(RateLimitedError, match="2 messages per minute; 0 are left") as hit:
        desk.ask(assistant, ann, "add buy milk")
    assert int(hit.value.headers["Retry-After"]) > 0
    assert desk.tasks(ann) == {}


def test_a_used_up_budget_of_calls_refuses_the_message(desk: Desk, ann: Caller) -> None:
    assistant = desk.hire(ai_tool_calls_per_hour=1)
    desk.ask(assistant, ann, "add buy milk")
    with pytest.raises(RateLimitedError, match="1 tool call per hour"):
        desk.ask(assistant, ann, "add buy bread")
    assert set(desk.tasks(ann)) == {"buy milk"}


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("mode", ["json_schema", "tools"])
def test_a_request_without_an_answer_uses_up_the_budget(
    desk: Desk,
    ann: Caller,
    mode: Mode,
    leaves: bool,  # noqa: FBT001
) -> None:
    class Broken(Model):
        async def ask(
            self, *_args: object, used: TokenCount | None = None, **_more: object
        ) -> ModelAnswer:
            assert used is not None
            used.prompt, used.output = 40, 20
            if leaves:
                raise asyncio.CancelledError
            raise ModelError("interrupted")

    assistant = desk.hire(Broken(mode), ai_tokens_per_day=50)
    if leaves:
        with pytest.raises(asyncio.CancelledError):
            desk.ask(assistant, ann, UNDECIDED)
    else:
        first = desk.ask(assistant, ann, UNDECIDED)
        assert (first.degraded, first.prompt_tokens, first.output_tokens) == ("interrupted", 40, 20)
    assert desk.ask(assistant, ann, UNDECIDED).degraded == "over-budget"


def test_without_tokens_left_rules_still_work(desk: Desk, ann: Caller) -> None:
    model = Model("json_schema", choose("none", reply="Hello."))
    assistant = desk.hire(model, ai_tokens_per_day=50)
    assert desk.ask(assistant, ann, UNDECIDED).degraded is None
    assert desk.ask(assistant, ann, UNDECIDED).degraded == "over-budget"
    answer = desk.ask(assistant, ann, "add buy milk")
    assert (answer.degraded, answer.changed) == (None, True)
