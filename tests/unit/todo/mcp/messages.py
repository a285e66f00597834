"""Messages for the protocol layer, and its responses."""

import asyncio
import json
from typing import Any

from tests.unit.todo.mcp.sample_server import LEGACY, META, MODERN, make_call, make_server
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


def result_of(answer: MessageResponse) -> Json:
    assert answer.status == 200
    assert answer.body is not None
    assert answer.body["id"] == 1
    result: Json = answer.body["result"]
    return result
