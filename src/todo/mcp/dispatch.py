"""Dispatch of MCP messages to the legacy or the stateless revisions of the protocol."""

import logging

from todo.core.errors import ProblemError
from todo.mcp import legacy, modern
from todo.mcp.protocol import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Headers,
    MessageResponse,
    RpcError,
    Server,
    parse_message,
    render_error,
)
from todo.mcp.tool import ToolCall

_NOTIFICATIONS = "notifications/"

_log = logging.getLogger("todo.mcp")


async def respond(server: Server, body: bytes, headers: Headers, call: ToolCall) -> MessageResponse:
    """Return the response to the message in a request body, or raise a ProblemError."""
    try:
        message = parse_message(body)
    except RpcError as error:
        return MessageResponse(400, render_error(error.request_id, error))
    if message.id is None and not message.method.startswith(_NOTIFICATIONS):
        # Status 202 would mean that the request was accepted.
        text = "`id` is missing, and only notifications may omit it; nothing was done."
        return MessageResponse(400, render_error(None, RpcError(INVALID_REQUEST, text)))
    if modern.is_modern(message, headers):
        respond_to, get_status = modern.respond, modern.get_status
    else:
        respond_to, get_status = legacy.respond, legacy.get_status
    try:
        return await respond_to(server, message, headers, call)
    except RpcError as error:
        refusal = error
    except ProblemError:
        raise
    except Exception:  # noqa: BLE001 - the boundary: the client gets an error with its ID
        _log.exception("unexpected error", extra={"rpc_method": message.method[:100]})
        refusal = RpcError(INTERNAL_ERROR, "Internal error, logged under the request ID.")
    return MessageResponse(get_status(refusal.code), render_error(message.id, refusal))
