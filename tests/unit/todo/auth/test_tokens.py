import asyncio
import base64
import json
import stat
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import jwt
import pytest

from tests.issuer import ALGORITHMS, Issuer, key_set, signed_with_secret, unsigned
from todo.auth.authenticator import open_tokens
from todo.auth.key_set import KeySet
from todo.auth.tokens import TokenVerifier, load_secret
from todo.config.settings import Settings
from todo.core.caller import SCOPES, Caller
from todo.core.errors import UnauthorizedError
from todo.core.exit import ExitCode, FatalError

SECRET = b"0123456789abcdef0123456789abcdef"
SOON = int(time.time()) + 24 * 3600


def encode(claims: dict[str, Any], secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def verify(tokens: TokenVerifier, token: str) -> Caller:
    return asyncio.run(tokens.verify(token)).caller


def test_an_issued_token_names_its_subject() -> None:
    tokens = TokenVerifier(SECRET)

    assert verify(tokens, tokens.issue("alice", lifetime_s=60)) == Caller("alice")


@pytest.mark.parametrize("claim", ["sub", "user_id", "id"])
def test_the_subject_may_stand_in_the_claims_of_known_front_ends(claim: str) -> None:
    assert verify(TokenVerifier(SECRET), encode({claim: "bob", "exp": SOON})).user == "bob"


def test_sub_comes_first() -> None:
    assert (
        verify(TokenVerifier(SECRET), encode({"id": "x", "sub": "bob", "exp": SOON})).user == "bob"
    )


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, SCOPES),
        ({"scope": "read write"}, {"read", "write"}),
        ({"scope": "openid read"}, {"read"}),
        ({"scope": ""}, set()),
    ],
)
def test_a_token_allows_all_unless_it_says_what(claims: dict[str, Any], scopes: set[str]) -> None:
    caller = verify(TokenVerifier(SECRET), encode({"sub": "bob", "exp": SOON, **claims}))

    assert caller.scopes == scopes


