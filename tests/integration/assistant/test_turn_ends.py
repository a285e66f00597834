"""Ends of a turn: answered, refused, abandoned by its client, ended by a stop."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.assistant.turn_world import (
    ASSISTANT,
    CONVERSATIONS,
    STREAM,
    Call,
    Play,
    TurnWorld,
    follow,
    say,
)
from todo.assistant import turns
from todo.assistant.conversations import event_stream, open_turn
from todo.assistant.conversations.message import UNKNOWN
from todo.assistant.conversations.turn_store import CHANGED, UNCHANGED
from todo.assistant.turn.answer import ToolUse, TurnAnswer
from todo.core.errors import DatabaseUnavailableError, RateLimitedError

LEAVES = pytest.mark.parametrize("headers", [{}, STREAM], ids=["json", "events"])
BUDGET = "50 messages per minute; 0 are left."


async def wait_forever() -> None:
    await asyncio.Event().wait()


def never(_call: Call) -> Any:  # noqa: ANN401 - an answer that there is never
    raise AssertionError("the assistant must not be asked")


def work_forever(world: TurnWorld) -> asyncio.Event:
    """Let each turn change something, and not end; return what says that it was changed."""
    did = asyncio.Event()

    async def script(call: Call) -> TurnAnswer:
        await call.events.tool(await world.add_task(call))
        did.set()
        await wait_forever()
        return say(call)

    world.assistant.script = script
    return did


def test_nothing_of_the_database_is_open_while_the_assistant_works(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        async def script(call: Call) -> TurnAnswer:
            assert world.count_open()[:3] == (1, 0, 0)
            (question, answer) = await world.read_last()
            assert (question["role"], question["content"]) == ("user", "do it")
            assert (answer["role"], answer["status"]) == ("assistant", "running")
            assert (answer["content"], answer["run_id"]) == ("", call.caller.run_id)
            return say(call)

        world.assistant.script = script
        answer = await world.send().read()
        assert answer["response"] == "Done."
        assert [each["status"] for each in await world.read_last()] == ["done", "done"]

    play(act)


def test_the_assistant_gets_the_conversation_and_the_plan_that_waits(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        plan = {"id": "019b0a2e-5c00-7000-8000-00000000000c", "summary": []}
        scripts = [
            lambda call: say(call, "A plan.", plan=plan),
            lambda call: say(call, "Changed.", changed=True),
            lambda call: say(call, "x" * 20_000),
            lambda call: say(call, "Last."),
        ]

        follow(world, scripts)
        first = await world.send("one").read()
        of = {"conversation_id": first["conversation_id"]}
        assert first["plan"] == plan
        shown = await world.get(f"{CONVERSATIONS}/{of['conversation_id']}")
        assert shown["plan_id"] == shown["messages"][0]["plan_id"] == plan["id"]
        await world.send("yes", **of).read()
        assert (await world.get(f"{CONVERSATIONS}/{of['conversation_id']}"))["plan_id"] is None
        third = await world.send("three", **of).read()
        await world.send("four", **of).read()

        calls = world.assistant.calls
        assert [call.open_plan for call in calls] == [None, plan["id"], None, None]
        assert calls[0].history == ()
        turns_ = [(each.role, each.content, each.run_id) for each in calls[2].history]
        assert turns_ == [
            ("user", "one", None),
            ("assistant", "A plan.", None),
            ("user", "yes", None),
            ("assistant", "Changed.", calls[1].caller.run_id),
        ]
        # An answer is stored as long as a message may be, and the history is bounded.
        assert len(third["response"]) == 10_000
        assert [len(each.content) for each in calls[3].history] == [8000]

    play(act)


def test_the_assistant_learns_which_earlier_answers_failed(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        scripts = [
            lambda call: say(call, "No model answered.", degraded="timeout"),
            lambda call: say(
                call, "Added it; no model answered.", degraded="timeout", changed=True
            ),
            lambda call: say(call, "Last."),
        ]

        follow(world, scripts)
        first = await world.send("one").read()
        of = {"conversation_id": first["conversation_id"]}
        for message in ("two", "three"):
            await world.send(message, **of).read()

        answers = [each for each in world.assistant.calls[2].history if each.role == "assistant"]
        assert [each.has_failed for each in answers] == [True, False]

    play(act)


@LEAVES
def test_a_client_that_leaves_ends_the_turn_and_the_conversation_shows_what_was_done(
    play: Play, headers: dict[str, str]
) -> None:
    async def act(world: TurnWorld) -> None:
        did = work_forever(world)
        exchange = world.send(**headers)
        await did.wait()
        await exchange.leave()

        assert world.assistant.cancelled == 1
        assert exchange.status == (200 if headers else 499)
        await world.wait_for_rest()
        (_, answer) = await world.read_last()
        assert (answer["status"], answer["content"]) == ("interrupted", CHANGED)
        assert answer["degraded_reason"] == "interrupted"
        run_id = world.assistant.calls[0].caller.run_id
        assert answer["undo"] == {"run_id": run_id}
        undone = await world.call("POST", "/api/v1/undo", {"run_id": run_id}).read()
        assert len(undone["items"]) == 1

    play(act)


@LEAVES
def test_a_turn_that_is_ended_before_it_changed_anything_says_so(
    play: Play, headers: dict[str, str]
) -> None:
    async def act(world: TurnWorld) -> None:
        async def script(call: Call) -> TurnAnswer:
            await wait_forever()
            return say(call)

        world.assistant.script = script
        exchange = world.send(**headers)
        await world.assistant.began.get()
        await exchange.leave()

        (question, answer) = await world.read_last()
        assert question["content"] == "do it"
        assert (answer["status"], answer["content"], answer["undo"]) == (
            "interrupted",
            UNCHANGED,
            None,
        )

    play(act)


def test_a_turn_that_is_ended_during_a_write_shows_what_became_of_the_write(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        async def script(call: Call) -> TurnAnswer:
            await world.add_task(call)
            await wait_forever()
            return say(call)

        world.assistant.script = script
        for turns_of_loop in range(0, 40, 3):
            exchange = world.send()
            await world.assistant.began.get()
            for _ in range(turns_of_loop):
                await asyncio.sleep(0)
            await exchange.leave()
            (_, answer) = await world.read_last()
            run_id = world.assistant.calls[-1].caller.run_id
            entries = (await world.get(f"/api/v1/journal?run_id={run_id}"))["items"]
            assert bool(entries) == bool(answer["undo"])
            assert answer["content"] == (CHANGED if entries else UNCHANGED)

    play(act)


@LEAVES
def test_a_stop_ends_a_turn_with_what_was_done(
    play: Play, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "GRACE_S", 0)

    async def act(world: TurnWorld) -> None:
        did = work_forever(world)
        exchange = world.send(**headers)
        await did.wait()
        world.state.turns.stop()

        if headers:
            events = await exchange.read_events()
            assert [name for name, _ in events] == ["start", "tool", "done"]
            answer = events[-1][1]
        else:
            answer = await exchange.read()
        assert (answer["response"], answer["degraded_reason"]) == (CHANGED, "interrupted")
        assert [each["tool_name"] for each in answer["tool_calls"]] == ["add_tasks"]
        assert answer["undo"] == {"run_id": answer["run_id"]}

    play(act)


@LEAVES
def test_an_assistant_that_takes_too_long_is_interrupted(
    play: Play, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_turn, "_OVERTIME_S", 0)

    async def act(world: TurnWorld) -> None:
        async def script(call: Call) -> TurnAnswer:
            await wait_forever()
            return say(call)

        world.assistant.script = script
        exchange = world.send(**headers)
        if headers:
            answer = (await exchange.read_events())[-1][1]
        else:
            answer = await exchange.read()
        assert (answer["response"], answer["degraded"]) == (UNCHANGED, True)
        assert answer["degraded_reason"] == "deadline"

    # A turn has at least one second.
    play(act, ai_run_timeout_s=0.5, request_deadline_s=60)


def test_a_request_that_is_given_up_stores_what_was_done(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_turn, "_OVERTIME_S", 3600)

    async def act(world: TurnWorld) -> None:
        work_forever(world)
        problem = await world.send().read(503)
        assert problem["code"] == "deadline-exceeded"
        await world.state.turns.close()
        (_, answer) = await world.read_last()
        assert (answer["status"], answer["content"]) == ("interrupted", CHANGED)

    play(act, request_deadline_s=3)


@LEAVES
def test_a_turn_that_is_refused_leaves_nothing(play: Play, headers: dict[str, str]) -> None:
    async def act(world: TurnWorld) -> None:
        async def refuse(_call: Call) -> TurnAnswer:
            raise RateLimitedError(BUDGET, headers={"Retry-After": "7"})

        async def accept(call: Call) -> TurnAnswer:
            return say(call)

        world.assistant.script = refuse
        exchange = world.send(**headers, Idempotency_Key="k")
        problem = await exchange.read(429)
        assert (problem["code"], problem["detail"]) == ("rate-limited", BUDGET)
        assert exchange.headers["retry-after"] == "7"
        assert (await world.get(CONVERSATIONS))["items"] == []

        world.assistant.script = accept
        # It may be corrected and sent with the same key.
        made = (await world.send("do else", Idempotency_Key="k").read())["conversation_id"]
        world.assistant.script = refuse
        await world.send(conversation_id=made, **headers).read(429)
        assert len(await world.read_last()) == 2

    play(act)


@LEAVES
def test_an_error_after_a_change_keeps_the_change_in_the_conversation(
    play: Play, headers: dict[str, str]
) -> None:
    async def act(world: TurnWorld) -> None:
        async def script(call: Call) -> TurnAnswer:
            await call.events.tool(await world.add_task(call))
            raise DatabaseUnavailableError

        world.assistant.script = script
        exchange = world.send(**headers)
        if headers:
            events = await exchange.read_events()
            assert [name for name, _ in events] == ["start", "tool", "error"]
            problem = events[-1][1]
            assert problem["instance"] == ASSISTANT
        else:
            problem = await exchange.read(503)
        assert problem["code"] == "database-unavailable"
        (_, answer) = await world.read_last()
        assert answer["content"] == CHANGED

    play(act)


@LEAVES
def test_a_defect_is_an_error_of_ours_and_leaves_no_running_answer(
    play: Play, headers: dict[str, str]
) -> None:
    async def act(world: TurnWorld) -> None:
        async def script(call: Call) -> TurnAnswer:
            await call.events.text("I ")
            raise ZeroDivisionError

        world.assistant.script = script
        exchange = world.send(**headers)
        if headers:
            problem = (await exchange.read_events())[-1][1]
        else:
            problem = await exchange.read(500)
        assert problem["code"] == "internal-error"
        (_, answer) = await world.read_last()
        assert answer["status"] == "interrupted"

    play(act)


def test_a_silent_stream_sends_comments(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    monkeypatch.setattr(event_stream, "_OPEN_AFTER_S", 0)

    async def act(world: TurnWorld) -> None:
        proceed = asyncio.Event()

        async def script(call: Call) -> TurnAnswer:
            await proceed.wait()
            await call.events.text("Done.")
            return say(call)

        world.assistant.script = script
        exchange = world.send(**STREAM)
        await exchange.wait_for(b":\n\n:\n\n")
        proceed.set()
        names = [name for name, _ in await exchange.read_events()]
        assert names == ["start", "text", "done"]

    play(act)


def test_texts_and_results_that_no_database_takes_are_stored_all_the_same(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        odd = ToolUse("find_tasks", {"text": "\ud800\0"}, {"text": "x" * 100_000})

        async def script(call: Call) -> TurnAnswer:
            await call.events.tool(odd)
            return say(call, "a\0b\ud800c", tool_calls=(odd,))

        world.assistant.script = script
        answer = await world.send().read()
        assert answer["response"] == "a\N{REPLACEMENT CHARACTER}b?c"
        assert answer["tool_calls"][0]["result"] == odd.result
        (_, stored) = await world.read_last()
        assert stored["content"] == answer["response"]
        (call,) = stored["tool_calls"]
        assert call["result"] == {"omitted": True}
        assert call["arguments"] == {"text": "?\0"}
        events = await world.send(**STREAM).read_events()
        assert [name for name, _ in events] == ["start", "tool", "done"]

    play(act)


def test_an_answer_whose_process_ended_is_shown_as_interrupted(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        await world.send().read()
        await world.run_sql(
            "UPDATE message SET status = 'running', content = '', created_at = '{}'"
            " WHERE role = 'assistant'",
            datetime.now(UTC) - timedelta(days=1),
        )
        (_, answer) = await world.read_last()
        assert (answer["status"], answer["content"]) == ("interrupted", UNKNOWN)
        assert answer["undo"] == {"run_id": answer["run_id"]}

    play(act)
