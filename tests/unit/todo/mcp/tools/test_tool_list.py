import re
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.paths import REPO
from todo.core.caller import SCOPES
from todo.mcp.tool import Tool
from todo.mcp.tools import INSTRUCTIONS, TOOLS


def test_the_instructions_are_short() -> None:
    assert len(INSTRUCTIONS) < 800


def test_there_are_at_most_ten_tools_and_the_two_of_connectors() -> None:
    names = [tool.name for tool in TOOLS]
    assert len(set(names)) == len(names)
    assert len(set(names) - {"search", "fetch"}) <= 10


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_arguments_are_plain_and_described(tool: Tool) -> None:
    allowed = {
        *("type", "properties", "required", "additionalProperties"),
        *("items", "enum", "description", "minimum", "maximum", "minItems", "maxItems"),
    }
    for path, schema in walk(tool.input_schema, tool.name):
        assert set(schema) <= allowed, path
        assert isinstance(schema["type"], str), path
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False, path
            assert set(schema.get("required", ())) <= set(schema["properties"]), path
        elif not path.endswith("[]"):
            assert schema["description"], path


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_results_are_objects_with_typed_properties(tool: Tool) -> None:
    assert tool.output_schema is not None
    assert set(tool.output_schema["required"]) <= set(tool.output_schema["properties"])
    for path, schema in walk(tool.output_schema, tool.name):
        assert isinstance(schema["type"], str), path


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_annotations_agree_with_the_scope(tool: Tool) -> None:
    assert tool.scope in SCOPES
    assert tool.title
    assert tool.read_only is (tool.scope == "read")
    assert not (tool.read_only and tool.destructive)
    assert tool.idempotent or not tool.read_only
    # All of them deal with the user's own tasks only.
    assert tool.open_world is False


def test_the_guide_has_a_row_for_each_tool() -> None:
    guide = (REPO / "docs/mcp.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| `(\w+)` \| (yes|no) \|$", guide, re.MULTILINE)
    assert rows == [(tool.name, tool.scope, "no" if tool.read_only else "yes") for tool in TOOLS]


@pytest.mark.parametrize(
    "tool", [tool for tool in TOOLS if not tool.read_only], ids=lambda t: t.name
)
def test_every_write_has_a_run_and_can_be_repeated(tool: Tool) -> None:
    assert {"run_id", "idempotency_key"} <= set(tool.input_schema["properties"])
    assert tool.output_schema is not None
    assert "run_id" in tool.output_schema["required"]
