import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from todo.auth.tokens import Tokens, load_secret
from todo.errors import UnauthorizedError
from todo.fatal import ExitCode, FatalError

SECRET = b"0123456789abcdef0123456789abcdef"
SOON = int(time.time()) + 3600


def encode(claims: dict[str, Any], secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims)
    )
    return b".".join([*parts, b""]).decode()


def test_an_issued_token_names_its_subject() -> None:
    tokens = Tokens(SECRET)

    assert tokens.verify(tokens.issue("alice", lifetime_s=60)) == "alice"


@pytest.mark.parametrize("claim", ["sub", "user_id", "id"])
def test_the_subject_may_stand_in_the_claims_of_known_front_ends(claim: str) -> None:
    assert Tokens(SECRET).verify(encode({claim: "bob", "exp": SOON})) == "bob"


def test_sub_comes_first() -> None:
    assert Tokens(SECRET).verify(encode({"id": "x", "sub": "bob", "exp": SOON})) == "bob"


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
        Tokens(SECRET).verify(REFUSED[name])

    assert caught.value.detail == "A valid bearer token is required."
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


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
