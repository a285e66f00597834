"""The HTTP side of the MCP endpoint: who may send what, and with which status it is refused."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from tests.unit.todo.mcp.sample_server import LEGACY, make_server
from todo.api.exception_handlers import add_exception_handlers
from todo.api.rate_limit import RateLimit
from todo.core.caller import Caller
from todo.core.errors import UnauthorizedError
from todo.mcp.endpoint import McpEndpoint
from todo.mcp.metadata import ResourceMetadata

PAGE = "https://chat.example"
ISSUER = "https://login.example"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}
API = "todo_reader"
LOCAL = "http://127.0.0.1:8000"


class Readers:
    """Accepts one token, which may only read, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        token = dict(headers).get(b"authorization")
        if token not in {b"Bearer reader", b"Bearer todo_reader"}:
            raise UnauthorizedError
        self.count += 1
        token_id = "t" if token == b"Bearer todo_reader" else None
        return Caller("alice", frozenset({"read"}), token_id=token_id)


def make_app(*, login: bool = False, per_minute: int = 0) -> FastAPI:
    app = FastAPI()
    add_exception_handlers(app)
    app.state.authenticator = Readers()
    app.state.token_limit = RateLimit("token", per_minute) if per_minute else None
    metadata = ResourceMetadata(ISSUER, ["read", "write"], "Todo", WELL_KNOWN) if login else None
    endpoint = McpEndpoint(make_server(challenges=login), [PAGE], metadata)
    app.router.routes.append(Route("/mcp", endpoint))
    if metadata is not None:
        app.router.routes.append(Route(WELL_KNOWN, metadata))
        app.router.routes.append(Route(f"{WELL_KNOWN}/mcp", metadata))
    return app


def ask(
    method: str = "POST",
    path: str = "/mcp",
    *,
    app: FastAPI | None = None,
    base: str = LOCAL,
    token: str | None = "reader",  # noqa: S107 - of the fake
    **options: Any,  # noqa: ANN401 - of httpx
) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    headers |= options.pop("headers", {})
    if method == "POST" and "content" not in options:
        options.setdefault("json", PING)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app or make_app())
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(send())


def test_a_message_is_answered_with_json() -> None:
    response = ask(headers={"mcp-protocol-version": LEGACY})

    assert (response.status_code, response.json()["result"]) == (200, {})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


def test_a_notification_is_accepted_without_a_body() -> None:
    response = ask(json={"jsonrpc": "2.0", "method": "notifications/initialized"})

    assert (response.status_code, response.content) == (202, b"")


def test_the_session_is_a_header_of_the_handshake() -> None:
    client = {"name": "c", "version": "1"}
    params = {"protocolVersion": LEGACY, "clientInfo": client, "capabilities": {}}
    response = ask(json={**PING, "method": "initialize", "params": params})

    assert response.headers["mcp-session-id"].endswith(".c/1")


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "PUT", "OPTIONS"])
@pytest.mark.parametrize("token", [None, "expired"])
def test_without_a_valid_token_every_method_is_answered_401(method: str, token: str | None) -> None:
    response = ask(method, token=token)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_other_methods_than_post_are_not_allowed(method: str) -> None:
    response = ask(method)

    assert response.status_code == 405
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_of_a_web_page_is_not_read(kind: str) -> None:
    response = ask(content=json.dumps(PING), headers={"content-type": kind})

    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]


def test_the_content_type_may_have_parameters() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}

    assert ask(content=json.dumps(PING), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("base", "origin", "status"),
    [
        (LOCAL, PAGE, 200),
        (LOCAL, LOCAL, 200),
        ("http://localhost:8000", "http://localhost:8000", 200),
        ("http://[::1]:8000", "http://[::1]:8000", 200),
        ("https://todo.example", "https://todo.example", 200),
        # By DNS rebinding, a name of an attacker leads here: page and host have the same name.
        ("http://evil.example:8000", "http://evil.example:8000", 403),
        (LOCAL, "http://127.0.0.1:9999", 403),
        (LOCAL, "http://localhost:8000", 403),
        (LOCAL, "https://127.0.0.1:8000", 403),
        (LOCAL, "http://evil.example", 403),
        (LOCAL, f"{PAGE}.evil.example", 403),
        (LOCAL, "null", 403),
        (LOCAL, "", 403),
        (LOCAL, "http://[", 403),
    ],
)
def test_pages_of_other_sites_are_refused(base: str, origin: str, status: int) -> None:
    response = ask(base=base, headers={"origin": origin})

    assert response.status_code == status
    if status == 403:
        assert response.json()["code"] == "origin-not-allowed"


