"""Agents: clients that call the tools of a service over HTTP, as models do."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import httpx

from tests.integration.service import Service
from tests.integration.users import Person

PATH = "/mcp"
Era = Literal["modern", "legacy"]
_VERSIONS = {"modern": "2026-07-28", "legacy": "2025-11-25"}
_META = {
    "io.modelcontextprotocol/protocolVersion": _VERSIONS["modern"],
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "agent", "version": "1"},
}
_ids = itertools.count(1)


@dataclass(frozen=True)
class Result:
    """Result of a call."""

    text: str
    is_error: bool
    data: dict[str, Any]
    """Structured content; of a failure, the error."""

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Agent:
    """A client with one token."""

    def __init__(self, http: httpx.Client, era: Era = "modern") -> None:
        self.http = http
        self._era = era

    def call(self, tool: str, *, headers: dict[str, str] | None = None, **arguments: Any) -> Result:  # noqa: ANN401 - JSON
        """Call a tool."""
        params = {"name": tool, "arguments": arguments}
        result = self.send("tools/call", params, headers or {})["result"]
        (content,) = result["content"]
        is_error = result["isError"]
        data = result["_meta"]["todo-backend/error"] if is_error else result["structuredContent"]
        return Result(content["text"], is_error, data)

    def do(self, tool: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Call a tool that must succeed; return its structured content."""
        result = self.call(tool, **arguments)
        assert not result.is_error, result.text
        return result.data

    def fail(self, tool: str, **arguments: Any) -> Result:  # noqa: ANN401 - JSON
        """Call a tool that must fail."""
        result = self.call(tool, **arguments)
        assert result.is_error, result.text
        assert result.lines[-1].startswith("Try next: ")
        return result

    def list_tools(self) -> dict[str, dict[str, Any]]:
        """Return the tools by name."""
        tools = self.send("tools/list", {}, {})["result"]["tools"]
        return {tool["name"]: tool for tool in tools}

    def add(self, *titles: str, **fields: Any) -> list[str]:  # noqa: ANN401 - JSON
        """Add tasks and return their ids."""
        done = self.do("add_tasks", tasks=[{"title": title, **fields} for title in titles])
        return [task["id"] for task in done["tasks"]]

    def send(self, method: str, params: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Send a request and return its response."""
        headers = {"MCP-Protocol-Version": _VERSIONS[self._era], **headers}
        if self._era == "modern":
            params = {**params, "_meta": _META}
            headers["Mcp-Method"] = method
            if "name" in params:
                headers["Mcp-Name"] = params["name"]
        message = {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": params}
        response = self.http.post(PATH, json=message, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


MakeAgent = Callable[..., Agent]


@contextlib.contextmanager
def employ(service: Service) -> Iterator[MakeAgent]:
    """Make agents of users for the length of the block; options are those of an API token."""
    with contextlib.ExitStack() as stack:

        def make(person: Person, *scopes: str, era: Era = "modern", **options: Any) -> Agent:  # noqa: ANN401 - JSON
            fields = {"name": "agent", "scopes": scopes or ["read", "write", "delete"], **options}
            token = person.create("/api/v1/tokens", **fields)["token"]
            return Agent(stack.enter_context(service.client(token)), era)

        yield make


def today_of(done: dict[str, Any], days: int = 0) -> str:
    """Return the day so many days after the today that a result names."""
    return (date.fromisoformat(done["today"]) + timedelta(days=days)).isoformat()


def titles(tasks: list[dict[str, Any]]) -> list[str]:
    """Return the titles of tasks in a result."""
    return [task["title"] for task in tasks]
