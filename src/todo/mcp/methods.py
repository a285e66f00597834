"""JSON-RPC methods of both protocol eras: lists and tool calls."""

import logging

import orjson

from todo.core.errors import ForbiddenError, ProblemError
from todo.mcp.protocol import INVALID_PARAMS, Method, RpcError, Server
from todo.mcp.tool import Json, Tool, ToolCall, ToolError, ToolResult, render_failure

MAX_RESULT_BYTES = 256 * 1024
"""Maximum size of a tool result; clients keep only a fraction of it, so the tools use pages."""
CAPABILITIES: Json = {"tools": {}, "prompts": {}}
"""Announced capabilities: no `listChanged` and no subscriptions, because lists change only with an
upgrade. Resource lists are served, because some clients always request them, but not announced,
because other clients would then load their own resource tools."""

_ERROR = "todo-backend/error"
_READ_TOO_LARGE = ToolError(
    "The result is too large.",
    "repeat the call with a smaller limit or with fewer fields.",
    code="result-too-large",
)
_WRITE_TOO_LARGE = ToolError(
    "The changes were made, but the result is too large.",
    "read what was changed; do not repeat the call.",
    code="result-too-large",
)

_log = logging.getLogger("todo.mcp")


def render_tool(tool: Tool) -> Json:
    """Return the entry of a tool in `tools/list`."""
    rendered: Json = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "annotations": {
            "title": tool.title,
            "readOnlyHint": tool.read_only,
            "destructiveHint": tool.destructive,
            "idempotentHint": tool.idempotent,
            "openWorldHint": tool.open_world,
        },
    }
    if tool.output_schema is not None:
        rendered["outputSchema"] = tool.output_schema
    return rendered


async def list_tools(server: Server, params: Json, call: ToolCall) -> Json:
    """Return the tools that the token may call; raise an RpcError if there is a cursor."""
    _refuse_cursor(params)
    scopes = call.caller.scopes
    return {"tools": [render_tool(tool) for tool in server.tools if tool.scope in scopes]}


async def call_tool(server: Server, params: Json, call: ToolCall) -> Json:
    """Call a tool and return its result, which can be an error.

    Raises:
        RpcError: The tool does not exist, or the request is malformed.
        ForbiddenError: The token lacks a scope that its client can request from the login service.
    """
    name, arguments = params.get("name"), params.get("arguments")
    tool = next((tool for tool in server.tools if tool.name == name), None)
    if tool is None:
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {str(name)[:100]}")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "`arguments` must be an object.")
    # The arguments are not logged, because they contain texts of users.
    known = {"tool": tool.name, "user": call.caller.user, "token_id": call.caller.token_id}
    try:
        result = await tool.run(call, arguments)
    except ForbiddenError as error:
        _log.warning("tool call refused", extra={**known, "reason": error.detail})
        # A login cannot add scopes to an API token, whose scopes are limited on purpose.
        if server.challenges and call.caller.token_id is None:
            raise
        result = render_failure(error, server.failure_texts)
    except (ProblemError, ToolError) as error:
        _log.info("tool call failed", extra={**known, "code": error.code})
        result = render_failure(error, server.failure_texts)
    if len(result.text.encode()) + len(orjson.dumps(result.structured)) > MAX_RESULT_BYTES:
        result = render_failure(_READ_TOO_LARGE if tool.read_only else _WRITE_TOO_LARGE)
    return _render_result(result)


def _render_result(result: ToolResult) -> Json:
    rendered: Json = {
        "content": [{"type": "text", "text": result.text}],
        "isError": result.is_error,
    }
    meta = dict(result.meta or {})
    if result.is_error:
        # Clients validate structured content against the tool's schema even if the call failed.
        meta[_ERROR] = result.structured.get("error", result.structured)
    else:
        rendered["structuredContent"] = result.structured
    if meta:
        rendered["_meta"] = meta
    return rendered


def _list_nothing(key: str) -> Method:
    async def list_nothing(_server: Server, params: Json, _call: ToolCall) -> Json:
        _refuse_cursor(params)
        return {key: []}

    return list_nothing


async def _get_prompt(_server: Server, params: Json, _call: ToolCall) -> Json:
    raise RpcError(INVALID_PARAMS, f"Unknown prompt: {str(params.get('name'))[:100]}")


async def _read_resource(_server: Server, params: Json, _call: ToolCall) -> Json:
    uri = str(params.get("uri"))[:100]
    raise RpcError(INVALID_PARAMS, "Resource not found.", data={"uri": uri})


def _refuse_cursor(params: Json) -> None:
    if params.get("cursor") is not None:
        raise RpcError(INVALID_PARAMS, "Invalid cursor: the list has one page.")


METHODS: dict[str, Method] = {
    "tools/list": list_tools,
    "tools/call": call_tool,
    "prompts/list": _list_nothing("prompts"),
    "prompts/get": _get_prompt,
    "resources/list": _list_nothing("resources"),
    "resources/templates/list": _list_nothing("resourceTemplates"),
    "resources/read": _read_resource,
}
