"""What the protocol layer answers to a message, in both eras."""

import asyncio
import json
import logging
from typing import Any

import pytest

from tests.unit.todo.mcp.sample_server import LEGACY, META, MODERN, make_call, make_server
from todo.core.errors import ForbiddenError
from todo.mcp import dispatch
from todo.mcp.protocol import MessageResponse
from todo.mcp.tool import Json, ToolCall

VERSION, CAPABILITIES, CLIENT = META
NEW = {"mcp-protocol-version": MODERN}
OLD = {"mcp-protocol-version": LEGACY}


def ask(
    body: object,
    headers: dict[str, str] | None = None,
    *,
    call: ToolCall | None = None,
    challenges: bool = False,
) -> MessageResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    server = make_server(challenges=challenges)
    return asyncio.run(dispatch.respond(server, data, headers or {}, call or make_call()))


def message(method: str, params: Any = None, /, **fields: Any) -> Json:  # noqa: ANN401 - any JSON
    made = {"jsonrpc": "2.0", "id": 1, "method": method, **fields}
    return made if params is None else {**made, "params": params}


def modern(method: str, meta: Json | None = None, **params: Any) -> Json:  # noqa: ANN401 - any JSON
    return message(method, {**params, "_meta": META if meta is None else meta})


def with_method(method: str, **more: str) -> dict[str, str]:
    return {**NEW, "mcp-method": method, **{k.replace("_", "-"): v for k, v in more.items()}}


def without(name: str) -> Json:
    return {key: value for key, value in META.items() if key != name}


CALL = with_method("tools/call", mcp_name="look")
LIST = with_method("tools/list")
B64 = "=?base64?{}?="

# Body, headers, status, code of the error (None: a result, "": no body).
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


def test_a_version_that_is_not_known_is_answered_with_those_that_are() -> None:
    answer = ask(modern("tools/list", {**META, VERSION: "1.0"}), {"mcp-protocol-version": "1.0"})

    assert answer.body is not None
    assert answer.body["error"]["data"] == {"supported": [MODERN], "requested": "1.0"}
    assert "2025-11-25" in answer.body["error"]["message"]


def result_of(answer: MessageResponse) -> Json:
    assert answer.status == 200
    assert answer.body is not None
    assert answer.body["id"] == 1
    result: Json = answer.body["result"]
    return result


def test_discovery_names_versions_capabilities_and_server() -> None:
    result = result_of(ask(modern("server/discover"), with_method("server/discover")))

    assert result["supportedVersions"] == [MODERN]
    assert result["capabilities"] == {"tools": {}, "prompts": {}}
    assert result["instructions"] == "Use the tools."
    assert (result["resultType"], result["cacheScope"]) == ("complete", "public")
    assert result["ttlMs"] > 0
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "sample"


@pytest.mark.parametrize(
    ("requested", "answered"),
    [(LEGACY, LEGACY), ("2025-03-26", "2025-03-26"), ("2024-11-05", LEGACY), (MODERN, LEGACY)],
)
def test_the_handshake_agrees_on_a_version(requested: str, answered: str) -> None:
    info = {"name": "Inspector", "version": "1.0 (beta)"}
    answer = ask(message("initialize", {"protocolVersion": requested, "clientInfo": info}))

    result = result_of(answer)
    assert result["protocolVersion"] == answered
    assert result["serverInfo"]["version"] == "1"
    assert answer.headers["Mcp-Session-Id"].endswith(".Inspector/1.0-beta")


@pytest.mark.parametrize("headers", [{}, OLD])
def test_a_legacy_ping_is_answered(headers: dict[str, str]) -> None:
    assert result_of(ask(message("ping"), headers)) == {}


def test_the_list_has_what_the_token_may_call_in_a_fixed_order() -> None:
    def list_names(*scopes: str) -> list[str]:
        call = make_call(scopes=frozenset(scopes))
        return [
            tool["name"] for tool in result_of(ask(modern("tools/list"), LIST, call=call))["tools"]
        ]

    assert list_names("write", "read") == ["look", "echo", "fail", "grow"]
    assert list_names("read") == ["look", "fail"]
    assert list_names("delete") == []


def test_a_list_in_the_stateless_revisions_may_be_cached_for_its_token() -> None:
    result = result_of(ask(modern("tools/list"), LIST))

    assert (result["cacheScope"], result["ttlMs"] > 0) == ("private", True)
    assert "ttlMs" not in result_of(ask(message("tools/list"), OLD))


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ],
)
def test_clients_that_ask_for_other_lists_find_them_empty(method: str, key: str) -> None:
    result = result_of(ask(modern(method), with_method(method)))

    assert (result[key], result["ttlMs"] > 0) == ([], True)
    assert result_of(ask(message(method), OLD)) == {key: []}


