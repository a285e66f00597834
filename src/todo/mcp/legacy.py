"""Protocol revisions with a handshake, 2025-03-26 to 2025-11-25, without server-side sessions.

The session ID, which clients repeat with each request, only carries the client's name from the
handshake.
"""

from todo.core.ids import new_uuid7
from todo.core.label import LABEL
from todo.mcp.protocol import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    LEGACY_VERSIONS,
    Headers,
    Message,
    MessageResponse,
    RpcError,
    Server,
    call_method,
    find_agent,
    render_result,
    with_agent,
)
from todo.mcp.tool import Json, ToolCall

_SESSION_HEADER = "mcp-session-id"


def get_status(code: int) -> int:
    """Return the HTTP status code of an error response: 200, except for internal errors."""
    return 500 if code == INTERNAL_ERROR else 200


async def respond(
    server: Server, message: Message, headers: Headers, call: ToolCall
) -> MessageResponse:
    """Return the response to a message, or raise an RpcError if it is rejected."""
    if message.id is None:
        return MessageResponse(202)
    if message.method == "initialize":
        return _initialize(server, message)
    method = _ping if message.method == "ping" else server.methods.get(message.method)
    agent = headers.get(_SESSION_HEADER, "").partition(".")[2]
    call = with_agent(call, agent if LABEL.fullmatch(agent) else None)
    return MessageResponse(
        200, render_result(message.id, await call_method(method, server, message, call))
    )


async def _ping(_server: Server, _params: Json, _call: ToolCall) -> Json:
    return {}


def _initialize(server: Server, message: Message) -> MessageResponse:
    requested = message.params.get("protocolVersion")
    if not isinstance(requested, str):
        raise RpcError(INVALID_PARAMS, "`protocolVersion` must be a string.")
    agent = find_agent(message.params.get("clientInfo"))
    result = {
        "protocolVersion": requested if requested in LEGACY_VERSIONS else LEGACY_VERSIONS[0],
        "capabilities": server.capabilities,
        "serverInfo": server.info,
        "instructions": server.instructions,
    }
    headers = {"Mcp-Session-Id": f"{new_uuid7().hex}.{agent}"} if agent else {}
    return MessageResponse(200, render_result(message.id, result), headers)
