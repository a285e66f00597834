"""Token count of the MCP tools in o200k_base."""

import json
from pathlib import Path
from typing import Any

from deploy.dev import suite_programs
from tests.integration.mcp.agents import employ
from tests.integration.mcp.npm_programs import run_program
from tests.integration.service import Service
from tests.integration.users import invite
from todo.mcp.tools import INSTRUCTIONS

COUNT = Path(__file__).with_name("count_tokens.mjs")


def test_a_model_reads_less_than_three_thousand_tokens(
    sqlite_service: Service, tmp_path: Path
) -> None:
    with invite(sqlite_service) as make_person, employ(sqlite_service) as make_agent:
        tools = list(make_agent(make_person("alice")).list_tools().values())
    without_results = [
        {
            "name": tool["name"],
            "description": tool["description"],
            "input_schema": tool["inputSchema"],
        }
        for tool in tools
    ]

    shown, whole, instructions = count(
        [to_json(without_results), to_json(tools), INSTRUCTIONS], tmp_path
    )

    assert shown < 3_000
    assert whole < 7_500
    assert instructions < 150


def to_json(value: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def count(texts: list[str], folder: Path) -> list[int]:
    """Return the number of tokens of each text, which has one line."""
    file = folder / "texts"
    file.write_text("".join(f"{text}\n" for text in texts))
    tools = suite_programs.find_mcp_tools()
    result = run_program(str(COUNT), str(tools), str(file), home=folder)
    assert result.returncode == 0, result.stderr
    return [int(line) for line in result.stdout.split()]
