"""Output of `build.py mcp-token`: the token, and lines that clients accept unchanged."""

import json
import shlex
from typing import Any

import pytest

from deploy.cli import mcp_token
from deploy.cli.main import Build
from deploy.paths import REPO
from deploy.stack import admin, status

URL = "http://127.0.0.1:8123"
TOKEN = "todo_1.2"  # noqa: S105 - of nobody


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def issue(user: str, **options: object) -> str:
        asked.append({"user": user, **options})
        return TOKEN

    ready = status.Readiness(URL, ready=True, reason="")
    monkeypatch.setattr(mcp_token.McpToken, "elsewhere", lambda *_: None)
    monkeypatch.setattr(admin, "token", issue)
    monkeypatch.setattr(status, "check", lambda: ready)
    return asked


def run(*words: str) -> int:
    return Build.start(["build.py", "mcp-token", *words])


def test_the_token_is_limited_unless_more_is_asked_for(asked: list[dict[str, Any]]) -> None:
    assert run("alice") == 0
    assert run("bob", "--days=7", "--scope=read", "--writes-per-hour=9", "--name=night") == 0

    assert asked == [
        {
            "user": "alice",
            "days": "90",
            "scopes": ("read", "write"),
            "name": "mcp",
            "writes_per_hour": "500",
        },
        {"user": "bob", "days": "7", "scopes": ["read"], "name": "night", "writes_per_hour": "9"},
    ]


@pytest.mark.usefixtures("asked")
def test_the_lines_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    run("alice")

    token, *lines = capsys.readouterr().out.splitlines()
    command, remote, bridge = (line.strip() for line in lines if line.startswith("  "))
    assert token == TOKEN
    words = shlex.split(command)
    assert words[:3] == ["claude", "mcp", "add"]
    assert words[-3:] == [f"{URL}/mcp", "--header", f"Authorization: Bearer {TOKEN}"]
    assert json.loads(remote)["todo"]["url"] == f"{URL}/mcp"
    started = json.loads(bridge)["todo"]
    assert (REPO / "src/todo/mcp/__main__.py").samefile(started["args"][0])
    assert started["env"] == {"TODO_URL": URL, "TODO_TOKEN": TOKEN}
