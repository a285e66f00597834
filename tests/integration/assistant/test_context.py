"""The tasks that a message can name."""

from datetime import UTC, datetime

import pytest

from tests.integration.assistant.desk import Desk
from todo.assistant.rules.decision import Omitted
from todo.assistant.turn import context
from todo.assistant.turn.context import TurnContext, read_context
from todo.core.caller import Caller
from todo.db.session import Session
from todo.db.statement import BoundStatement, Row


def fetch(desk: Desk, caller: Caller) -> TurnContext:
    now = datetime.now(UTC)
    return desk.runner.run(read_context(desk.state.database, caller, now, None))


def titles(desk: Desk, caller: Caller) -> list[str]:
    return [task.title for task in fetch(desk, caller).rules.tasks]


def test_open_tasks_of_shared_lists_follow_the_own_ones(
    desk: Desk, ann: Caller, ben: Caller
) -> None:
    lists = [desk.make_list(ben, name, share_with=ann.user) for name in ("Home", "Trip", "Empty")]
    desk.add(ann, "mine")
    for title, list_id in (("wash", lists[0]), ("pack", lists[1]), ("iron", lists[0])):
        desk.add(ben, title, list=list_id)
    (done,) = desk.add(ben, "done", list=lists[0])
    desk.call(ben, "complete_tasks", tasks=[{"id": done}])
    desk.add(ben, "private")

    assert titles(desk, ann) == ["mine", "iron", "pack", "wash"]
    named = {task.title: task for task in fetch(desk, ann).rules.tasks}
    assert [named[title].list_name for title in ("iron", "pack")] == ["Home", "Trip"]
    assert [named[title].is_shared for title in ("mine", "pack")] == [False, True]


def test_of_each_shared_list_only_the_newest_tasks_are_read(
    desk: Desk, ann: Caller, ben: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_MAX_OF_SHARED_LIST", 2)
    for name in ("Home", "Trip"):
        list_id = desk.make_list(ben, name, share_with=ann.user)
        desk.add(ben, *(f"{name} {number}" for number in range(3)), list=list_id)

    assert titles(desk, ann) == ["Trip 2", "Trip 1", "Home 2", "Home 1"]


def test_what_was_not_read_is_said(
    desk: Desk, ann: Caller, ben: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_MAX_OPEN", 3)
    monkeypatch.setattr(context, "_MAX_OF_SHARED_LIST", 2)
    lists = {name: desk.make_list(ben, name, share_with=ann.user) for name in ("Chores", "Camp")}
    desk.add(ben, "sweep", "mop", "dust", list=lists["Chores"])
    desk.add(ben, "tent", "stove", list=lists["Camp"])
    desk.add(ann, "Ring aunt Rosa", "b", "c")
    assert fetch(desk, ann).rules.omitted == Omitted(0, ("Chores",), 2)

    desk.add(ann, "d")
    answer = desk.ask(desk.hire(), ann, "complete ring aunt rosa")
    assert answer.response.endswith(
        'Only your 3 newest open tasks and the 2 newest open tasks of "Chores" were searched.'
    )
    answer = desk.ask(desk.hire(), ann, "delete everything on the chores list")
    assert answer.plan is not None
    assert 'Only the 2 newest open tasks of "Chores" were searched.' in answer.response
    answer = desk.ask(desk.hire(), ann, "delete everything on the camp list")
    assert answer.plan is not None
    assert "searched" not in answer.response


def test_the_tasks_of_many_lists_are_one_statement(
    desk: Desk, ann: Caller, ben: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sent = Session.run, 0

    async def count(self: Session, *calls: BoundStatement) -> list[list[Row]]:
        nonlocal sent
        sent += len(calls)
        return await run(self, *calls)

    monkeypatch.setattr(Session, "run", count)
    counts = []
    for number in range(20):
        list_id = desk.make_list(ben, f"list {number}", share_with=ann.user)
        desk.add(ben, f"task {number}", list=list_id)
        sent = 0
        fetch(desk, ann)
        counts.append(sent)

    assert set(counts) == {counts[0]}
    assert len(titles(desk, ann)) == 20
