import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from todo.assistant import turns
from todo.assistant.turns import ProcessTurns


class Made:
    """An assistant without a model."""

    async def prepare(self) -> None:
        pass


def test_a_client_that_leaves_while_the_assistant_is_made_leads_to_no_second_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Made] = []
    began, proceed = threading.Event(), threading.Event()

    def make(state: SimpleNamespace) -> object:
        if state.assistant is None:
            made.append(Made())
            began.set()
            proceed.wait()
            state.assistant = made[-1]
        return state.assistant

    async def act() -> None:
        state: Any = SimpleNamespace(assistant=None)
        process = ProcessTurns()
        first = asyncio.create_task(process.get_assistant(state))
        await asyncio.to_thread(began.wait)
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.create_task(process.get_assistant(state))
        await asyncio.sleep(0)
        began.clear()
        asyncio.get_running_loop().call_later(0.2, proceed.set)
        assert await second is state.assistant
        await process.close()

    monkeypatch.setattr(turns, "get_assistant", make)
    asyncio.run(act())
    assert len(made) == 1
