"""The MCP endpoint of the real service: tokens, limits, logs, and a login service."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration import tokens
from tests.integration.service import Service, open_service
from tests.issuer import Issuer, key_set
from tests.machine_clock import wait_until

PATH = "/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
LOGIN = "https://login.example"
RESOURCE = "https://todo.example/mcp"
ISSUER = Issuer("EdDSA")


def request(method: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def call_tool(client: httpx.Client, name: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401
    return client.post(PATH, json=request("tools/call", name=name, arguments=arguments))


def test_the_tools_follow_the_scopes_of_a_token(owner: httpx.Client, connect: tokens.Open) -> None:
    def list_names(client: httpx.Client) -> set[str]:
        response = client.post(PATH, json=request("tools/list"))
        return {tool["name"] for tool in response.json()["result"]["tools"]}

    everything = list_names(owner)
    readable = list_names(connect(tokens.make(owner, "read")["token"]))

    assert {"overview", "add_tasks"} <= everything
    assert "overview" in readable
    assert "add_tasks" not in readable


def test_a_token_that_expired_or_is_revoked_is_answered_401(
    service: Service, owner: httpx.Client, connect: tokens.Open
) -> None:
    made = tokens.make(owner, "read")
    owner.delete(f"{tokens.PATH}/{made['id']}")
    expired = service.token("alice", lifetime_s=-60)

    for token in (made["token"], expired, "todo_guessed"):
        for method in ("POST", "GET", "DELETE"):
            response = connect(token).request(method, PATH, json=request("tools/list"))
            assert response.status_code == 401
            assert response.json()["code"] == "unauthorized"
            assert response.headers["www-authenticate"].startswith("Bearer")


def test_the_challenge_is_spelled_as_some_clients_look_for_it(service: Service) -> None:
    with service.client() as client:
        response = client.post(PATH, json=request("ping"))

    assert (b"WWW-Authenticate", b"Bearer") in response.headers.raw


@pytest.mark.parametrize(
    "path",
    [
        WELL_KNOWN,
        f"{WELL_KNOWN}/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/mcp/.well-known/openid-configuration",
        "/register",
        "/mcp/",
    ],
)
def test_without_a_login_service_clients_find_none(owner: httpx.Client, path: str) -> None:
    # Anything else makes some of them start a login although they have a token.
    assert owner.get(path).status_code == 404
    assert owner.post(path).status_code == 404


def test_a_body_may_be_as_large_as_a_batch(owner: httpx.Client) -> None:
    assert call_tool(owner, "overview", text="x" * 900_000).status_code == 200
    assert call_tool(owner, "overview", text="x" * 1_100_000).status_code == 413


def test_a_call_has_a_request_id_and_counts_against_the_limits(owner: httpx.Client) -> None:
    response = owner.post(PATH, json=request("ping"), headers={"X-Request-Id": "mine"})

    assert response.headers["x-request-id"] == "mine"
    assert response.headers["ratelimit"].startswith('"token"')


def test_a_call_is_logged_and_measured_by_its_route(
    service: Service, owner: httpx.Client, connect: tokens.Open
) -> None:
    reader = connect(tokens.make(owner, "read")["token"])
    refused = call_tool(reader, "add_tasks", tasks=[{"text": "a"}])

    assert refused.json()["result"]["isError"] is True
    request_id = refused.headers["x-request-id"]

    def find_events() -> list[dict[str, Any]]:
        events = [each for each in service.events if each.get("request_id") == request_id]
        return events if len(events) > 1 else []

    first, second = wait_until(find_events, "both lines", within_s=60)
    assert (first["message"], first["tool"]) == ("tool call refused", "add_tasks")
    assert (second["message"], second["route"], second["status"]) == ("request", PATH, 200)
    with service.client(management=True) as management:
        assert re.search(r'route="/mcp"', management.get("/metrics").text)


@pytest.fixture(scope="module")
def with_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_bytes(key_set(ISSUER))
    options = {
        "TODO_JWKS_FILE": str(file),
        "TODO_TOKEN_ISSUER": LOGIN,
        "TODO_TOKEN_AUDIENCE": RESOURCE,
        "TODO_TRUSTED_PROXIES": "unix",
        "TODO_CORS_ORIGINS": "https://chat.example",
    }
    with open_service(options) as service:
        service.wait_ready()
        yield service


@pytest.fixture
def anyone(with_login: Service) -> Iterator[httpx.Client]:
    with with_login.client() as client:
        client.headers.update({"Host": "todo.example", "X-Forwarded-Proto": "https"})
        yield client


def sign(**claims: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    said = {"iss": LOGIN, "aud": RESOURCE, "exp": int(time.time()) + 600, **claims}
    return {"Authorization": f"Bearer {ISSUER.sign(said)}"}


def test_a_client_finds_the_login_service(anyone: httpx.Client) -> None:
    challenge = anyone.post(PATH, json=request("ping")).headers["www-authenticate"]
    found = re.search(r'resource_metadata="https://todo\.example([^"]+)"', challenge)

    assert found is not None
    assert re.search(r'scope="[a-z ]*read[a-z ]*"', challenge)
    metadata = anyone.get(found[1])
    assert metadata.headers["content-type"] == "application/json"
    assert metadata.json()["resource"] == RESOURCE
    assert metadata.json()["authorization_servers"] == [LOGIN]
    assert {"read", "write"} <= set(metadata.json()["scopes_supported"])
    assert anyone.get(WELL_KNOWN).json()["resource"] == "https://todo.example"
    assert anyone.get("/.well-known/oauth-authorization-server").status_code == 404


def test_the_metadata_can_be_read_by_a_page_that_may_call(anyone: httpx.Client) -> None:
    response = anyone.get(WELL_KNOWN, headers={"Origin": "https://chat.example"})

    assert response.headers["access-control-allow-origin"] == "https://chat.example"


def test_a_token_for_another_resource_is_refused(anyone: httpx.Client) -> None:
    good = anyone.post(PATH, json=request("tools/list"), headers=sign())
    other = anyone.post(
        PATH, json=request("tools/list"), headers=sign(aud="https://other.example/mcp")
    )

    assert good.json()["result"]["tools"]
    assert other.status_code == 401
    assert 'error="invalid_token", resource_metadata="' in other.headers["www-authenticate"]


def test_a_page_may_send_the_headers_of_the_protocol(anyone: httpx.Client) -> None:
    asked = {
        "Origin": "https://chat.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "mcp-method, mcp-name, mcp-protocol-version",
    }
    allowed = anyone.options(PATH, headers=asked).headers["access-control-allow-headers"]

    assert {"mcp-method", "mcp-name", "mcp-protocol-version"} <= set(allowed.split(", "))
