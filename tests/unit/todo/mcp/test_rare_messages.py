"""Rare and malformed messages: the status and the code of each response."""

import pytest

from tests.unit.todo.mcp.messages import (
    CALL,
    CAPABILITIES,
    CLIENT,
    LIST,
    NEW,
    OLD,
    VERSION,
    ask,
    message,
    modern,
    with_method,
    without,
)
from tests.unit.todo.mcp.sample_server import LEGACY, META, MODERN

# Body, headers, status, code of the error (None: a result, "": no body).
B64 = "=?base64?{}?="
REFUSED: dict[str, tuple[object, dict[str, str], int, int | str | None]] = {
    # Messages of neither era.
    "nothing": (b"", {}, 400, -32700),
    "not JSON": (b"{", {}, 400, -32700),
    "not UTF-8": (b'{"method": "\xff"}', {}, 400, -32700),
    "NaN": (b'{"id": NaN}', {}, 400, -32700),
    "nested too deeply": (b"[" * 2000 + b"]" * 2000, {}, 400, -32700),
    "a string": (b'"ping"', {}, 400, -32600),
    "null": (b"null", {}, 400, -32600),
    "a batch": ([message("ping")], OLD, 400, -32600),
    "an empty batch": ([], {}, 400, -32600),
    "an empty object": ({}, {}, 400, -32600),
    "another version of JSON-RPC": (message("ping", jsonrpc="1.0"), OLD, 400, -32600),
    "no version of JSON-RPC": ({"id": 1, "method": "ping"}, OLD, 400, -32600),
    "id null": (message("ping", id=None), OLD, 400, -32600),
    "id true": (message("ping", id=True), OLD, 400, -32600),
    "id is a fraction": (message("ping", id=1.5), OLD, 400, -32600),
    "id is an object": (message("ping", id={}), OLD, 400, -32600),
    "method is a number": (message("ping", method=7), OLD, 400, -32600),
    "a response": ({"jsonrpc": "2.0", "id": 1, "result": {}}, OLD, 400, -32600),
    "params is an array": (message("tools/list", []), OLD, 400, -32602),
    "params is a string": (message("tools/list", "all"), OLD, 400, -32602),
    "65 keys": (message("ping", {str(key): 1 for key in range(65)}), OLD, 400, -32602),
    "6000 values": (message("ping", {"list": [0] * 6000}), OLD, 400, -32602),
    # Revisions with a handshake.
    "params is null": (message("ping", params=None), OLD, 200, None),
    "a method that is not there": (message("no/such"), OLD, 200, -32601),
    "server/discover without metadata": (message("server/discover"), {}, 200, -32601),
    "an unknown resource": (message("resources/read", {"uri": "a:b"}), OLD, 200, -32602),
    "a resource without an address": (message("resources/read"), OLD, 200, -32602),
    "logging is not offered": (message("logging/setLevel", {"level": "info"}), OLD, 200, -32601),
    "initialize without a version": (message("initialize", {}), {}, 200, -32602),
    "an unknown tool": (message("tools/call", {"name": "rm"}), OLD, 200, -32602),
    "a tool without a name": (message("tools/call", {}), OLD, 200, -32602),
    "the name is a number": (message("tools/call", {"name": 3}), OLD, 200, -32602),
    "the name is a list": (message("tools/call", {"name": ["look"]}), OLD, 200, -32602),
    "arguments are a list": (
        message("tools/call", {"name": "look", "arguments": []}),
        OLD,
        200,
        -32602,
    ),
    "arguments are null": (
        message("tools/call", {"name": "look", "arguments": None}),
        OLD,
        200,
        None,
    ),
    "a cursor that nothing returned": (message("tools/list", {"cursor": "2"}), OLD, 200, -32602),
    "an unknown prompt": (message("prompts/get", {"name": "no"}), OLD, 200, -32602),
    "a notification": ({"jsonrpc": "2.0", "method": "notifications/initialized"}, OLD, 202, ""),
    "a call without an id": (
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "echo"}},
        OLD,
        400,
        -32600,
    ),
    "an unknown notification": ({"jsonrpc": "2.0", "method": "notifications/x"}, {}, 202, ""),
    "no header at all": (message("tools/list"), {}, 200, None),
    "metadata without a version": (message("tools/list", {"_meta": {"a": 1}}), OLD, 200, None),
    "metadata is a list": (message("tools/list", {"_meta": []}), OLD, 200, None),
    # Stateless revisions.
    "a revision before this transport": (
        message("tools/list"),
        {"mcp-protocol-version": "2024-11-05"},
        400,
        -32022,
    ),
    "a revision to come": (
        modern("tools/list", {**META, VERSION: "2099-01-01"}),
        {**LIST, "mcp-protocol-version": "2099-01-01"},
        400,
        -32022,
    ),
    "a legacy revision in the metadata": (
        modern("tools/list", {**META, VERSION: LEGACY}),
        {**LIST, **OLD},
        400,
        -32022,
    ),
    "no metadata": (message("tools/list", {}), LIST, 400, -32602),
    "no parameters": (message("tools/list"), LIST, 400, -32602),
    "no version in the metadata": (modern("tools/list", without(VERSION)), LIST, 400, -32602),
    "no capabilities": (modern("tools/list", without(CAPABILITIES)), LIST, 400, -32602),
    "capabilities are a list": (
        modern("tools/list", {**META, CAPABILITIES: []}),
        LIST,
        400,
        -32602,
    ),
    "the version is a number": (modern("tools/list", {**META, VERSION: 1}), LIST, 400, -32602),
    "no client": (modern("tools/list", without(CLIENT)), LIST, 200, None),
    "the client is a string": (modern("tools/list", {**META, CLIENT: "me"}), LIST, 200, None),
    "no header of the version": (
        modern("tools/list"),
        {"mcp-method": "tools/list"},
        400,
        -32020,
    ),
    "a header of a legacy revision": (modern("tools/list"), {**LIST, **OLD}, 400, -32020),
    "the header of the version comes twice": (
        modern("tools/list"),
        {**LIST, "mcp-protocol-version": f"{MODERN}, {MODERN}"},
        400,
        -32020,
    ),
    "no header of the method": (modern("tools/list"), NEW, 400, -32020),
    "another method in the header": (modern("tools/list"), with_method("ping"), 400, -32020),
    "the method in capitals": (modern("tools/list"), with_method("Tools/List"), 400, -32020),
    "no header of the name": (
        modern("tools/call", name="look"),
        with_method("tools/call"),
        400,
        -32020,
    ),
    "another name in the header": (modern("tools/call", name="echo"), CALL, 400, -32020),
    "the name in base64": (
        modern("tools/call", name="look"),
        {**CALL, "mcp-name": B64.format("bG9vaw==")},
        200,
        None,
    ),
    "another name in base64": (
        modern("tools/call", name="look"),
        {**CALL, "mcp-name": B64.format("ZWNobw==")},
        400,
        -32020,
    ),
    "a name that is not base64": (
        modern("tools/call", name="look"),
        {**CALL, "mcp-name": B64.format("bG9v%aw==")},
        400,
        -32020,
    ),
    "a name that is not UTF-8": (
        modern("tools/call", name="look"),
        {**CALL, "mcp-name": B64.format("/w==")},
        400,
        -32020,
    ),
    "another address in the header": (
        modern("resources/read", uri="a:b"),
        with_method("resources/read", mcp_name="a:c"),
        400,
        -32020,
    ),
    "a modern call without a name": (modern("tools/call"), CALL, 400, -32602),
    "an unknown modern tool": (
        modern("tools/call", name="rm"),
        with_method("tools/call", mcp_name="rm"),
        400,
        -32602,
    ),
    "modern arguments are a string": (
        modern("tools/call", name="look", arguments="{}"),
        CALL,
        400,
        -32602,
    ),
    "a handshake with metadata": (
        modern("initialize", protocolVersion=LEGACY),
        with_method("initialize"),
        404,
        -32601,
    ),
    "a modern ping": (modern("ping"), with_method("ping"), 404, -32601),
    "subscriptions are not offered": (
        modern("subscriptions/listen"),
        with_method("subscriptions/listen"),
        404,
        -32601,
    ),
    "an unknown modern method": (modern("no/such"), with_method("no/such"), 404, -32601),
    "a modern notification": (
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        NEW,
        202,
        "",
    ),
    "a notification of an unknown revision": (
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {"mcp-protocol-version": "2099-01-01"},
        400,
        -32022,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_rare_message_has_its_status_and_code(case: str) -> None:
    body, headers, status, code = REFUSED[case]

    answer = ask(body, headers)

    if code == "":
        assert (answer.status, answer.body) == (status, None)
        return
    assert answer.body is not None
    assert (answer.status, answer.body.get("error", {}).get("code")) == (status, code)
    known = isinstance(body, dict) and type(body.get("id")) is int
    assert answer.body["id"] == (1 if known else None)
