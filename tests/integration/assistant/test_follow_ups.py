"""Messages that refer to an answer before: "undo" and "yes" mean what is shown."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.assistant.turn_world import Call, Play, TurnWorld, say
from todo.assistant.conversations import turn_store
from todo.assistant.conversations.repository import ConversationRepository
from todo.assistant.turn.answer import TurnAnswer
from todo.assistant.turn.runner import Assistant
from todo.assistant.turns import ProcessTurns
from todo.core.errors import DatabaseUnavailableError, RateLimitedError


def use_rules(world: TurnWorld) -> None:
    """Answer by rules."""
    world.state.assistant = Assistant(world.state, None)


async def read_titles(world: TurnWorld) -> list[str]:
    return sorted(task["title"] for task in (await world.get("/api/v1/tasks"))["items"])


def test_undo_takes_back_the_changes_of_an_answer_whose_process_ended(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        first = await world.send("add buy milk").read()
        of = {"conversation_id": first["conversation_id"]}
        await world.send("add buy bread", **of).read()
        await world.run_sql(
            "UPDATE message SET status = 'running', content = '', changed = false,"
            " created_at = '{}' WHERE id IN (SELECT id FROM message ORDER BY id DESC LIMIT 1)",
            datetime.now(UTC) - timedelta(days=1),
        )
        await world.send("undo", **of).read()
        assert await read_titles(world) == ["buy milk"]

    play(act)


def test_an_answer_to_a_question_chooses_the_task_and_yes_deletes_it(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        first = await world.send("add buy milk").read()
        of = {"conversation_id": first["conversation_id"]}
        await world.send("add buy oat milk for Ada", **of).read()
        asked = await world.send("delete milk", **of).read()
        number = next(
            line[0] for line in asked["response"].splitlines() if line.endswith('"buy milk"')
        )
        planned = await world.send(f"number {number}", **of).read()
        assert [each["title"] for each in planned["plan"]["changes"]] == ["buy milk"]
        await world.send("yes", **of).read()
        assert await read_titles(world) == ["buy oat milk for Ada"]
        late = await world.send(number, **of).read()
        assert late["degraded_reason"] == "not-configured"

    play(act)


def test_undo_finds_its_run_behind_a_long_history_in_its_own_conversation(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        first = await world.send("add buy milk").read()
        of = {"conversation_id": first["conversation_id"]}
        for _ in range(10):
            await world.send("show my tasks", **of).read()
        await world.send("add buy bread").read()
        await world.send("undo", **of).read()
        assert await read_titles(world) == ["buy bread"]

    play(act)


def test_undo_passes_over_what_was_undone_elsewhere(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        first = await world.send("add buy milk").read()
        of = {"conversation_id": first["conversation_id"]}
        second = await world.send("add buy bread", **of).read()
        await world.call("POST", "/api/v1/undo", second["undo"]).read()
        await world.send("undo", **of).read()
        assert await read_titles(world) == []

    play(act)


def test_undo_after_the_undo_of_a_named_run_takes_back_the_other_one(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        first = await world.send("add buy milk").read()
        of = {"conversation_id": first["conversation_id"]}
        await world.send("add buy bread", **of).read()
        await world.send(f"undo run {first['run_id']}", **of).read()
        assert await read_titles(world) == ["buy bread"]
        await world.send("undo", **of).read()
        assert await read_titles(world) == []
        answer = await world.send("undo", **of).read()
        assert answer["response"] == "There is nothing to undo."

    play(act)


def test_undo_takes_back_a_plan_of_the_conversation_that_was_applied_elsewhere(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        first = await world.send("add buy milk").read()
        of = {"conversation_id": first["conversation_id"]}
        await world.send("add buy soap", **of).read()
        planned = await world.send("delete buy milk", **of).read()
        await world.call("POST", f"/api/v1/plans/{planned['plan']['id']}/apply").read()
        assert await read_titles(world) == ["buy soap"]
        await world.send("undo", **of).read()
        assert await read_titles(world) == ["buy milk", "buy soap"]

    play(act)


def test_yes_does_not_apply_an_earlier_plan_after_an_answer_that_was_not_stored(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_more: object) -> None:
        raise DatabaseUnavailableError

    async def act(world: TurnWorld) -> None:
        use_rules(world)
        for title in ("alpha", "beta"):
            await world.send(f"add {title}").read()
        first = await world.send("delete alpha").read()
        of = {"conversation_id": first["conversation_id"]}
        with monkeypatch.context() as context:
            context.setattr(ConversationRepository, "answer", fail)
            context.setattr(turn_store, "_PAUSES_S", ())
            second = await world.send("delete beta", **of).read()
        assert second["plan"]["id"] != first["plan"]["id"]
        await world.send("yes", **of).read()
        assert await read_titles(world) == ["alpha", "beta"]

    play(act)


def test_yes_applies_the_plan_again_after_a_refused_message(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        await world.send("add alpha").read()
        first = await world.send("delete alpha").read()
        of = {"conversation_id": first["conversation_id"]}

        async def refuse(_call: Call) -> TurnAnswer:
            raise RateLimitedError("The budget is used up.", headers={"Retry-After": "7"})

        world.state.assistant = world.assistant
        world.assistant.script = refuse
        await world.send("yes", **of).read(429)
        use_rules(world)
        await world.send("yes", **of).read()
        assert await read_titles(world) == []

    play(act)


@pytest.mark.parametrize("has_shown", [True, False])
def test_an_interrupted_answer_ends_the_plan_before_it_once_something_was_shown(
    play: Play, *, has_shown: bool
) -> None:
    async def act(world: TurnWorld) -> None:
        use_rules(world)
        await world.send("add alpha").read()
        first = await world.send("delete alpha").read()
        of = {"conversation_id": first["conversation_id"]}
        shown = asyncio.Event()

        async def show(call: Call) -> TurnAnswer:
            if has_shown:
                await call.events.text("Another plan.")
            shown.set()
            await asyncio.Event().wait()
            return say(call)

        world.state.assistant = world.assistant
        world.assistant.script = show
        exchange = world.send("and beta", **of)
        await shown.wait()
        await exchange.leave()
        use_rules(world)
        await world.send("yes", **of).read()
        assert await read_titles(world) == (["alpha"] if has_shown else [])

    play(act)


def test_a_refused_message_of_a_run_with_earlier_changes_can_be_sent_again(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        async def change(call: Call) -> TurnAnswer:
            await call.events.tool(await world.add_task(call, call.message))
            return say(call, changed=True)

        async def refuse(_call: Call) -> TurnAnswer:
            raise RateLimitedError("The budget is used up.", headers={"Retry-After": "7"})

        run = {"X_Run_Id": "my-run"}
        world.assistant.script = change
        await world.send("first", **run).read()
        world.assistant.script = refuse
        await world.send("second", **run, Idempotency_Key="k").read(429)
        world.assistant.script = change
        answer = await world.send("second", **run, Idempotency_Key="k").read()
        assert answer["response"] == "Done."
        assert await read_titles(world) == ["first", "second"]

    play(act)


def test_an_answer_that_could_not_be_stored_is_stored_later(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ConversationRepository.answer
    failures = [DatabaseUnavailableError(), DatabaseUnavailableError()]

    async def answer(*args: Any) -> None:  # noqa: ANN401 - those of the method
        if failures:
            raise failures.pop()
        await store(*args)

    async def act(world: TurnWorld) -> None:
        use_rules(world)
        await world.send("add alpha").read()
        monkeypatch.setattr(turn_store, "_PAUSES_S", (0, 0))
        monkeypatch.setattr(ConversationRepository, "answer", answer)
        first = await world.send("delete alpha", Idempotency_Key="k").read()
        await world.state.turns.close()
        assert failures == []
        assert [each["status"] for each in await world.read_last()] == ["done", "done"]
        assert await world.send("delete alpha", Idempotency_Key="k").read() == first
        await world.send("yes", conversation_id=first["conversation_id"]).read()
        assert await read_titles(world) == []

    play(act)


def test_an_answer_that_is_stored_later_does_not_bring_back_a_plan(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ConversationRepository.answer
    is_available = asyncio.Event()

    async def answer(*args: Any) -> None:  # noqa: ANN401 - those of the method
        if args[2].plan_id is not None and not is_available.is_set():
            raise DatabaseUnavailableError
        await store(*args)

    async def pause(*_args: object) -> bool:
        await is_available.wait()
        return True

    async def act(world: TurnWorld) -> None:
        use_rules(world)
        await world.send("add alpha").read()
        monkeypatch.setattr(ConversationRepository, "answer", answer)
        monkeypatch.setattr(ProcessTurns, "pause", pause)
        first = await world.send("delete alpha").read()
        of = {"conversation_id": first["conversation_id"]}
        await world.send("show my tasks", **of).read()
        is_available.set()
        await world.state.turns.close()
        await world.send("yes", **of).read()
        assert await read_titles(world) == ["alpha"]

    play(act)