REFUSED = {
    "expired": encode({"sub": "a", "exp": int(time.time()) - 60}),
    "without expiry": encode({"sub": "a"}),
    "without subject": encode({"exp": SOON}),
    "an empty subject": encode({"sub": "", "exp": SOON}),
    "an empty subject beside another": encode({"sub": "", "id": "admin", "exp": SOON}),
    "a number as subject": encode({"sub": 7, "exp": SOON}),
    "a NUL in the subject": encode({"sub": "a\0", "exp": SOON}),
    "a long subject": encode({"sub": "a" * 256, "exp": SOON}),
    "not yet valid": encode({"sub": "a", "exp": SOON, "nbf": SOON}),
    "another secret": encode({"sub": "a", "exp": SOON}, b"x" * 32),
    "another algorithm": encode({"sub": "a", "exp": SOON}, SECRET + SECRET, "HS512"),
    "scopes that are no text": encode({"sub": "a", "exp": SOON, "scope": ["read"]}),
    "no scopes": encode({"sub": "a", "exp": SOON, "scope": None}),
    "a critical extension": jwt.encode(
        {"sub": "a", "exp": SOON}, SECRET, "HS256", {"crit": ["b64"], "b64": True}
    ),
    "another audience": encode({"sub": "a", "exp": SOON, "aud": "elsewhere"}),
    "no signature": unsigned({"alg": "none", "typ": "JWT"}, {"sub": "a", "exp": SOON}),
    "expiry beyond numbers": encode({"sub": "a", "exp": float("inf")}),
    "expiry not a number": encode({"sub": "a", "exp": "soon"}),
    "nesting": base64.urlsafe_b64encode(b"[" * 2900).decode() + ".e30.x",
    "nothing": "",
    "too long": "x" * 5000,
    "not ASCII": "é.é.é",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_token_is_refused_without_a_reason(name: str) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        verify(TokenVerifier(SECRET), REFUSED[name])

    assert caught.value.detail == "A valid bearer token is required."
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@pytest.mark.parametrize(
    ("claims", "issued_at"), [({}, None), ({"iat": 7}, 7.0), ({"iat": 7.5}, 7.5)]
)
def test_a_verified_token_says_when_it_was_issued(
    claims: dict[str, Any], issued_at: float | None
) -> None:
    token = encode({"sub": "a", "exp": SOON, **claims})

    assert asyncio.run(TokenVerifier(SECRET).verify(token)).caller.issued_at == issued_at


class Later(datetime):
    """The time after `SOON`, for PyJWT."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(SOON + 11, tz)


def test_a_verified_token_ends_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = TokenVerifier(SECRET)
    token = encode({"sub": "a", "exp": SOON})
    verify(tokens, token)

    monkeypatch.setattr(time, "time", lambda: SOON + 11)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)

    with pytest.raises(UnauthorizedError):
        verify(tokens, token)


def test_audience_and_issuer_are_checked_when_they_are_set() -> None:
    tokens = TokenVerifier(SECRET, audience="todo", issuer="login")
    right = {"sub": "a", "exp": SOON, "aud": "todo", "iss": "login"}

    assert verify(tokens, encode(right)).user == "a"
    assert verify(tokens, encode({**right, "aud": ["other", "todo"]})).user == "a"
    assert verify(tokens, tokens.issue("a", lifetime_s=60)).user == "a"
    for wrong in ({"aud": "other"}, {"iss": "other"}, {"aud": None}, {"iss": None}):
        claims = {name: value for name, value in {**right, **wrong}.items() if value}
        with pytest.raises(UnauthorizedError):
            verify(tokens, encode(claims))


OLD_SECRET = b"fedcba9876543210fedcba9876543210"


def test_after_a_rotation_tokens_of_both_secrets_are_accepted_for_a_while() -> None:
    old, new = TokenVerifier(OLD_SECRET), TokenVerifier(SECRET)
    both = TokenVerifier(SECRET, previous_secret=OLD_SECRET)
    before, after = old.issue("a", lifetime_s=60), both.issue("b", lifetime_s=60)

    assert [verify(both, token).user for token in (before, after)] == ["a", "b"]
    assert verify(new, after).user == "b"
    with pytest.raises(UnauthorizedError):
        verify(new, before)
    with pytest.raises(UnauthorizedError):
        verify(old, after)


def test_an_issued_token_names_its_secret_and_does_not_give_it_away() -> None:
    headers = [
        jwt.get_unverified_header(TokenVerifier(secret).issue("a", lifetime_s=60))
        for secret in (SECRET, OLD_SECRET)
    ]

    ids = [header["kid"] for header in headers]
    assert ids[0] != ids[1]
    assert all(len(key_id) == 12 for key_id in ids)


@pytest.mark.parametrize("key_id", [None, "", "theirs", "x" * 300])
@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_a_token_that_names_no_secret_of_ours_is_tried_with_both(
    key_id: str | None, secret: bytes
) -> None:
    both = TokenVerifier(SECRET, previous_secret=OLD_SECRET)
    claims = {"sub": "a", "exp": SOON}

    assert verify(both, signed_with_secret(secret, {"kid": key_id}, claims)).user == "a"
    with pytest.raises(UnauthorizedError):
        verify(both, signed_with_secret(b"x" * 32, {"kid": key_id}, claims))


def test_the_id_of_a_secret_does_not_replace_its_signature() -> None:
    both = TokenVerifier(SECRET, previous_secret=OLD_SECRET)
    header = jwt.get_unverified_header(both.issue("a", lifetime_s=60))
    claims = {"sub": "a", "exp": SOON}

    with pytest.raises(UnauthorizedError):
        verify(both, signed_with_secret(OLD_SECRET, {"kid": header["kid"]}, claims))


def test_an_expired_token_of_the_previous_secret_is_refused() -> None:
    both = TokenVerifier(SECRET, previous_secret=OLD_SECRET)

    with pytest.raises(UnauthorizedError):
        verify(both, encode({"sub": "a", "exp": int(time.time()) - 60}, OLD_SECRET))


def with_keys(
    *issuers: Issuer, secret: bytes | None = SECRET, jwk: dict[str, Any] | None = None
) -> TokenVerifier:
    async def fetch() -> tuple[bytes, float]:
        keys = json.loads(key_set(*issuers))["keys"] + ([jwk] if jwk else [])
        return json.dumps({"keys": keys}).encode(), 60.0

    return TokenVerifier(secret, keys=KeySet(fetch, refetch_s=30))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_the_set_verifies_what_it_signed(algorithm: str) -> None:
    others = [Issuer(other, f"other {other}") for other in ALGORITHMS]
    issuer = Issuer(algorithm)

    assert verify(with_keys(*others, issuer), issuer.sign()).user == "alice"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_is_no_shared_secret(algorithm: str) -> None:
    issuer = Issuer(algorithm)
    tokens = with_keys(issuer)
    claims = {"sub": "alice", "exp": SOON}
    secrets = [issuer.pem, issuer.pem.strip(), key_set(issuer), b""]
    secrets += [str(value).encode() for value in issuer.jwk.values()]

    for secret in secrets:
        for header in ({}, {"kid": issuer.key_id}):
            with pytest.raises(UnauthorizedError):
                verify(tokens, signed_with_secret(secret, header, claims))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "named",
    ["EdDSA", "ES256", "RS256", "none", "HS256", "PS256", "Ed25519", "Ed448", "", None, ["EdDSA"]],
)
def test_a_key_is_good_for_its_own_algorithm_alone(algorithm: str, named: object) -> None:
    issuer = Issuer(algorithm)
    if named == algorithm:
        return
    _, payload, signature = issuer.sign().split(".")
    head = unsigned({"alg": named, "kid": issuer.key_id}, {}).split(".")[0]

    with pytest.raises(UnauthorizedError):
        verify(with_keys(issuer), f"{head}.{payload}.{signature}")


@pytest.mark.parametrize("named", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("said", [None, "EdDSA", "Ed25519"])
def test_a_signature_may_be_named_after_its_curve(named: str, said: str | None) -> None:
    issuer = Issuer("EdDSA")
    tokens = with_keys(Issuer("EdDSA", "second"), jwk={**issuer.jwk, "alg": said})

    assert verify(tokens, issuer.sign_under({"alg": named, "kid": "first"})).user == "alice"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("header", [{}, {"kid": None}, {"kid": ""}])
def test_a_token_without_a_key_id_is_verified_with_the_key_that_fits(
    algorithm: str, header: dict[str, Any]
) -> None:
    issuers = [Issuer(each, f"of {each}") for each in ALGORITHMS]
    token = Issuer(algorithm, f"of {algorithm}").sign_under({"alg": algorithm, **header})

    assert verify(with_keys(*issuers), token).user == "alice"
    with pytest.raises(UnauthorizedError):
        verify(with_keys(*issuers, Issuer(algorithm, "another")), token)


def test_without_a_secret_no_token_is_signed_with_one() -> None:
    tokens = with_keys(Issuer("EdDSA"), secret=None)

    for secret in (SECRET, b"", b"None"):
        token = signed_with_secret(secret, {}, {"sub": "alice", "exp": SOON})
        with pytest.raises(UnauthorizedError):
            verify(tokens, token)
    with pytest.raises(ValueError, match="no shared secret"):
        tokens.issue("alice", lifetime_s=60)


@pytest.mark.parametrize("key_id", [7, {}, [], "x" * 300, "\0", "second"])
def test_an_odd_key_id_is_refused(key_id: object) -> None:
    issuer = Issuer("EdDSA")
    header = {"alg": "EdDSA", "kid": key_id}
    signature = issuer.sign().split(".")[2]

    with pytest.raises(UnauthorizedError):
        verify(with_keys(issuer), unsigned(header, {"sub": "a", "exp": SOON}) + signature)


def test_the_final_newline_is_no_part_of_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")

    assert load_secret(path, create=False) == SECRET


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31 + b"\n"])
def test_a_weak_secret_is_fatal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)

    with pytest.raises(FatalError, match="at least 32 bytes") as caught:
        load_secret(path, create=True)
    assert caught.value.code == ExitCode.SECRET


def test_a_previous_secret_that_is_absent_is_fatal(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    previous = tmp_path / "previous"
    settings = Settings(token_secret_file=secret, token_previous_secret_file=previous)

    with pytest.raises(FatalError, match="TODO_TOKEN_PREVIOUS_SECRET_FILE") as caught:
        open_tokens(settings, create=True)
    assert caught.value.code == ExitCode.SECRET
    assert not previous.exists()


def test_an_absent_secret_is_fatal_where_none_may_be_made(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="No such file") as caught:
        load_secret(tmp_path / "secret", create=False)
    assert caught.value.code == ExitCode.SECRET


def test_an_absent_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret"

    made = load_secret(path, create=True)

    assert load_secret(path, create=True) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]
