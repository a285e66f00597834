"""docs/mcp.md: what it says to paste can be read."""

import json
import re
import shlex
import tomllib

from deploy.paths import REPO
from todo.api.body_limits import MCP_PATH

PAGE = (REPO / "docs/mcp.md").read_text()
ENDPOINT = f"http://127.0.0.1:8000{MCP_PATH}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_each_configuration_leads_to_the_endpoint() -> None:
    found = [json.loads(block) for block in blocks("json")]
    found += [tomllib.loads(block) for block in blocks("toml")]
    servers = [
        next(each[key] for key in ("mcpServers", "servers", "mcp_servers") if key in each)["todo"]
        for each in found
    ]

    assert len(servers) == 5
    for server in servers:
        if "command" in server:
            assert f"{server['env']['TODO_URL']}{MCP_PATH}" == ENDPOINT
            (path,) = server["args"]
            assert (REPO / path.removeprefix("/PATH/TO/todo-backend/")).is_file()
        else:
            assert (server.get("url") or server["httpUrl"]) == ENDPOINT


def test_the_command_line_of_claude_code_is_whole() -> None:
    (line,) = (
        line
        for block in blocks("sh")
        for line in block.splitlines()
        if "claude" in line and "add" in line
    )

    assert shlex.split(line)[-4:-1] == ["todo", ENDPOINT, "--header"]
