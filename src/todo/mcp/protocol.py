"""JSON-RPC messages of the Model Context Protocol: parsing and rendering, without I/O."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from todo.api.body_limits import refuse_many_values
from todo.core.errors import ValidationFailedError
from todo.core.label import LABEL_CHARACTERS, LABEL_LENGTH
from todo.mcp.tool import FailureTexts, Json, Tool, ToolCall

MODERN_VERSIONS = ("2026-07-28",)
"""Stateless revisions, in which each request carries version, client and client capabilities."""
LEGACY_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Revisions with a handshake, newest first."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022

_NOT_IN_LABEL = re.compile(f"[^{LABEL_CHARACTERS}]+")

Id = str | int
Headers = Mapping[str, str]
"""Header fields of a request, names in lower case."""
Method = Callable[["Server", Json, ToolCall], Awaitable[Json]]
"""Handler of a method; returns the result for the parameters of a request."""


@dataclass(frozen=True, slots=True)
class Server:
    """MCP server with its tools, methods and capabilities.

    Attributes:
        info: Name, title and version.
        instructions: Instructions for models that use the tools.
        methods: Handlers of both eras, by method name.
        challenges: Whether a call without the required scope is rejected with 403, so that the
            client requests the scope from the login service. Otherwise the result is an error.
    """

    info: Json
    instructions: str
    tools: Sequence[Tool]
    capabilities: Json
    methods: Mapping[str, Method]
    challenges: bool = False
    failure_texts: FailureTexts = field(default_factory=FailureTexts)


class RpcError(Exception):
    """JSON-RPC error in response to a message."""

    def __init__(
        self, code: int, message: str, *, data: Json | None = None, request_id: Id | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Message:
    """JSON-RPC request, or a notification if it has no ID."""

    id: Id | None
    method: str
    params: Json

    @property
    def meta(self) -> Json:
        """Metadata of the request (`_meta`), empty if missing or invalid."""
        meta = self.params.get("_meta")
        return meta if isinstance(meta, dict) else {}


@dataclass(frozen=True, slots=True)
class MessageResponse:
    """HTTP response to a message."""

    status: int
    body: Json | None = None
    headers: Headers = field(default_factory=dict)


def render_result(request_id: Id | None, result: Json) -> Json:
    """Return a JSON-RPC response with a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def render_error(request_id: Id | None, error: RpcError) -> Json:
    """Return a JSON-RPC error response; its ID is null if the ID of the request is unknown."""
    rendered: Json = {"code": error.code, "message": error.message}
    if error.data is not None:
        rendered["data"] = error.data
    return {"jsonrpc": "2.0", "id": request_id, "error": rendered}


def parse_message(body: bytes) -> Message:
    """Return the message in a request body; raise an RpcError if it is not a single message."""
    try:
        value = orjson.loads(body)
    except ValueError:
        raise _explain_unreadable(body) from None
    if isinstance(value, list):
        # Only revision 2025-03-26 allows batches, and no known client sends them.
        raise RpcError(INVALID_REQUEST, "Send each message in its own request, not in a batch.")
    if not isinstance(value, dict):
        raise RpcError(INVALID_REQUEST, "The body must be a JSON-RPC message.")
    request_id = value.get("id")
    if "id" in value and not _is_id(request_id):
        raise RpcError(INVALID_REQUEST, "`id` must be a string or an integer.")
    refusal = _find_fault(value)
    if refusal is not None:
        code, message = refusal
        raise RpcError(code, message, request_id=request_id)
    return Message(request_id, value["method"], value.get("params") or {})


def _explain_unreadable(body: bytes) -> RpcError:
    """Return the error for a body that is invalid JSON or contains an unsupported value."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return RpcError(PARSE_ERROR, "The body must be JSON in UTF-8.")
    known = value.get("id") if isinstance(value, dict) else None
    message = (
        "The message has an unpaired surrogate, such as one half of an emoji, or a number that is "
        "out of range."
    )
    # The ID itself can contain an unpaired surrogate.
    is_known = _is_id(known) and str(known).isascii()
    return RpcError(PARSE_ERROR, message, request_id=known if is_known else None)


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _find_fault(value: Json) -> tuple[int, str] | None:
    if value.get("jsonrpc") != "2.0":
        return INVALID_REQUEST, '`jsonrpc` must be "2.0".'
    if "method" not in value:
        return INVALID_REQUEST, "`method` is missing; this server expects no responses."
    if not isinstance(value["method"], str):
        return INVALID_REQUEST, "`method` must be a string."
    if not isinstance(value.get("params"), dict | None):
        return INVALID_PARAMS, "`params` must be an object."
    try:
        refuse_many_values(value)
    except ValidationFailedError as error:
        (found,) = error.errors or ()
        return INVALID_PARAMS, f"{found['field'] or 'The message'} {found['message']}."
    return None


def find_agent(client_info: object) -> str | None:
    """Return the name and version of a client as an agent label, or None without a name."""
    if not isinstance(client_info, dict) or not isinstance(client_info.get("name"), str):
        return None
    parts = (client_info["name"], client_info.get("version"))
    text = "/".join(part for part in parts if isinstance(part, str) and part)
    return _NOT_IN_LABEL.sub("-", text)[:LABEL_LENGTH].strip("-") or None


def with_agent(call: ToolCall, agent: str | None) -> ToolCall:
    """Return the call with an agent, which does not replace one from the token or a header."""
    if agent is None or call.caller.agent is not None:
        return call
    return replace(call, caller=replace(call.caller, agent=agent))


async def call_method(
    method: Method | None, server: Server, message: Message, call: ToolCall
) -> Json:
    """Return the result of a method; raise an RpcError if it is unknown or fails."""
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, f"Method not found: {message.method[:100]}")
    return await method(server, message.params, call)