def call_tool(name: str, call: ToolCall | None = None, **arguments: str) -> Json:
    headers = with_method("tools/call", mcp_name=name)
    return result_of(ask(modern("tools/call", name=name, arguments=arguments), headers, call=call))


def test_a_result_has_structure_text_and_metadata() -> None:
    result = call_tool("look", text="a")

    assert result["content"] == [{"type": "text", "text": "echoed"}]
    assert result["structuredContent"]["arguments"] == {"text": "a"}
    assert result["isError"] is False
    assert result["resultType"] == "complete"
    assert result["_meta"]["example.org/a"] == 1
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "sample"


def test_the_client_is_the_agent_unless_token_or_header_name_one() -> None:
    assert call_tool("look")["structuredContent"]["agent"] == "Claude-Code/2.1"
    named = call_tool("look", make_call(agent="nightly/1"))
    assert named["structuredContent"]["agent"] == "nightly/1"


@pytest.mark.parametrize(
    ("client", "agent"),
    [
        ({"name": "a" * 90, "version": "1"}, "a" * 64),
        ({"name": "Zoë & Co", "version": 2}, "Zo-Co"),
        ({"name": "日本"}, None),
        ({"version": "1"}, None),
        ({"name": "", "version": "1"}, "1"),
        ([], None),
    ],
)
def test_a_client_is_named_in_the_characters_of_an_agent(client: Any, agent: str | None) -> None:  # noqa: ANN401 - any JSON
    answer = ask(modern("tools/call", {**META, CLIENT: client}, name="look"), CALL)

    assert result_of(answer)["structuredContent"]["agent"] == agent


@pytest.mark.parametrize(
    ("session", "agent"),
    [("0198.claude-code/2.1.197", "claude-code/2.1.197"), ("0198", None), ("1.a b", None)],
)
def test_the_session_of_a_handshake_carries_the_agent(session: str, agent: str | None) -> None:
    body = message("tools/call", {"name": "look"})
    result = result_of(ask(body, {**OLD, "mcp-session-id": session}))

    assert result["structuredContent"]["agent"] == agent


def test_a_call_that_writes_belongs_to_a_run() -> None:
    made = {call_tool("echo")["structuredContent"]["run_id"] for _ in range(2)}
    assert len(made) == 2
    assert None not in made
    assert call_tool("look")["structuredContent"]["run_id"] is None
    assert call_tool("echo", make_call(run_id="r1"))["structuredContent"]["run_id"] == "r1"


@pytest.mark.parametrize(
    ("how", "code", "text"),
    [
        ("argument", "invalid-arguments", "another value"),
        ("field", "validation-failed", "tasks.0.title: is required"),
        ("database", "database-unavailable", "later"),
        ("large", "result-too-large", "smaller limit"),
    ],
)
def test_a_call_that_fails_has_a_result_with_the_next_step(how: str, code: str, text: str) -> None:
    result = call_tool("fail", how=how)

    assert result["isError"] is True
    assert text in result["content"][0]["text"]
    assert result["_meta"]["todo-backend/error"]["code"] == code
    assert "structuredContent" not in result


def test_a_failed_call_is_logged_with_its_code(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "todo.mcp")
    call_tool("fail", how="field")

    (record,) = caplog.records
    assert (record.__dict__["tool"], record.__dict__["code"]) == ("fail", "validation-failed")


def test_a_change_whose_result_is_too_large_is_not_to_be_repeated() -> None:
    result = call_tool("grow", how="large")

    assert "do not repeat the call" in result["content"][0]["text"]


@pytest.mark.parametrize("headers", [OLD, with_method("tools/call", mcp_name="fail")])
def test_a_defect_is_logged_and_nothing_of_it_shown(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    body = modern("tools/call", name="fail")
    if headers is OLD:
        body = message("tools/call", {"name": "fail"})

    answer = ask(body, headers)

    assert answer.status == 500
    assert answer.body is not None
    assert answer.body["error"]["code"] == -32603
    assert "secret" not in json.dumps(answer.body)
    assert "a secret" in caplog.text


def test_a_call_beyond_the_scopes_of_the_token_is_refused_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "todo.mcp")
    result = call_tool("echo", make_call(scopes=frozenset({"read"})))

    assert result["isError"] is True
    assert "`write`" in result["content"][0]["text"]
    assert [record.message for record in caplog.records] == ["tool call refused"]
    found = caplog.records[0].__dict__
    assert (found["tool"], found["user"], found["token_id"]) == ("echo", "alice", None)


def test_with_a_login_service_the_client_is_challenged_for_the_scope() -> None:
    call = make_call(scopes=frozenset({"read"}))
    body = modern("tools/call", name="echo")
    headers = with_method("tools/call", mcp_name="echo")

    with pytest.raises(ForbiddenError) as caught:
        ask(body, headers, call=call, challenges=True)

    assert 'scope="write"' in caught.value.headers["WWW-Authenticate"]
