"""The server that the conformance suite expects, on the protocol layer of the service.

Tools, prompts and resources are those that the suite calls by name. What the layer does not offer
(streams, requests to the client, subscriptions) is missing here as well.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

from tests.integration.mcp.loopback import open_loopback
from todo.api.exception_handlers import add_exception_handlers
from todo.core.caller import Caller
from todo.mcp.endpoint import McpEndpoint
from todo.mcp.methods import CAPABILITIES, METHODS, call_tool
from todo.mcp.protocol import INVALID_PARAMS, Method, RpcError, Server
from todo.mcp.tool import Json, Tool, ToolCall, ToolError, ToolResult

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5E"
    "rkJggg=="
)
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
KEY = b"conformance"
META = "io.modelcontextprotocol/clientCapabilities"
MISSING_CAPABILITY = -32021
IMAGE: Json = {"type": "image", "data": PNG, "mimeType": "image/png"}
# The suite compares it keyword by keyword.
SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def embed(uri: str, kind: str, text: str) -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}}


def text(content: str) -> Json:
    return {"type": "text", "text": content}


def complete(*content: Json) -> Json:
    return {"content": list(content), "isError": False}


def ask(message: str, field: str, kind: str = "string") -> Json:
    """An input request for one value from the user."""
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    params = {"mode": "form", "message": message, "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}


def sample(question: str) -> Json:
    messages = [{"role": "user", "content": text(question)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}


ROOTS: Json = {"method": "roots/list", "params": {}}
# Tool or prompt -> rounds of requests for input, before the result.
ROUNDS: dict[str, list[Json]] = {
    "test_input_required_result_elicitation": [{"user_name": ask("What is your name?", "name")}],
    "test_input_required_result_sampling": [{"capital_question": sample("Capital of France?")}],
    "test_input_required_result_list_roots": [{"client_roots": ROOTS}],
    "test_input_required_result_request_state": [{"confirm": ask("Confirm", "ok", "boolean")}],
    "test_input_required_result_tampered_state": [{"confirm": ask("Confirm", "ok", "boolean")}],
    "test_input_required_result_multiple_inputs": [
        {"user_name": ask("Your name?", "name"), "greeting": sample("Greet"), "client_roots": ROOTS}
    ],
    "test_input_required_result_multi_round": [
        {"step1": ask("Step 1: What is your name?", "name")},
        {"step2": ask("Step 2: What is your favorite color?", "color")},
    ],
    "test_input_required_result_capabilities": [
        {"user_name": ask("Your name?", "name"), "greeting": sample("Greet")}
    ],
    "test_streaming_elicitation": [{"user_name": ask("Your name?", "name")}],
    "test_input_required_result_prompt": [{"user_context": ask("Which context?", "context")}],
}
CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling"}
CONTENT: dict[str, list[Json]] = {
    "test_image_content": [IMAGE],
    "test_audio_content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}],
    "test_embedded_resource": [embed("test://embedded", "text/plain", "An embedded resource.")],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        IMAGE,
        embed("test://mixed-content-resource", "application/json", '{"test":"data"}'),
    ],
}


def sign(state: str) -> str:
    return f"{state}.{hmac.new(KEY, state.encode(), hashlib.sha256).hexdigest()}"


def find_round(params: Json) -> int:
    """Return how many rounds a client has answered, by the state that it sends back."""
    state = params.get("requestState")
    if state is None:
        return 0
    number = str(state).partition(".")[0]
    if not hmac.compare_digest(str(state).encode(), sign(number).encode()):
        raise RpcError(INVALID_PARAMS, "`requestState` was changed.")
    return int(number)


def find_input(name: str, params: Json, result: Json) -> Json:
    """Return what a client still has to provide, or the result."""
    rounds = ROUNDS[name]
    responses = params.get("inputResponses", {})
    if not isinstance(responses, dict):
        raise RpcError(INVALID_PARAMS, "`inputResponses` must be an object.")
    number = find_round(params)
    if number < len(rounds):
        answered = {key for key, value in responses.items() if isinstance(value, dict)}
        number += rounds[number].keys() <= answered
    if number == len(rounds):
        return result
    requests = rounds[number]
    capabilities = params["_meta"][META] if "capabilities" in name else None
    if capabilities is not None:
        requests = {
            key: each
            for key, each in requests.items()
            if CAPABILITY[each["method"]] in capabilities
        }
    return {
        "resultType": "input_required",
        "inputRequests": requests,
        "requestState": sign(str(number)),
    }


async def call(server: Server, params: Json, caller: ToolCall) -> Json:
    """Call a tool whose result is more than text; otherwise as the service does."""
    name = params.get("name")
    if name in CONTENT:
        return complete(*CONTENT[name])
    if name in ROUNDS:
        return find_input(name, params, complete(text("Thank you.")))
    if name == "test_missing_capability" and "sampling" not in params["_meta"][META]:
        raise RpcError(
            MISSING_CAPABILITY,
            "This tool needs sampling.",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return await call_tool(server, params, caller)


RESOURCES: Mapping[str, Json] = {
    "test://static-text": {"mimeType": "text/plain", "text": "A static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched."},
}


async def list_resources(_server: Server, _params: Json, _call: ToolCall) -> Json:
    found = [
        {"uri": uri, "name": uri, "description": "A fixture.", "mimeType": each["mimeType"]}
        for uri, each in RESOURCES.items()
    ]
    return {"resources": found}


async def list_templates(_server: Server, _params: Json, _call: ToolCall) -> Json:
    template = {
        "uriTemplate": "test://template/{id}/data",
        "name": "t",
        "description": "A fixture.",
    }
    return {"resourceTemplates": [template]}


async def read_resource(_server: Server, params: Json, _call: ToolCall) -> Json:
    uri = str(params.get("uri"))
    if uri.startswith("test://template/"):
        number = uri.split("/")[3]
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": f'"{number}"'}]}
    if uri not in RESOURCES:
        raise RpcError(INVALID_PARAMS, "Resource not found", data={"uri": uri})
    return {"contents": [{"uri": uri, **RESOURCES[uri]}]}


def prompt(*names: str) -> Json:
    arguments = [{"name": name, "description": "Any.", "required": True} for name in names]
    return {"description": "A fixture.", "arguments": arguments}


PROMPTS: Mapping[str, Json] = {
    "test_simple_prompt": prompt(),
    "test_prompt_with_arguments": prompt("arg1", "arg2"),
    "test_prompt_with_embedded_resource": prompt("resourceUri"),
    "test_prompt_with_image": prompt(),
    "test_input_required_result_prompt": prompt(),
}


async def list_prompts(_server: Server, _params: Json, _call: ToolCall) -> Json:
    return {"prompts": [{"name": name, **each} for name, each in PROMPTS.items()]}


async def get_prompt(_server: Server, params: Json, _call: ToolCall) -> Json:
    name, arguments = params.get("name"), params.get("arguments", {})
    if name not in PROMPTS:
        raise RpcError(INVALID_PARAMS, f"Unknown prompt: {name}")
    contents: list[Json] = [text(f"A prompt with {arguments}.")]
    if name == "test_prompt_with_image":
        contents.insert(0, IMAGE)
    if "resourceUri" in arguments:
        contents.insert(0, embed(arguments["resourceUri"], "text/plain", "Embedded."))
    result = {"messages": [{"role": "user", "content": each} for each in contents]}
    return find_input(name, params, result) if name in ROUNDS else result


async def complete_argument(_server: Server, _params: Json, _call: ToolCall) -> Json:
    return {"completion": {"values": [], "total": 0, "hasMore": False}}


async def accept(_server: Server, _params: Json, _call: ToolCall) -> Json:
    return {}


async def say(_call: ToolCall, _arguments: Json) -> ToolResult:
    return ToolResult({"said": "it"}, "This is a simple text response for testing.")


async def fail(_call: ToolCall, _arguments: Json) -> ToolResult:
    raise ToolError("This tool intentionally returns an error for testing.", "call another one.")


def make_tool(name: str, run: Any, schema: Json | None = None) -> Tool:  # noqa: ANN401 - a function
    schema = schema or {"type": "object", "properties": {}}
    return Tool(name, name, "A fixture.", schema, None, "read", run, read_only=True)


TOOLS = (
    make_tool("test_simple_text", say),
    make_tool("test_error_handling", fail),
    make_tool("test_missing_capability", say),
    make_tool("test_logging_tool", say),
    make_tool("json_schema_2020_12_tool", say, SCHEMA),
    *(make_tool(name, say) for name in (*CONTENT, *ROUNDS) if not name.endswith("_prompt")),
)
EXTRA_METHODS: Mapping[str, Method] = {
    "tools/call": call,
    "resources/list": list_resources,
    "resources/templates/list": list_templates,
    "resources/read": read_resource,
    "prompts/list": list_prompts,
    "prompts/get": get_prompt,
    "completion/complete": complete_argument,
}
LEGACY_METHODS: Mapping[str, Method] = {
    "logging/setLevel": accept,
    "resources/subscribe": accept,
    "resources/unsubscribe": accept,
}


# Valid, and more than some clients understand.
RARE_TOOL = make_tool("test_rare_schema", say, {"type": "object", "properties": {"any": True}})


def make_server(*, legacy: bool, tools: Sequence[Tool]) -> Server:
    """Return the server; methods that the current revision took out are for the former ones."""
    info = {"name": "conformance", "title": "Conformance", "version": "1"}
    offered: Json = {"resources": {}, "completions": {}, **({"logging": {}} if legacy else {})}
    methods = {**METHODS, **EXTRA_METHODS, **(LEGACY_METHODS if legacy else {})}
    return Server(info, "For tests.", tools, {**CAPABILITIES, **offered}, methods)


class Anyone:
    """Accepts requests without a token, which the suite cannot send."""

    async def identify(self, _headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        return Caller("conformance")


@contextlib.contextmanager
def open_fixtures(*, legacy: bool, tools: Sequence[Tool] = TOOLS) -> Iterator[str]:
    """Serve the fixtures; yields the address."""
    app = FastAPI()
    add_exception_handlers(app)
    app.state.authenticator = Anyone()
    app.state.token_limit = None
    server = make_server(legacy=legacy, tools=tools)
    app.router.routes.append(Route("/mcp", McpEndpoint(server, [], None)))
    with open_loopback(app) as address:
        yield address
