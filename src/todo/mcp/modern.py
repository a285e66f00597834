"""Stateless revisions of the protocol, from 2026-07-28 on."""

import base64
import binascii

from todo.mcp.protocol import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    LEGACY_VERSIONS,
    METHOD_NOT_FOUND,
    MODERN_VERSIONS,
    UNSUPPORTED_VERSION,
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

_PREFIX = "io.modelcontextprotocol/"
META_VERSION = f"{_PREFIX}protocolVersion"
_CLIENT = f"{_PREFIX}clientInfo"
_CAPABILITIES = f"{_PREFIX}clientCapabilities"
_SERVER = f"{_PREFIX}serverInfo"
_VERSION_HEADER = "mcp-protocol-version"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_STATUSES = {METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 500}
_MINUTE_MS = 60_000
# The list of tools depends on the token; the others change only with an upgrade.
_CACHING = {
    "server/discover": {"ttlMs": 60 * _MINUTE_MS, "cacheScope": "public"},
    "tools/list": {"ttlMs": 5 * _MINUTE_MS, "cacheScope": "private"},
    "prompts/list": {"ttlMs": 60 * _MINUTE_MS, "cacheScope": "public"},
    "resources/list": {"ttlMs": 60 * _MINUTE_MS, "cacheScope": "public"},
    "resources/templates/list": {"ttlMs": 60 * _MINUTE_MS, "cacheScope": "public"},
    "resources/read": {"ttlMs": 0, "cacheScope": "private"},
}


def is_modern(message: Message, headers: Headers) -> bool:
    """Return whether a message uses a stateless revision, by its metadata and version header."""
    header = headers.get(_VERSION_HEADER)
    return META_VERSION in message.meta or (header is not None and header not in LEGACY_VERSIONS)


def get_status(code: int) -> int:
    """Return the HTTP status code of an error response."""
    return _STATUSES.get(code, 400)


async def respond(
    server: Server, message: Message, headers: Headers, call: ToolCall
) -> MessageResponse:
    """Return the response to a message, or raise an RpcError if it is rejected."""
    if message.id is None:
        _check_version(headers.get(_VERSION_HEADER) or message.meta.get(META_VERSION))
        return MessageResponse(202)
    _check_request(message, headers)
    is_discovery = message.method == "server/discover"
    method = _discover if is_discovery else server.methods.get(message.method)
    call = with_agent(call, find_agent(message.meta.get(_CLIENT)))
    result = await call_method(method, server, message, call)
    result = {"resultType": "complete", **_CACHING.get(message.method, {}), **result}
    result["_meta"] = {**result.get("_meta", {}), _SERVER: server.info}
    return MessageResponse(200, render_result(message.id, result))


async def _discover(server: Server, _params: Json, _call: ToolCall) -> Json:
    return {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": server.capabilities,
        "instructions": server.instructions,
    }


def _check_request(message: Message, headers: Headers) -> None:
    meta = message.meta
    if META_VERSION not in meta:
        # An unsupported version is reported before missing metadata.
        _check_version(headers.get(_VERSION_HEADER))
    missing = [name for name in (META_VERSION, _CAPABILITIES) if name not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"`params._meta` lacks {' and '.join(missing)}.")
    if not isinstance(meta[META_VERSION], str) or not isinstance(meta[_CAPABILITIES], dict):
        raise RpcError(
            INVALID_PARAMS, f"{META_VERSION} must be a string and {_CAPABILITIES} an object."
        )
    _compare("MCP-Protocol-Version", headers, meta[META_VERSION])
    _check_version(meta[META_VERSION])
    _compare("Mcp-Method", headers, message.method)
    name = message.params.get(NAMED.get(message.method, ""))
    if isinstance(name, str):
        _compare("Mcp-Name", headers, name)


def _check_version(version: object) -> None:
    if version not in MODERN_VERSIONS:
        legacy = ", ".join(LEGACY_VERSIONS)
        raise RpcError(
            UNSUPPORTED_VERSION,
            f"Unsupported protocol version; {legacy} start with `initialize`.",
            data={"supported": list(MODERN_VERSIONS), "requested": version},
        )


def _compare(name: str, headers: Headers, expected: str) -> None:
    value = headers.get(name.lower())
    if value is None:
        raise RpcError(HEADER_MISMATCH, f"The header {name} is missing.")
    if (_decode(value) if name == "Mcp-Name" else value) != expected:
        raise RpcError(HEADER_MISMATCH, f"The header {name} does not match the body.")


def _decode(value: str) -> str | None:
    if not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, ValueError):
        return None