def test_a_page_of_another_site_learns_nothing_about_a_token() -> None:
    assert ask(token=None, headers={"origin": "http://evil.example"}).status_code == 403


def test_a_call_counts_once_against_the_limit_of_its_token() -> None:
    app = make_app(per_minute=2)

    statuses = [ask(app=app, json=CALL).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


def test_without_a_login_service_a_missing_scope_is_in_the_result() -> None:
    response = ask(json=CALL)

    assert response.status_code == 200
    assert response.json()["result"]["isError"] is True


@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/mcp"])
def test_without_a_login_service_there_is_no_metadata(path: str) -> None:
    assert ask("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("path", "resource"),
    [(f"{WELL_KNOWN}/mcp", "https://todo.example/mcp"), (WELL_KNOWN, "https://todo.example")],
)
def test_a_login_service_is_named_in_the_metadata(path: str, resource: str) -> None:
    response = ask("GET", path, app=make_app(login=True), base="https://todo.example", token=None)

    assert response.json() == {
        "resource": resource,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Todo",
    }
    assert ask("POST", path, app=make_app(login=True)).status_code == 405


def test_a_client_without_a_token_finds_the_metadata_by_the_challenge() -> None:
    response = ask(app=make_app(login=True), base="https://todo.example", token=None)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == (
        f'Bearer resource_metadata="https://todo.example{WELL_KNOWN}/mcp", scope="read write"'
    )


def test_a_token_without_the_scope_is_challenged_for_it() -> None:
    response = ask(app=make_app(login=True), json=CALL)

    assert response.status_code == 403
    assert response.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="write", '
        f'resource_metadata="{LOCAL}{WELL_KNOWN}/mcp"'
    )


def test_an_api_token_without_the_scope_is_not_sent_to_a_login() -> None:
    response = ask(app=make_app(login=True), json=CALL, token=API)

    assert response.status_code == 200
    assert response.json()["result"]["isError"] is True


def test_a_host_may_have_an_underscore() -> None:
    response = ask(app=make_app(login=True), base="http://todo_backend:8000", token=None)

    assert response.status_code == 401


@pytest.mark.parametrize("host", ['evil"', "a b", "a/b", "[::1", "a:b"])
def test_a_host_that_is_none_gets_into_no_challenge(host: str) -> None:
    app = make_app(login=True)

    assert ask(app=app, token=None, headers={"host": host}).status_code == 400


def test_a_header_that_comes_twice_is_not_the_one_that_was_meant() -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {**PING, "method": "tools/list", "params": {"_meta": meta}}
    fields = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")]
    once, twice = (
        [("authorization", "Bearer reader"), *fields, *more] for more in ([], fields[1:])
    )

    assert send(body, once).status_code == 200
    assert send(body, twice).json()["error"]["code"] == -32020


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        ("origin", [PAGE, "http://evil.example"], 403),
        ("origin", ["http://evil.example", PAGE], 403),
        ("origin", [LOCAL, LOCAL], 403),
        ("content-type", ["application/json", "text/plain"], 415),
    ],
)
def test_a_second_origin_or_content_type_is_not_ignored(
    name: str, values: list[str], status: int
) -> None:
    fields = [("authorization", "Bearer reader"), *((name, value) for value in values)]

    assert send(PING, fields).status_code == status


def send(body: dict[str, Any], headers: list[tuple[str, str]]) -> httpx.Response:
    """Post a message with header fields that may come twice."""

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(make_app())
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            return await client.post("/mcp", json=body, headers=headers)

    return asyncio.run(post())
