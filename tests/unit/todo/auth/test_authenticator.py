import asyncio
import dataclasses
from typing import TYPE_CHECKING, cast

import pytest

from tests.issuer import Issuer
from todo.auth.authenticator import Authenticator
from todo.auth.tokens import TokenVerifier
from todo.core.caller import Caller
from todo.core.errors import ForbiddenError, MalformedRequestError, UnauthorizedError

if TYPE_CHECKING:
    from todo.auth.api_tokens import ApiTokens
    from todo.auth.cutoffs import Cutoffs

TOKENS = TokenVerifier(b"x" * 32)
# Longer than a run of all tests, at the start of which it is issued.
TOKEN = TOKENS.issue("alice", lifetime_s=86_400)
NAMED = Caller("alice", token_id="1", agent="tidy")  # noqa: S106


class Known:
    """Knows one API token, of a program with a name."""

    async def verify(self, token: str) -> Caller:
        assert token == "todo_known"  # noqa: S105
        return NAMED


class NoCutoffs:
    """Has ended no token."""

    async def check(self, caller: Caller) -> None:
        """Accept it."""


def identify(*headers: tuple[str, str]) -> Caller:
    fields = [(name.encode(), value.encode()) for name, value in headers]
    authenticator = Authenticator(TOKENS, cast("ApiTokens", Known()), cast("Cutoffs", NoCutoffs()))
    return asyncio.run(authenticator.identify(fields))


def test_a_caller_without_the_scope_is_told_which_one_is_missing() -> None:
    caller = Caller("alice", frozenset({"read"}))
    caller.require("read")

    with pytest.raises(ForbiddenError) as caught:
        caller.require("write")

    assert (caught.value.status, caught.value.code) == (403, "insufficient-scope")
    assert "`write`" in caught.value.detail
    challenge = 'Bearer error="insufficient_scope", scope="write"'
    assert caught.value.headers == {"WWW-Authenticate": challenge}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_caller_is_whom_the_token_names(scheme: str) -> None:
    assert identify(("authorization", f"{scheme} {TOKEN}")) == Caller("alice")


def test_a_program_may_say_what_it_is() -> None:
    said = (("x-agent", "tidy/1.2"), ("x-model", "m-3.5:large"), ("x-run-id", "r1"))

    caller = identify(*said, ("authorization", f"Bearer {TOKEN}"))

    assert (caller.agent, caller.model, caller.run_id) == ("tidy/1.2", "m-3.5:large", "r1")


def test_a_program_goes_by_the_name_in_its_api_token() -> None:
    said = (("x-agent", "another"), ("x-run-id", "r1"))

    caller = identify(("authorization", "Bearer todo_known"), *said)

    assert caller == dataclasses.replace(NAMED, run_id="r1")


@pytest.mark.parametrize("value", ["x" * 65, "a b", "a\nb", "é", '"'])
def test_what_a_program_says_of_itself_is_bounded(value: str) -> None:
    with pytest.raises(MalformedRequestError, match="X-Agent"):
        identify(("authorization", f"Bearer {TOKEN}"), ("x-agent", value))


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, Issuer("EdDSA").sign()]
)
def test_anything_else_is_nobody(value: str) -> None:
    with pytest.raises(UnauthorizedError):
        identify(("authorization", value))
