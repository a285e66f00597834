"""Reads of the tools before their write takes locks that others wait for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from todo.core.caller import Caller
from todo.mcp.tool import Json, Tool, ToolCall, ToolResult
from todo.mcp.tools import add, items, reschedule, task_changes

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ID = "019ab000-0000-7000-8000-000000000001"


class EmptyDatabase:
    """A database without rows that can only be read."""

    @contextlib.asynccontextmanager
    async def reading(self, *_accounts: str) -> AsyncIterator["EmptyDatabase"]:
        yield self

    async def find(self, *_statement: object) -> None:
        return None

    async def fetch(self, *_statement: object) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("tool", "item", "parser", "writer"),
    [
        (add.TOOL, {"text": "call tomorrow"}, (add, "parse_fields"), add),
        (add.TOOL, {"title": "call", "due": "friday"}, (items, "parse_due"), add),
        (
            reschedule.TOOL,
            {"id": ID, "due": "friday"},
            (reschedule, "parse_new_due"),
            task_changes,
        ),
        (
            reschedule.TOOL,
            {"id": ID, "recurrence": "every day"},
            (items, "parse_recurrence"),
            task_changes,
        ),
    ],
)
def test_texts_are_read_before_the_write(
    monkeypatch: pytest.MonkeyPatch,
    tool: Tool,
    item: Json,
    parser: tuple[ModuleType, str],
    writer: ModuleType,
) -> None:
    steps: list[str] = []
    module, name = parser
    parse = getattr(module, name)

    def record(*arguments: Any) -> Any:  # noqa: ANN401 - those of the parser
        steps.append("parse")
        return parse(*arguments)

    async def write(*_arguments: object) -> ToolResult:
        steps.append("write")
        return ToolResult({}, "")

    monkeypatch.setattr(module, name, record)
    monkeypatch.setattr(writer, "run_tool_write", write)
    state: Any = SimpleNamespace(database=EmptyDatabase())
    call = ToolCall(state, Caller("alice", scopes=frozenset({"write"})), NOW)

    asyncio.run(tool.run(call, {"tasks": [item]}))

    assert steps == ["parse", "write"]
