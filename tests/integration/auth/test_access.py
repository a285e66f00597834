"""Authentication: invalid tokens, key sets of an issuer, limits, and browsers."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.integration.service import SECRET, Service, open_folder, open_service
from tests.issuer import ALGORITHMS, Issuer, key_set, signed_with_secret, unsigned
from tests.machine_clock import wait_until

PATH = "/api/v1/tasks"
ISSUERS = {algorithm: Issuer(algorithm, f"key of {algorithm}") for algorithm in ALGORITHMS}
STRANGER = Issuer("EdDSA", "a stranger's key")
LOGIN = {"iss": "https://login.example", "aud": "todo"}


class Login:
    """A login service that publishes its keys on this machine."""

    def __init__(self) -> None:
        self.text = key_set(*ISSUERS.values())
        self.status = 200
        self.asked = 0
        login = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                login.asked += 1
                self.send_response(login.status)
                self.send_header("Cache-Control", "public, max-age=60")
                self.send_header("Content-Length", str(len(login.text)))
                self.end_headers()
                self.wfile.write(login.text)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks?of=all"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def login() -> Iterator[Login]:
    running = Login()
    yield running
    with contextlib.suppress(OSError):
        running.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Service]:
    """A backend that accepts both kinds of token, for one audience of one issuer."""
    with open_folder() as folder:
        file = folder / "jwks.json"
        file.write_bytes(key_set(*ISSUERS.values()))
        options = {
            "TODO_JWKS_FILE": str(file),
            "TODO_TOKEN_ISSUER": LOGIN["iss"],
            "TODO_TOKEN_AUDIENCE": LOGIN["aud"],
        }
        with open_service(options) as service:
            service.wait_ready()
            yield service


def ask(service: Service, token: str, **headers: str) -> httpx.Response:
    with service.client(token) as client:
        return client.get(PATH, headers=headers)


def claims(**changed: object) -> dict[str, Any]:
    """Claims of a valid token of alice with changes; claims that are None are omitted."""
    return {"sub": "alice", "exp": int(time.time()) + 600, **LOGIN, **changed}


def shared(**changed: object) -> str:
    said = {name: value for name, value in claims(**changed).items() if value is not None}
    return jwt.encode(said, SECRET, "HS256")


def confused(algorithm: str, *, pem: bool) -> str:
    """Signed with a public key as if that were a shared secret."""
    issuer = ISSUERS[algorithm]
    secret = issuer.pem if pem else json.dumps(issuer.jwk).encode()
    return signed_with_secret(secret, {"kid": issuer.key_id}, claims())


def relabelled(algorithm: str, named: str) -> str:
    """A good signature under a header that names another algorithm."""
    issuer = ISSUERS[algorithm]
    _, payload, signature = issuer.sign(claims()).split(".")
    head = unsigned({"alg": named, "kid": issuer.key_id}, {}).partition(".")[0]
    return f"{head}.{payload}.{signature}"


def signed(**changed: object) -> str:
    return ISSUERS["EdDSA"].sign(claims(**changed))


def after(seconds: int) -> int:
    """A time of the running test: it may run long after this file was imported."""
    return int(time.time()) + seconds


BAD: dict[str, tuple[Callable[[], str], str]] = {
    "alg none": (lambda: unsigned({"alg": "none"}, claims()), "algorithm"),
    "alg None": (lambda: unsigned({"alg": "None", "kid": ""}, claims()), "algorithm"),
    "alg none with a signature": (lambda: relabelled("EdDSA", "none"), "algorithm"),
    "no alg": (lambda: unsigned({"typ": "JWT"}, claims()), "algorithm"),
    "no signature": (lambda: unsigned({"alg": "HS256"}, claims()), "signature"),
    "a public RSA key as secret": (lambda: confused("RS256", pem=True), "signature"),
    "a public EC key as secret": (lambda: confused("ES256", pem=True), "signature"),
    "a public Ed25519 key as secret": (lambda: confused("EdDSA", pem=True), "signature"),
    "a JWK as secret": (lambda: confused("RS256", pem=False), "signature"),
    "RS256 said to be HS256": (lambda: relabelled("RS256", "HS256"), "signature"),
    "RS256 said to be PS256": (lambda: relabelled("RS256", "PS256"), "algorithm"),
    "EdDSA said to be ES256": (lambda: relabelled("EdDSA", "ES256"), "unknown key"),
    "HS512": (lambda: jwt.encode(claims(), SECRET + SECRET, "HS512"), "algorithm"),
    "expired": (lambda: signed(exp=after(-60)), "expired"),
    "expired, shared secret": (lambda: shared(exp=after(-60)), "expired"),
    "without expiry": (lambda: shared(exp=None), "claim missing"),
    "not yet valid": (lambda: signed(nbf=after(600)), "not yet valid"),
    "not yet valid, shared secret": (lambda: shared(nbf=after(600)), "not yet valid"),
    "issued in the future": (lambda: signed(iat=after(600)), "not yet valid"),
    "another audience": (lambda: signed(aud="elsewhere"), "audience"),
    "another audience, shared secret": (lambda: shared(aud="elsewhere"), "audience"),
    "no audience": (lambda: signed(aud=None), "claim missing"),
    "another issuer": (lambda: signed(iss="https://evil.example"), "issuer"),
    "another issuer, shared secret": (lambda: shared(iss="https://evil.example"), "issuer"),
    "no issuer": (lambda: signed(iss=None), "claim missing"),
    "an unknown key": (lambda: STRANGER.sign(claims()), "unknown key"),
    "an unknown key under a known id": (
        lambda: Issuer("EdDSA", "forger").sign(claims(), kid=ISSUERS["EdDSA"].key_id),
        "signature",
    ),
    "no key id": (lambda: STRANGER.sign(claims(), kid=None), "signature"),
    "another secret": (lambda: jwt.encode(claims(), "x" * 40, "HS256"), "signature"),
    "a key that the token brings": (
        lambda: STRANGER.sign(claims(), jwk=STRANGER.jwk, jku="https://evil.example"),
        "unknown key",
    ),
    "a critical extension": (lambda: STRANGER.sign(claims(), crit=["exp"]), "malformed"),
    "huge": (lambda: shared(name="x" * 5000), "too long"),
    "nested": (lambda: unsigned({"alg": "HS256"}, {})[:20] + "[" * 3000, "malformed"),
    "cut in the signature": (lambda: signed()[:-10], "signature"),
    "cut in the claims": (lambda: signed()[:80], "malformed"),
    "cut in the header": (lambda: signed()[:20], "malformed"),
    "changed in the claims": (
        lambda: signed()[:100] + "A" + signed()[101:],
        "signature",
    ),
    "no subject": (lambda: signed(sub=None), "subject"),
    "a number as subject": (lambda: shared(sub=7), "subject"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_and_not_logged(guarded: Service, name: str) -> None:
    make, reason = BAD[name]
    token = make()
    request_id = "bad-" + name.replace(" ", "-").replace(",", "")

    response = ask(guarded, token, **{"X-Request-ID": request_id})

    assert response.status_code == 401
    assert response.json()["detail"] == "A valid bearer token is required."
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    def find_logged() -> list[dict[str, Any]]:
        logged = [e for e in guarded.events if e.get("request_id") == request_id]
        return logged if len(logged) == 2 else []

    refused, request = wait_until(find_logged, "logged", within_s=60)
    assert (refused["message"], refused["reason"]) == ("token refused", reason)
    assert request["status"] == 401
    text = json.dumps(guarded.events) + guarded.errors
    assert [part for part in token.split(".") if len(part) > 8 and part in text] == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("claim", ["sub", "user_id", "id"])
def test_a_token_of_the_login_service_is_accepted(
    guarded: Service, algorithm: str, claim: str
) -> None:
    token = ISSUERS[algorithm].sign(claims(**{"sub": None, claim: "alice"}))

    assert ask(guarded, token).status_code == 200


def test_a_token_of_the_backends_own_is_accepted_beside_a_key_set(guarded: Service) -> None:
    assert ask(guarded, shared()).status_code == 200


def test_keys_are_fetched_when_needed_and_rotate_without_a_restart(login: Login) -> None:
    options = {"TODO_JWKS_URL": login.url, "TODO_JWKS_REFETCH_S": "1"}
    with open_service(options) as service:
        service.wait_ready()
        assert login.asked == 0
        old, new = ISSUERS["ES256"], Issuer("ES256", "the next key")
        assert ask(service, service.token()).status_code == 200
        assert login.asked == 0
        for _ in range(5):
            assert ask(service, old.sign()).status_code == 200
            assert ask(service, Issuer("RS256", "unheard of").sign()).status_code == 401
        assert login.asked == 1

        login.text = key_set(new)
        time.sleep(1.1)
        assert ask(service, new.sign()).status_code == 200
        assert ask(service, old.sign()).status_code == 401
        assert login.asked == 2

        login.close()
        time.sleep(1.1)
        for _ in range(3):
            assert ask(service, STRANGER.sign()).status_code == 401
        assert ask(service, new.sign()).status_code == 200
        with service.client(management=True) as management:
            text = management.get("/metrics").text
        assert 'todo_breaker_state{breaker="key-set",state="closed"}' in text


def test_without_keys_the_answer_is_503_until_the_source_is_back(login: Login) -> None:
    login.status = 500
    token = ISSUERS["EdDSA"].sign()
    with open_service({"TODO_JWKS_URL": login.url, "TODO_JWKS_REFETCH_S": "1"}) as service:
        service.wait_ready()
        answers = [ask(service, token) for _ in range(6)]

        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["code"] for answer in answers} == {"key-set-unavailable"}
        assert answers[-1].headers["retry-after"] == "1"
        assert login.asked == 2
        assert ask(service, service.token()).status_code == 200
        service.wait_for("the key set cannot be fetched: the response has status 500")

        login.status = 200
        time.sleep(1.1)
        assert ask(service, token).status_code == 200


@pytest.mark.parametrize("text", [b"", b"<html>", b"{" * 100_000, b'{"keys": []}'])
def test_what_is_no_key_set_is_no_key(login: Login, text: bytes) -> None:
    login.text = text
    with open_service({"TODO_JWKS_URL": login.url}) as service:
        service.wait_ready()
        assert ask(service, ISSUERS["EdDSA"].sign()).status_code == 503
        assert ask(service, service.token()).status_code == 200


def test_a_key_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set(STRANGER))
    with open_service({"TODO_JWKS_FILE": str(file), "TODO_JWKS_REFETCH_S": "1"}) as service:
        service.wait_ready()
        assert ask(service, STRANGER.sign()).status_code == 200
        file.write_bytes(key_set(*ISSUERS.values()))
        time.sleep(1.1)
        assert ask(service, ISSUERS["RS256"].sign()).status_code == 200
        assert ask(service, STRANGER.sign()).status_code == 401


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "TODO_JWKS_FILE cannot be read"), (b"{}", "TODO_JWKS_FILE is not usable")],
)
def test_a_key_file_that_is_not_usable_ends_the_start(
    tmp_path: Path, content: bytes | None, text: str
) -> None:
    file = tmp_path / "jwks.json"
    if content is not None:
        file.write_bytes(content)
    with open_service({"TODO_JWKS_FILE": str(file)}) as service:
        assert service.process.wait(20) == 77
        assert text in json.loads(service.errors)["message"]


def test_beside_a_key_set_a_container_needs_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set(STRANGER))
    options = {
        "container": "test",
        "TODO_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/todo.db",
        "TODO_DATABASE_MIGRATE": "startup",
        "TODO_JWKS_FILE": str(file),
        "TODO_TOKEN_SECRET_FILE": str(tmp_path / "absent"),
    }
    with open_service(options) as service:
        service.wait_ready()
        assert ask(service, STRANGER.sign()).status_code == 200
        assert ask(service, service.token()).status_code == 401


def test_a_token_that_is_used_too_often_is_slowed_down() -> None:
    with open_service({"TODO_RATE_LIMIT_PER_MINUTE": "3"}) as service:
        service.wait_ready()
        answers = [ask(service, service.token()) for _ in range(5)]
        other = ask(service, service.token("bob"))
        with service.client(management=True) as management:
            text = management.get("/metrics").text

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["ratelimit"] for answer in answers[:3]] == [
        '"token";r=2;t=20',
        '"token";r=1;t=40',
        '"token";r=0;t=60',
    ]
    assert answers[0].headers["ratelimit-policy"] == '"token";q=3;w=60'
    assert answers[3].json()["code"] == "rate-limited"
    assert 18 <= int(answers[3].headers["retry-after"]) <= 20
    assert other.status_code == 200
    assert 'todo_rate_limited_requests_total{limit="token"} 2.0' in text


def test_an_address_that_guesses_tokens_is_slowed_down_and_health_is_not() -> None:
    options = {"TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "25", "TODO_TRUSTED_PROXIES": "unix"}
    with open_service(options) as service:
        service.wait_ready()
        guesser, other = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
        answers = [ask(service, "x.y.z", **guesser) for _ in range(5)]

        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert answers[-1].headers["ratelimit-policy"] == '"address";q=25;w=60'
        assert ask(service, service.token(), **guesser).status_code == 429
        assert ask(service, service.token(), **other).status_code == 200
        with service.client() as client:
            assert client.get("/health", headers=guesser).status_code == 200


def test_a_listed_origin_may_call_from_a_browser() -> None:
    origin = {"Origin": "https://todo.example"}
    wish = {"Access-Control-Request-Method": "PATCH"}
    with open_service({"TODO_CORS_ORIGINS": "https://todo.example"}) as service:
        service.wait_ready()
        with service.client(service.token()) as client:
            preflight = client.options(f"{PATH}/1", headers={**origin, **wish})
            foreign = client.options(PATH, headers={"Origin": "https://evil.example", **wish})
            too_large = client.post(PATH, content=b"x" * 1024 * 1025, headers=origin)
        answers = [ask(service, service.token(), **origin), ask(service, "bad", **origin)]

    assert preflight.status_code == 204
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert foreign.status_code == 405
    assert "access-control-allow-origin" not in foreign.headers
    assert [answer.status_code for answer in (*answers, too_large)] == [200, 401, 413]
    for answer in (preflight, *answers, too_large):
        assert answer.headers["access-control-allow-origin"] == origin["Origin"]


def test_no_origin_is_allowed_unasked(service: Service) -> None:
    answer = ask(service, service.token(), Origin="https://todo.example")

    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", [PATH, "/health", "/nothing", "/openapi.json"])
def test_every_answer_carries_the_headers_that_keep_browsers_safe(
    service: Service, path: str
) -> None:
    with service.client() as client:
        headers = client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


def test_a_request_behind_tls_keeps_the_browser_on_tls() -> None:
    with open_service({"TODO_TRUSTED_PROXIES": "unix"}) as service:
        service.wait_ready()
        answer = ask(service, service.token(), **{"X-Forwarded-Proto": "https"})

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_api_documents_its_bearer_tokens(service: Service) -> None:
    with service.client() as client:
        document = client.get("/openapi.json").json()

    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"][PATH]["get"]["security"] == [{"bearer": []}]
