"""Turns of the assistant that a model decides, with a schema or with tools."""

import asyncio

import pytest

from tests.integration.assistant.desk import (
    DEADLINE_S,
    UNDECIDED,
    Desk,
    Events,
    HangingModel,
    Model,
    choose,
    note,
    say,
)
from todo.assistant.model.client import Mode, ModelAnswer, ModelError, ModelRequest
from todo.assistant.turn import model_decision
from todo.assistant.turn.answer import AGENT
from todo.assistant.turn.model_tools import ModelTools
from todo.core.caller import Caller
from todo.mcp.tool import Json

MOVES = "the dentist has no time for me until 2027-03-15"
PACKED = "hmm, guess the pack is done"


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
        place = '"Trip"' if who == ann else f'"Trip" of "{ann.user}"'
        assert f'- complete "pack" (list {place})' in answer.response
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


def test_a_model_that_reads_too_much_is_stopped(desk: Desk, ann: Caller) -> None:
    desk.add(ann, *(f"{number} {'x' * 200}" for number in range(50)))
    calls = [("find_tasks", '{"limit": 50}')] * 10
    model = Model("tools", say("", *calls))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert answer.degraded == "invalid"
    asked = [len(str(request.messages)) for request in model.requests]
    assert max(asked) < 150_000


def test_a_model_that_fails_after_a_change_leaves_the_way_back(desk: Desk, ann: Caller) -> None:
    model = Model(
        "tools", say("", ("add_tasks", '{"tasks":[{"title":"x"}]}')), ModelError("refused")
    )
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert (answer.degraded, answer.changed) == ("refused", True)
    assert answer.response.endswith('To take it back, write "undo".')
    desk.ask(desk.hire(), ann, "undo", [note(answer)])
    assert desk.tasks(ann) == {}


def test_a_call_that_cannot_be_read_after_a_change_leaves_the_way_back(
    desk: Desk, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_arguments = ModelTools.read_arguments

    def read(self: ModelTools, name: str, given: object) -> Json:
        if name == "fetch":
            raise RecursionError
        return read_arguments(self, name, given)

    monkeypatch.setattr(ModelTools, "read_arguments", read)
    calls = [("add_tasks", '{"tasks":[{"title":"Air the cellar"}]}'), ("fetch", '{"id": "1"}')]
    answer = desk.ask(desk.hire(Model("tools", say("", *calls))), ann, UNDECIDED)
    assert (answer.degraded, answer.changed) == ("invalid", True)
    assert 'Added "Air the cellar".' in answer.response
    assert answer.response.endswith('To take it back, write "undo".')


def test_a_choice_that_cannot_be_filled_in_changes_nothing(
    desk: Desk, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(model_decision, "fill", fill)
    desk.add(ann, "one")
    answer = desk.ask(desk.hire(Model("json_schema", choose("complete", 1))), ann, UNDECIDED)
    assert (answer.degraded, answer.changed) == ("invalid", False)


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
        model = HangingModel("tools")
        assistant = desk.hire(model, ai_concurrency=1)
        turn = asyncio.create_task(assistant.run(ann, UNDECIDED, (), None, Events(), DEADLINE_S))
        await model.thinks.wait()
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
    assistant = desk.hire(HangingModel("json_schema"))
    answer = desk.runner.run(assistant.run(ann, UNDECIDED, (), None, Events(), 0.2))
    assert answer.degraded == "deadline"
    assert "did not answer" in answer.response
