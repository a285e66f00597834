"""Budgets of the assistant: what they refuse, and what an answer says about them."""

import asyncio
import re
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.integration.assistant.desk import UNDECIDED, Desk, Model, choose, note, say
from tests.integration.assistant.turn_world import STREAM, Play, TurnWorld
from todo.assistant.model.client import Mode, ModelAnswer, ModelError, TokenCount
from todo.assistant.turn.runner import Assistant
from todo.core.caller import Caller
from todo.core.errors import RateLimitedError


def test_an_answer_has_what_is_left_in_its_headers(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        world.state.assistant = Assistant(world.state, None)
        sent = world.send("add buy milk")
        await sent.read()
        policy, left = sent.headers["ratelimit-policy"], sent.headers["ratelimit"]
        assert policy.startswith('"assistant-turns";q=9;w=60, "assistant-tool-calls";q=7;w=3600, "')
        assert re.match(r'"assistant-turns";r=\d;t=\d, "assistant-tool-calls";r=6;t=\d+, "', left)

    play(act, ai_turns_per_minute=9, ai_tool_calls_per_hour=7)


def test_a_stream_has_what_is_left_in_its_headers(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        world.state.assistant = Assistant(world.state, None)
        sent = world.send("add buy milk", **STREAM)
        await sent.read_events()
        assert sent.headers["ratelimit"].startswith('"assistant-tool-calls";r=6;t=')

    play(act, ai_turns_per_minute=0, ai_tool_calls_per_hour=7)


def test_an_answer_without_a_budget_says_what_is_left_and_when_the_model_is_back(
    desk: Desk, ann: Caller
) -> None:
    assistant = desk.hire(
        Model("json_schema", choose("none", reply="Hello.")), ai_tokens_per_day=50
    )
    assert desk.ask(assistant, ann, UNDECIDED).degraded is None
    answer = desk.ask(assistant, ann, UNDECIDED)
    assert answer.degraded == "over-budget"
    said = "0 are left of 50 tokens per day; the model is back in about 24 hours."
    assert answer.response.endswith(said)


def test_a_token_at_its_end_leaves_the_model_and_messages_to_the_person(
    desk: Desk, ann: Caller
) -> None:
    model = Model("json_schema", choose("none", reply="Hello."))
    assistant = desk.hire(model, ai_tokens_per_day=400, ai_turns_per_minute=4)
    agent = replace(ann, token_id=str(uuid4()))
    for degraded in (None, None):
        assert desk.ask(assistant, agent, UNDECIDED).degraded is degraded
    with pytest.raises(RateLimitedError, match="2 messages per minute with one API token"):
        desk.ask(assistant, agent, UNDECIDED)
    assert desk.ask(assistant, ann, UNDECIDED).degraded is None


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


def test_without_calls_left_a_person_can_still_answer_a_plan_and_take_back_changes(
    desk: Desk, ann: Caller
) -> None:
    desk.add(ann, "one", "two")
    model = Model("tools", *(say("", ("find_tasks", "{}")) for _ in range(9)), say("Done."))
    assistant = desk.hire(model, ai_tool_calls_per_hour=4)
    added = desk.ask(assistant, ann, "add three")
    plans = [desk.ask(assistant, ann, f"delete {name}").plan for name in ("one", "two")]
    kept, deleted = (str(plan["id"]) for plan in plans if plan is not None)
    desk.ask(assistant, ann, UNDECIDED)
    for message in ("add four", "what is due today?", "complete one", UNDECIDED):
        with pytest.raises(RateLimitedError, match="4 tool calls per hour"):
            desk.ask(assistant, ann, message)
    assert 'Write "yes"' in desk.ask(assistant, ann, "which one?", [], kept).response
    assert desk.ask(assistant, ann, "no", [], kept).response == "Nothing was changed."
    assert desk.ask(assistant, ann, "yes, delete it", [], deleted).changed
    assert set(desk.tasks(ann)) == {"one", "three"}
    undone = desk.ask(assistant, ann, "undo", [note(added)])
    assert 'removed "three"' in undone.response
    assert desk.ask(assistant, ann, "help").degraded is None
    assert set(desk.tasks(ann)) == {"one"}


def test_a_reply_without_calls_left_is_not_refused_over_http(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        world.state.assistant = Assistant(world.state, None)
        added = await world.send("add buy milk").read()
        of = {"conversation_id": added["conversation_id"]}
        await world.send("add buy bread", **of).read(429)
        for message in ("help", "undo"):
            await world.send(message, **of).read()
        assert (await world.get("/api/v1/tasks"))["items"] == []

    play(act, ai_tool_calls_per_hour=1)


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
