import asyncio
from typing import Any

import orjson
import pytest

from tests.unit.todo.tasks.examples import TASK
from todo.compat import websocket
from todo.compat.mapping import show
from todo.journal.repository import Change


class Silent:
    """A page that says nothing."""

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError


def change(operation: str, *, kind: str = "task", after: object = TASK) -> Change:
    said = {"seq": 7, "at": "a", "operation": operation, "kind": kind, "id": "i", "after": after}
    return Change(7, operation, orjson.dumps(said))


def test_who_shows_no_token_in_time_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "TOKEN_WAIT_S", 0.01)

    with pytest.raises(websocket.WebSocketClosedError) as end:
        asyncio.run(websocket._receive_token(Silent()))  # type: ignore[arg-type]  # noqa: SLF001

    assert end.value.code == websocket.NO_TOKEN


@pytest.mark.parametrize(
    ("told", "types"),
    [
        (change("create"), ["task_created"]),
        (change("update"), ["task_updated"]),
        (change("complete"), ["task_updated"]),
        (change("reopen"), ["task_updated"]),
        (change("remind"), ["task_reminder"]),
        (change("delete", after=None), ["task_deleted"]),
        (change("restore"), ["task_deleted", "task_created"]),
        (change("restore", after=None), ["task_deleted"]),
        (change("share", kind="share"), []),
        (change("create", kind="list"), []),
    ],
)
def test_a_change_is_told_as_these_front_ends_know_it(told: Change, types: list[str]) -> None:
    messages = list(websocket._translate(told))  # noqa: SLF001 - the whole of it

    assert [message["type"] for message in messages] == types
    for message in messages:
        assert (message["task_id"], message["seq"]) == ("i", 7)
        if message["type"] != "task_deleted":
            assert message["task"] == show(TASK)
