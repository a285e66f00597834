"""The backend's own commands, run from the host: real descriptors through a real Podman."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import httpx

from deploy.stack import admin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.stack_in_lab import Stack

TMPFS_BYTES = 16 * 1024**2
"""All that a container of the stack can write."""


def test_files_of_the_host_are_exported_to_and_imported_from_whatever_their_size(
    stack: Stack, tmp_path: Path
) -> None:
    user = f"dora-{uuid.uuid4()}"
    first, large, again = (tmp_path / name for name in ("first", "large", "again"))
    with stack.client(user) as client:
        client.post("/api/v1/tasks", json={"title": "first"})

    def run(*words: str) -> int:
        return admin.run(words, within=stack.lab.argv)

    assert run("export", "--owner", user, "--output", str(first)) == 0
    head, account, line = first.read_text().splitlines()
    task = json.loads(line)["task"]
    with large.open("w") as file:
        file.write(f"{head}\n{account}\n")
        while file.tell() < TMPFS_BYTES * 5 / 4:
            new = {"id": str(uuid.uuid4()), "description": "x" * 10_000}
            file.write(json.dumps({"task": {**task, **new}}) + "\n")
    assert run("import", str(large)) == 0
    assert run("export", "--owner", user, "--output", str(again)) == 0

    assert again.stat().st_size > TMPFS_BYTES
    with again.open() as exported:
        assert max(map(title_of, exported)) == "first"
    assert run("verify", "--owner", user, "--export-head", str(tmp_path / "heads")) == 0
    assert run("verify", "--owner", user, "--head", str(tmp_path / "heads")) == 0
    assert run("verify", "--owner", user, "--head", str(large)) == 64
    assert run("export", "--owner", "nobody", "--output", str(tmp_path / "none")) == 64
    assert not (tmp_path / "none").exists()


def title_of(line: str) -> str:
    return str(json.loads(line).get("task", {}).get("title", ""))


def test_a_token_of_few_scopes_and_the_log_of_its_requests(stack: Stack) -> None:
    issued = stack.build("token", "erin", "--days=1", "--scope=read", "--no-lab").stdout.strip()
    headers = {"Authorization": f"Bearer {issued}"}
    url = f"http://127.0.0.1:{stack.port}/api/v1/tasks"

    assert httpx.get(url, headers=headers).status_code == httpx.codes.OK
    refused = httpx.post(url, headers=headers, json={"title": "t"})
    assert refused.status_code == httpx.codes.FORBIDDEN
    shown = stack.build("logs", "backend", "--lines=100", "--no-lab").stdout
    assert "method=POST route=/api/v1/tasks status=403" in shown
    as_json = stack.build("logs", "backend", "--lines=100", "--json", "--no-lab").stdout
    ids = [json.loads(line).get("request_id") for line in as_json.splitlines()]
    assert refused.headers["x-request-id"] in ids


def test_an_agent_gets_a_token_that_its_client_can_use(stack: Stack) -> None:
    token, *lines = stack.build("mcp-token", "erin", "--days=1", "--no-lab").stdout.splitlines()
    url = f"http://127.0.0.1:{stack.port}/mcp"
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    found = httpx.post(url, headers={"Authorization": f"Bearer {token}"}, json=request)
    assert "overview" in {tool["name"] for tool in found.json()["result"]["tools"]}
    assert any("claude mcp add --transport http todo http://127.0.0.1:" in line for line in lines)
