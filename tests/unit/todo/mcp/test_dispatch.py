"""Responses of the protocol layer to messages of both eras."""

import json
import logging
from typing import Any

import pytest

from tests.unit.todo.mcp.messages import (
    CALL,
    CLIENT,
    LIST,
    OLD,
    VERSION,
    ask,
    message,
    modern,
    result_of,
    with_method,
)
from tests.unit.todo.mcp.sample_server import LEGACY, META, MODERN, make_call
from todo.core.errors import ForbiddenError
from todo.mcp.tool import Json, ToolCall


def test_a_version_that_is_not_known_is_answered_with_those_that_are() -> None:
    answer = ask(modern("tools/list", {**META, VERSION: "1.0"}), {"mcp-protocol-version": "1.0"})

    assert answer.body is not None
    assert answer.body["error"]["data"] == {"supported": [MODERN], "requested": "1.0"}
    assert "2025-11-25" in answer.body["error"]["message"]


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
