"""The edge around applications that a route would never be."""

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.api.cors import Cors
from todo.api.middleware import RequestMiddleware
from todo.api.proxy_headers import TrustedProxies
from todo.api.rate_limit import RateLimit

if TYPE_CHECKING:
    from todo.observability.health import Health
    from todo.observability.metrics import Metrics

START: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Counted:
    def __init__(self) -> None:
        self.answers: list[tuple[str, str, int]] = []

    def observe(self, method: str, route: str, status: int, _duration_s: float) -> None:
        self.answers.append((method, route, status))


class Running:
    is_leaving = False


def wrap(app: ASGIApp, **options: Any) -> RequestMiddleware:  # noqa: ANN401 - whatever the edge takes
    return RequestMiddleware(
        app,
        health=cast("Health", Running()),
        **{
            "metrics": cast("Metrics", Counted()),
            "proxies": TrustedProxies([]),
            "deadline_s": 5.0,
            **options,
        },
    )


def ask(
    edge: RequestMiddleware,
    path: str = "/api",
    peer: str = "203.0.113.7",
    **scope: Any,  # noqa: ANN401
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    request: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "headers": [],
        "client": (peer, 1),
        **scope,
    }
    asyncio.run(edge(request, receive, send))
    start, *rest = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(message.get("body", b"") for message in rest)


async def fine(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"fine"})


@pytest.mark.parametrize("length", [[], [(b"content-length", b"4")]])
def test_head_is_answered_as_get_without_the_content(length: list[tuple[bytes, bytes]]) -> None:
    methods = []

    async def fine(scope: Scope, _receive: Receive, send: Send) -> None:
        methods.append(scope["method"])
        await send({**START, "headers": length})
        await send({"type": "http.response.body", "body": b"fine"})

    status, headers, body = ask(wrap(fine), method="HEAD")

    assert (status, headers["content-length"], body) == (200, "4", b"")
    assert methods == ["GET"]


def test_a_stream_has_no_length_for_head() -> None:
    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    status, headers, body = ask(wrap(stream), method="HEAD")

    assert (status, body) == (200, b"")
    assert "content-length" not in headers


def test_an_answer_that_does_not_come_is_given_up() -> None:
    async def hang(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(60)

    status, headers, body = ask(wrap(hang, deadline_s=0.01))

    assert status == 503
    assert json.loads(body)["code"] == "deadline-exceeded"
    assert headers["retry-after"]


def test_a_stream_may_take_longer_than_the_deadline() -> None:
    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"late"})

    assert ask(wrap(stream, deadline_s=0.01))[2] == b"late"


def test_a_time_out_of_the_applications_own_is_an_error() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError

    assert ask(wrap(fail))[0] == 500


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_answer_is_safe_in_a_browser(scheme: str) -> None:
    _, headers, _ = ask(wrap(fine), scheme=scheme)

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert ("strict-transport-security" in headers) == (scheme == "https")


def test_what_a_route_says_of_caching_and_scripts_stands() -> None:
    async def page(_scope: Scope, _receive: Receive, send: Send) -> None:
        own = [(b"cache-control", b"private"), (b"content-security-policy", b"script-src 'self'")]
        await send({**START, "headers": own})
        await send({"type": "http.response.body", "body": b""})

    _, headers, _ = ask(wrap(page))

    assert headers["cache-control"] == "private"
    assert headers["content-security-policy"] == "script-src 'self'"


def test_an_address_that_asks_too_often_is_told_when_to_come_back() -> None:
    edge = wrap(fine, address_limit=RateLimit("address", 2))

    assert ask(edge)[1]["ratelimit"] == '"address";r=1;t=30'
    ask(edge)
    status, headers, body = ask(edge)

    assert status == 429
    assert json.loads(body)["code"] == "rate-limited"
    assert headers["retry-after"] == "30"
    assert headers["ratelimit-policy"] == '"address";q=2;w=60'
    assert ask(edge, peer="203.0.113.8")[0] == 200
    assert ask(edge, path="/health")[0] == 200
    assert [ask(edge, peer="127.0.0.1")[0] for _ in range(5)] == [200] * 5


DOUBTFUL = {
    "an empty header": [(b"x-forwarded-for", b"")],
    "nonsense": [(b"x-forwarded-for", b"203.0.113.7 x")],
    "a hidden caller": [(b"x-forwarded-for", b"203.0.113.7, unknown")],
    "an address on this machine": [(b"x-forwarded-for", b"127.0.0.1")],
    "the other header": [(b"forwarded", b"for=203.0.113.7")],
    "no header": [],
}


