"""A server with four small tools, for tests of the protocol layer."""

from datetime import UTC, datetime
from typing import Any

from todo.core.caller import Caller
from todo.core.errors import DatabaseUnavailableError
from todo.core.validation_errors import field_error
from todo.mcp.methods import CAPABILITIES, METHODS
from todo.mcp.protocol import Server
from todo.mcp.tool import Json, Tool, ToolCall, ToolError, ToolResult

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "Claude Code", "version": "2.1"},
}
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


async def echo(call: ToolCall, arguments: Json) -> ToolResult:
    caller = call.caller
    said = {"agent": caller.agent, "run_id": caller.run_id, "key": call.idempotency_key}
    return ToolResult({"arguments": arguments, **said}, "echoed", meta={"example.org/a": 1})


async def fail(_call: ToolCall, arguments: Json) -> ToolResult:
    match arguments.get("how"):
        case "argument":
            raise ToolError("`how` is too vague.", "repeat the call with another value.")
        case "field":
            raise field_error("tasks.0.title", "is required")
        case "database":
            raise DatabaseUnavailableError
        case "large":
            return ToolResult({"text": "x" * 300_000}, "x")
        case _:
            raise RuntimeError("a secret")


def make_tool(name: str, scope: str, **options: Any) -> Tool:  # noqa: ANN401 - fields of a tool
    schema: Json = {"type": "object", "properties": {}}
    return Tool(name, name.title(), f"Does {name}.", schema, None, scope, **options)


TOOLS = (
    make_tool("look", "read", handler=echo, read_only=True),
    make_tool("echo", "write", handler=echo),
    make_tool("fail", "read", handler=fail, read_only=True),
    make_tool("grow", "write", handler=fail),
)


def make_server(*, challenges: bool = False) -> Server:
    info = {"name": "sample", "title": "Sample", "version": "1"}
    return Server(info, "Use the tools.", TOOLS, CAPABILITIES, METHODS, challenges)


def make_call(**options: Any) -> ToolCall:  # noqa: ANN401 - fields of a caller
    state: Any = None
    return ToolCall(state, Caller("alice", **options), NOW)
