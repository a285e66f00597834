"""Messages that refer to an answer before: "undo" and "yes" mean what is shown."""

from datetime import UTC, datetime, timedelta

from tests.integration.assistant.turn_world import Play, TurnWorld
from todo.assistant.turn.runner import Assistant


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