@pytest.mark.parametrize("name", DOUBTFUL)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_doubtful_caller_behind_a_proxy_on_this_machine_is_limited(name: str, kind: str) -> None:
    proxies = TrustedProxies(["127.0.0.1"])
    edge = wrap(fine, proxies=proxies, address_limit=RateLimit("address", 2))

    answers = [ask(edge, peer="127.0.0.1", headers=DOUBTFUL[name], type=kind) for _ in range(3)]

    assert [status for status, _headers, _body in answers] == [200, 200, 429]
    known = [(b"x-forwarded-for", b"198.51.100.2")]
    assert ask(edge, peer="127.0.0.1", headers=known, type=kind)[0] == 200


def test_the_log_names_a_caller_and_what_a_doubtful_one_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    edge = wrap(fine, proxies=TrustedProxies(["127.0.0.1"]))
    caplog.set_level("INFO", "todo.access")

    for said in (b"198.51.100.2", b"198.51.100.2 token=hunter2"):
        headers = [(b"forwarded", b""), (b"x-forwarded-for", said)]
        ask(edge, peer="127.0.0.1", headers=headers)

    known, doubtful = (vars(record) for record in caplog.records)
    assert known["client"] == "198.51.100.2"
    assert "forwarded" not in known
    assert doubtful["client"] == "127.0.0.1"
    assert doubtful["forwarded"] == "198.51.100.2 token=[redacted]"


def test_callers_of_one_ipv6_prefix_share_a_limit() -> None:
    edge = wrap(fine, address_limit=RateLimit("address", 1, ipv6_prefix=48))

    assert ask(edge, peer="2001:db8:1:1::1")[0] == 200
    assert ask(edge, peer="2001:db8:1:2::1")[0] == 429
    assert ask(edge, peer="2001:db8:2:1::1")[0] == 200


def test_refused_tokens_use_the_limit_of_an_address_up() -> None:
    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({**START, "status": 401})
        await send({"type": "http.response.body", "body": b""})

    edge = wrap(refuse, address_limit=RateLimit("address", 30))

    assert [ask(edge)[0] for _ in range(5)] == [401, 401, 401, 429, 429]


def test_a_websocket_counts_as_well() -> None:
    async def accept(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "status": 101, "headers": []})

    edge = wrap(accept, address_limit=RateLimit("address", 1))

    assert ask(edge, type="websocket")[0] == 101
    assert ask(edge, type="websocket")[0] == 429


async def route_nowhere(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close", "code": 1000})


@pytest.mark.parametrize(
    ("app", "permits", "status", "code"),
    [(fine, 0, 429, "rate-limited"), (route_nowhere, 1, 404, "not-found")],
)
def test_a_handshake_that_is_refused_is_answered_counted_and_logged_as_a_request_is(
    caplog: pytest.LogCaptureFixture, app: ASGIApp, permits: int, status: int, code: str
) -> None:
    counted = Counted()
    limit = RateLimit("address", permits or 1)
    edge = wrap(app, address_limit=limit, metrics=cast("Metrics", counted))
    if not permits:
        limit.take("203.0.113.7")
    caplog.set_level("INFO", "todo.access")

    answered, headers, body = ask(
        edge, type="websocket", scheme="wss", headers=[(b"x-request-id", b"mine")]
    )

    assert (answered, json.loads(body)["code"]) == (status, code)
    assert headers["x-request-id"] == "mine"
    assert "strict-transport-security" in headers
    assert counted.answers == [("GET", "unmatched", status)]
    (line,) = (vars(record) for record in caplog.records)
    assert (line["message"], line["method"], line["status"]) == ("request", "GET", status)
    assert line["client"] == "203.0.113.7"


def test_a_preflight_never_reaches_the_application() -> None:
    headers = [(b"origin", b"https://todo.example"), (b"access-control-request-method", b"GET")]
    edge = wrap(fine, cors=Cors(["https://todo.example"]))

    status, answered, body = ask(edge, method="OPTIONS", headers=headers)

    assert (status, body) == (204, b"")
    assert answered["access-control-allow-origin"] == "https://todo.example"


def test_a_preflight_is_a_request_like_others() -> None:
    counted = Counted()
    headers = [
        (b"origin", b"https://todo.example"),
        (b"access-control-request-method", b"GET"),
        (b"x-request-id", b"mine"),
    ]
    edge = wrap(fine, metrics=cast("Metrics", counted), cors=Cors(["https://todo.example"]))

    _, answered, _ = ask(edge, method="OPTIONS", headers=headers)

    assert answered["x-request-id"] == "mine"
    assert answered["x-content-type-options"] == "nosniff"
    assert counted.answers == [("OPTIONS", "unmatched", 204)]


def test_an_error_may_be_read_by_an_allowed_origin() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError

    edge = wrap(fail, cors=Cors(["https://todo.example"]))
    status, headers, _ = ask(edge, headers=[(b"origin", b"https://todo.example")])

    assert status == 500
    assert headers["access-control-allow-origin"] == "https://todo.example"
