"""A message that is sent again with its Idempotency-Key is carried out once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.assistant.turn_world import CONVERSATIONS, STREAM, Call, Play, TurnWorld, say
from todo.assistant.conversations import open_turn
from todo.assistant.conversations.turn_store import CHANGED
from todo.assistant.turn.answer import ToolUse, TurnAnswer
from todo.core.errors import RateLimitedError
from todo.writes.unit_of_work import UnitOfWork

KEY = {"Idempotency_Key": "the key"}
LONG_AGO = "UPDATE message SET created_at = '{}'"


def change_once(world: TurnWorld, proceed: asyncio.Event | None = None) -> asyncio.Event:
    """Let a turn make a task, and then wait for something; return what says that it is made."""
    made = asyncio.Event()

    async def script(call: Call) -> TurnAnswer:
        use = await world.add_task(call)
        await call.events.tool(use)
        made.set()
        if proceed is not None:
            await proceed.wait()
        return say(call, "Made it.", tool_calls=(use,), changed=True)

    world.assistant.script = script
    return made


async def count_tasks(world: TurnWorld) -> int:
    return len((await world.get("/api/v1/tasks"))["items"])


def test_a_repeated_message_gets_the_first_answer(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        change_once(world)
        first = world.send(**KEY)
        again = world.send(**KEY)
        answer = await first.read()
        assert await again.read() == answer
        third = world.send(**KEY)
        assert await third.read() == answer
        assert third.headers["idempotency-replayed"] == "true"

        events = await world.send(**KEY, **STREAM).read_events()
        assert [name for name, _ in events] == ["start", "text", "done"]
        assert events[1][1] == {"delta": "Made it."}
        assert events[2][1] == answer

        assert len(world.assistant.calls) == await count_tasks(world) == 1
        assert len(await world.read_last()) == 2
        problem = await world.send("another", **KEY).read(422)
        assert problem["code"] == "idempotency-key-reused"
        assert len(world.assistant.calls) == 1

    play(act)


def test_the_second_of_two_waits_for_the_answer_of_the_first(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(world: TurnWorld) -> None:
        proceed = asyncio.Event()
        change_once(world, proceed)
        first = world.send(**KEY)
        await world.assistant.began.get()
        second = world.send(**KEY)
        await asyncio.wait({second.task}, timeout=1)
        assert not second.task.done()
        monkeypatch.setattr(open_turn, "MARGIN_S", 30)
        refused = world.send(**KEY)
        assert (await refused.read(409))["code"] == "turn-running"
        assert int(refused.headers["retry-after"]) > 0
        proceed.set()
        assert await first.read() == await second.read()
        assert len(world.assistant.calls) == await count_tasks(world) == 1

    play(act, request_deadline_s=31)


def test_a_message_whose_client_left_before_a_change_can_be_sent_again(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        async def wait(call: Call) -> TurnAnswer:
            await asyncio.Event().wait()
            return say(call)

        world.assistant.script = wait
        exchange = world.send(**KEY)
        await world.assistant.began.get()
        await exchange.leave()

        change_once(world)
        answer = await world.send(**KEY).read()
        assert answer["response"] == "Made it."
        assert await world.send(**KEY).read() == answer
        assert await count_tasks(world) == 1

    play(act)


def test_a_message_whose_client_left_after_a_change_is_not_carried_out_again(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        made = change_once(world, asyncio.Event())
        exchange = world.send(**KEY)
        await made.wait()
        await exchange.leave()

        answer = await world.send(**KEY).read()
        assert (answer["response"], answer["degraded_reason"]) == (CHANGED, "interrupted")
        assert answer["undo"] == {"run_id": world.assistant.calls[0].caller.run_id}
        assert len(world.assistant.calls) == await count_tasks(world) == 1

    play(act)


@pytest.mark.parametrize("changes", [True, False])
def test_a_message_whose_process_ended_is_carried_out_once(
    play: Play, monkeypatch: pytest.MonkeyPatch, *, changes: bool
) -> None:
    async def act(world: TurnWorld) -> None:
        async def crash(call: Call) -> TurnAnswer:
            if changes:
                await world.add_task(call)
            raise ZeroDivisionError

        async def store_nothing(storing: Any) -> None:  # noqa: ANN401 - a coroutine
            storing.close()

        world.assistant.script = crash
        with monkeypatch.context() as context:
            context.setattr(open_turn, "_attempt", store_nothing)
            await world.send(**KEY).read(500)
        (_, answer) = await world.read_last()
        assert answer["status"] == "running"
        await world.run_sql(LONG_AGO, datetime.now(UTC) - timedelta(days=1))

        change_once(world)
        answers = [await each.read() for each in [world.send(**KEY) for _ in range(3)]]
        assert answers == [answers[0]] * 3
        assert answers[0]["response"] == (CHANGED if changes else "Made it.")
        assert len(world.assistant.calls) == (1 if changes else 2)
        assert await count_tasks(world) == 1

    play(act)


def test_a_deleted_conversation_does_not_make_a_message_new(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        change_once(world)
        answer = await world.send(**KEY).read()
        path = f"{CONVERSATIONS}/{answer['conversation_id']}"
        await world.call("DELETE", path).read(204)
        assert await world.send(**KEY).read() == answer
        assert await count_tasks(world) == 1

    play(act)


def test_a_token_that_requires_a_key_needs_one_for_the_message_only(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        fields = {"name": "n", "scopes": ["assistant", "read", "write"], "require_key": True}
        made = await world.call("POST", "/api/v1/tokens", fields).read(201)
        change_once(world)
        problem = await world.send(token=made["token"]).read(428)
        assert problem["code"] == "precondition-required"
        assert world.assistant.calls == []
        await world.send(token=made["token"], **KEY).read()
        assert await count_tasks(world) == 1

    play(act)


def test_a_message_without_a_budget_is_refused_before_anything_is_stored(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse_lock(*_args: object, **_more: object) -> None:
        raise AssertionError("the account must not be locked")

    async def act(world: TurnWorld) -> None:
        change_once(world)
        answer = await world.send(**KEY).read()
        world.assistant.refusal = RateLimitedError("None is left.", headers={"Retry-After": "7"})
        # An answer that is stored costs no budget.
        assert await world.send(**KEY).read() == answer
        with monkeypatch.context() as context:
            context.setattr(UnitOfWork, "lock", refuse_lock)
            for headers in ({}, STREAM, {"Idempotency_Key": "another key"}):
                exchange = world.send("again", **headers)
                assert (await exchange.read(429))["detail"] == "None is left."
                assert exchange.headers["retry-after"] == "7"
        assert len(world.assistant.calls) == await count_tasks(world) == 1

    play(act)


def test_the_answer_to_a_repeated_message_leaves_out_large_results(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        large = ToolUse("find_tasks", {"query": "x"}, {"text": "x" * 100_000})

        async def script(call: Call) -> TurnAnswer:
            return say(call, tool_calls=(large,))

        world.assistant.script = script
        first = await world.send(**KEY).read()
        assert first["tool_calls"][0]["result"] == large.result
        again = await world.send(**KEY).read()
        (call,) = again.pop("tool_calls")
        assert (call["arguments"], call["result"]) == (large.arguments, {"omitted": True})
        assert again == {name: value for name, value in first.items() if name != "tool_calls"}

    play(act)
