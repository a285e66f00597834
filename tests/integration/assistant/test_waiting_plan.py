"""A plan that waits for the person, and messages that are no answer to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.assistant.desk import UNDECIDED, Desk, Model, choose, note, say
from tests.integration.assistant.turn_world import Play, TurnWorld
from todo.assistant.turn.runner import Assistant
from todo.core.caller import Caller

DROPPED = "The earlier plan no longer waits"
WAITS = '- delete "one" (list "Home")\nWrite "yes" to do it, or "no" to discard it.'


@pytest.mark.parametrize(
    "message",
    [
        *("ok", "Okay.", "hmm", "hm...", "fine", "which one?", "what does it delete?", "thanks"),
        *(
            "help",
            "yes?",
            "are you sure?",
            "no wait yes",
            "my head is spinning",
            "what is due today?",
        ),
        "\U0001f44d",
    ],
)
def test_a_message_that_is_neither_an_answer_nor_an_instruction_shows_the_plan_again(
    desk: Desk, ann: Caller, message: str
) -> None:
    list_id = desk.make_list(ann, "Home")
    desk.add(ann, "one", list=list_id)
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    again = desk.ask(assistant, ann, message, [], planned.plan["id"])
    assert again.response.endswith(WAITS)
    assert again.plan == planned.plan
    assert not again.changed
    assert DROPPED not in again.response
    done = desk.ask(assistant, ann, "yes", [], again.plan["id"])
    assert (done.changed, done.plan, desk.tasks(ann)) == (True, None, {})


def test_a_yes_that_the_token_may_not_say_leaves_the_plan_waiting(desk: Desk, ann: Caller) -> None:
    list_id = desk.make_list(ann, "Home")
    desk.add(ann, "one", list=list_id)
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    reader = replace(ann, scopes=frozenset({"assistant", "read"}))
    refused = desk.ask(assistant, reader, "yes", [], planned.plan["id"])
    assert "The token lacks the scope" in refused.response
    assert refused.response.endswith(WAITS)
    assert refused.plan == planned.plan
    done = desk.ask(assistant, ann, "yes", [], planned.plan["id"])
    assert (done.changed, done.plan, desk.tasks(ann)) == (True, None, {})


@pytest.mark.parametrize(
    "message", ["add two", "complete the one", "undo run r1", "rename one to three"]
)
def test_another_instruction_drops_the_plan_and_says_so(
    desk: Desk, ann: Caller, message: str
) -> None:
    desk.add(ann, "one")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    answer = desk.ask(assistant, ann, message, [], planned.plan["id"])
    assert answer.response.splitlines()[-1].startswith(DROPPED)
    assert answer.plan is None
    # A button for it, which a front end may still show, must not apply it.
    assert desk.find_plan(ann, planned.plan["id"]) is None


def test_a_question_which_task_is_meant_drops_the_plan(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one", "call Ann", "call Ben")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    answer = desk.ask(assistant, ann, "complete the call", [], planned.plan["id"])
    assert "Which one do you mean?" in answer.response
    assert DROPPED in answer.response
    assert answer.plan is None


def test_another_plan_takes_the_place_of_the_one_before(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one", "two")
    assistant = desk.hire()
    first = desk.ask(assistant, ann, "delete one")
    assert first.plan is not None
    second = desk.ask(assistant, ann, "delete two", [], first.plan["id"])
    assert second.response.startswith(DROPPED)
    assert second.plan is not None
    desk.ask(assistant, ann, "yes", [], second.plan["id"])
    assert set(desk.tasks(ann)) == {"one"}


@pytest.mark.parametrize(
    "message", ["undo", "Undo that!", "no, undo it", "take it back", "roll back the last change"]
)
def test_undo_discards_the_plan_that_waits_and_takes_back_nothing_else(
    desk: Desk, ann: Caller, message: str
) -> None:
    desk.add(ann, "one")
    assistant = desk.hire()
    added = desk.ask(assistant, ann, "add two")
    for history in ([], [note(added)]):
        planned = desk.ask(assistant, ann, "delete one", history)
        assert planned.plan is not None
        again = desk.ask(assistant, ann, "ok", [*history, note(planned)], planned.plan["id"])
        earlier = [*history, note(planned), note(again)]
        answer = desk.ask(assistant, ann, message, earlier, planned.plan["id"])
        assert answer.response == "The plan was discarded, so nothing was changed."
        assert (answer.changed, answer.plan, set(desk.tasks(ann))) == (False, None, {"one", "two"})
        assert desk.find_plan(ann, planned.plan["id"]) is None
    desk.ask(assistant, ann, "undo", [note(added), note(answer)])
    assert set(desk.tasks(ann)) == {"one"}


def test_undo_takes_back_what_was_done_by_the_answer_that_has_a_plan(
    desk: Desk, ann: Caller
) -> None:
    desk.add(ann, "one")
    assistant = desk.hire()
    adds = ("add_tasks", '{"tasks": [{"title": "two"}]}')
    deletes = ("delete_tasks", '{"tasks": [{"id": "1"}]}')
    planned = desk.ask(
        desk.hire(Model("tools", say("", adds, deletes), say("Done."))), ann, UNDECIDED
    )
    assert planned.plan is not None
    assert planned.changed
    answer = desk.ask(assistant, ann, "undo", [note(planned)], planned.plan["id"])
    assert 'removed "two"' in answer.response
    assert DROPPED in answer.response
    assert set(desk.tasks(ann)) == {"one"}
    assert desk.find_plan(ann, planned.plan["id"]) is None


def test_a_plan_names_a_task_by_the_title_that_the_person_knows(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "precious")
    renames = ("update_tasks", '{"tasks": [{"id": "1", "title": "rubbish"}]}')
    deletes = ("delete_tasks", '{"tasks": [{"id": "1"}]}')
    model = Model("tools", say("", renames), say("", deletes), say("Done."))
    answer = desk.ask(desk.hire(model), ann, UNDECIDED)
    assert '- delete "precious" \u2192 "rubbish"' in answer.response.splitlines()


@pytest.mark.parametrize("message", ["yes", "no", "ok"])
def test_a_plan_that_was_applied_by_a_button_is_undone_in_words(play: Play, message: str) -> None:
    async def act(world: TurnWorld) -> None:
        planned = await plan_deletion(world)
        of = {"conversation_id": planned["conversation_id"]}
        await world.call("POST", f"/api/v1/plans/{planned['plan']['id']}/apply").read()
        answer = await world.send(message, **of).read()
        if message != "ok":
            said = 'The plan was applied already. To take it back, write "undo".'
            assert answer["response"] == said
        await world.send("undo", **of).read()
        (task,) = (await world.get("/api/v1/tasks"))["items"]
        assert task["title"] == "buy milk"

    play(act)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("yes", "The plan was discarded or is not there any more. Nothing was changed."),
        ("no", "Nothing was changed."),
    ],
)
def test_an_answer_to_a_plan_that_was_discarded_by_a_button_is_in_words_for_people(
    play: Play, message: str, said: str
) -> None:
    async def act(world: TurnWorld) -> None:
        planned = await plan_deletion(world)
        await world.call("DELETE", f"/api/v1/plans/{planned['plan']['id']}").read(204)
        answer = await world.send(message, conversation_id=planned["conversation_id"]).read()
        assert answer["response"].startswith(said)

    play(act)


def test_a_plan_that_cannot_be_applied_any_more_names_the_task_that_was_changed(
    desk: Desk, ann: Caller
) -> None:
    (task_id,) = desk.add(ann, "the old bike")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete the old bike")
    assert planned.plan is not None
    desk.call(ann, "update_tasks", tasks=[{"id": task_id, "title": "the new bike"}])
    refused = desk.ask(assistant, ann, "yes", [], planned.plan["id"])
    assert refused.response == (
        "Tasks have changed since the plan was made. Nothing was changed. Send the request again."
        '\n- "the old bike" was changed meanwhile'
    )
    assert set(desk.tasks(ann)) == {"the new bike"}


def test_talk_with_a_model_keeps_the_plan_and_a_change_by_it_drops_it(
    desk: Desk, ann: Caller
) -> None:
    desk.add(ann, "one")
    planned = desk.ask(desk.hire(), ann, "delete one")
    assert planned.plan is not None
    talk = Model("json_schema", choose("none", reply="It is a task."))
    answer = desk.ask(desk.hire(talk), ann, "my head is spinning", [], planned.plan["id"])
    assert answer.response.startswith("It is a task.")
    assert answer.plan == planned.plan
    adds = Model("tools", say("", ("add_tasks", '{"tasks": [{"title": "two"}]}')), say("Done."))
    answer = desk.ask(desk.hire(adds), ann, "my head is spinning", [], planned.plan["id"])
    assert DROPPED in answer.response
    assert answer.plan is None


async def plan_deletion(world: TurnWorld) -> dict[str, Any]:
    """Add a task, and return the answer with the plan that deletes it."""
    world.state.assistant = Assistant(world.state, None)
    await world.send("add buy milk").read()
    planned: dict[str, Any] = await world.send("delete buy milk").read()
    return planned


def test_a_plan_that_was_applied_elsewhere_is_not_shown_again(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        planned = await plan_deletion(world)
        of = {"conversation_id": planned["conversation_id"]}
        await world.call("POST", f"/api/v1/plans/{planned['plan']['id']}/apply").read()
        for message in ("ok", "add buy bread"):
            answer = await world.send(message, **of).read()
            assert answer["plan"] is None
            assert "wait" not in answer["response"]

    play(act)


def test_a_plan_that_has_expired_is_not_shown_again(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        planned = await plan_deletion(world)
        past = datetime.now(UTC) - timedelta(minutes=1)
        await world.run_sql("UPDATE plan SET expires_at = '{}'", past)
        answer = await world.send("ok", conversation_id=planned["conversation_id"]).read()
        assert (answer["plan"], "wait" in answer["response"]) == (None, False)

    play(act)


def test_yes_after_small_talk_in_a_conversation_applies_the_plan(play: Play) -> None:
    async def act(world: TurnWorld) -> None:
        planned = await plan_deletion(world)
        of = {"conversation_id": planned["conversation_id"]}
        for message in ("ok", "which one?"):
            again = await world.send(message, **of).read()
            assert again["plan"]["id"] == planned["plan"]["id"]
        await world.send("yes", **of).read()
        assert (await world.get("/api/v1/tasks"))["items"] == []
        await world.send("undo", **of).read()
        assert len((await world.get("/api/v1/tasks"))["items"]) == 1

    play(act)


@pytest.mark.parametrize("message", ["not that one", "actually the other one", "I meant two"])
def test_a_yes_does_not_apply_what_the_person_turned_from(
    desk: Desk, ann: Caller, message: str
) -> None:
    desk.add(ann, "one", "two")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    answer = desk.ask(assistant, ann, message, [], planned.plan["id"])
    assert answer.plan is None
    assert DROPPED in answer.response
    assert desk.find_plan(ann, planned.plan["id"]) is None


def test_another_task_instead_makes_another_plan(desk: Desk, ann: Caller) -> None:
    desk.add(ann, "one", "two")
    assistant = desk.hire()
    planned = desk.ask(assistant, ann, "delete one")
    assert planned.plan is not None
    other = desk.ask(assistant, ann, "actually delete two instead", [], planned.plan["id"])
    assert other.plan is not None
    assert desk.ask(assistant, ann, "yes", [], other.plan["id"]).changed
    assert [task["title"] for task in desk.tasks(ann).values()] == ["one"]
