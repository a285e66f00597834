import asyncio
import json

import pytest

from tests.unit.todo.mcp.sample_server import TOOLS, make_call
from todo.core.errors import (
    DatabaseUnavailableError,
    ForbiddenError,
    NotFoundError,
    ValidationFailedError,
)
from todo.mcp.tool import FailureTexts, ToolError, render_failure


def test_a_failure_has_cause_and_next_step() -> None:
    texts = FailureTexts({"not-found": "It is gone."}, {"not-found": "look for it."})
    result = render_failure(NotFoundError(), texts)
    assert result.is_error
    assert result.text.splitlines() == ["Error: It is gone.", "Try next: look for it."]
    assert result.structured["error"]["code"] == "not-found"


def test_a_failure_of_the_service_can_be_repeated() -> None:
    assert "same idempotency_key" in render_failure(DatabaseUnavailableError()).text


def test_the_faulty_arguments_are_named() -> None:
    error = ToolError(
        "Invalid.",
        "correct them.",
        errors=[
            {"field": "tasks.1.due", "code": "x", "message": "is odd", "choices": ["a", '"\n']}
        ],
    )
    result = render_failure(error)
    assert '- tasks.1.due: is odd. Choices: "a" or "\\"\\n"' in result.text.splitlines()
    assert result.structured["error"]["errors"][0]["choices"] == ["a", '"\n']


def test_the_errors_are_bounded() -> None:
    found = [{"field": f"f{n}", "code": "x", "message": "m"} for n in range(100)]
    result = render_failure(ValidationFailedError(errors=found))
    assert len(result.structured["error"]["errors"]) == 10
    assert result.structured["error"]["errors_omitted"] == 90
    assert "- 90 more are not shown." in result.text.splitlines()
    json.dumps(result.structured)


def test_a_tool_runs_only_with_its_scope_and_writes_in_a_run() -> None:
    read, write = (next(tool for tool in TOOLS if tool.name == name) for name in ("look", "echo"))
    with pytest.raises(ForbiddenError):
        asyncio.run(write.run(make_call(scopes=frozenset({"read"})), {}))
    both = make_call(scopes=frozenset({"read", "write"}))
    assert asyncio.run(read.run(both, {})).structured["run_id"] is None
    assert asyncio.run(write.run(both, {})).structured["run_id"]
