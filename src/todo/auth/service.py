"""API token service: no token grants more than the token of its creator."""

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from todo.auth.api_tokens import digest, make_secret, render_token
from todo.auth.cutoffs import check_stored
from todo.auth.repository import ApiToken, ApiTokenRepository
from todo.core.errors import (
    ForbiddenError,
    NotFoundError,
    StateConflictError,
    VersionMismatchError,
)
from todo.core.ids import new_uuid7
from todo.core.validation_errors import field_error
from todo.writes.unit_of_work import UnitOfWork

MAX_TOKENS = 100
VERSION = 1
"""Version of a token: tokens are created and revoked, never changed."""


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """New token: its document, and its text with the secret, which is shown only once."""

    document: bytes
    text: str


class ApiTokenService:
    """Creation and revocation of the caller's API tokens, within one write."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._store = ApiTokenRepository(work.session, work.caller)

    async def create(self, fields: dict[str, Any]) -> CreatedToken:
        """Create a token from the fields of `TokenCreate`, as JSON values.

        Raises:
            UnauthorizedError: The caller's JSON Web Token has just been revoked.
            NotFoundError: The caller's API token has just been revoked.
            ForbiddenError: The caller's token lacks a requested scope.
            ValidationFailedError: The expiry is past, or the list is not visible to the caller.
            StateConflictError: The user already has `MAX_TOKENS` tokens.
        """
        work = self._work
        user = work.caller.user
        await work.lock(user)
        if work.caller.token_id is None:
            # Checked under the lock, which the command that revokes a user's tokens also acquires.
            await check_stored(work.session, work.caller)
        for scope in fields["scopes"]:
            if scope not in work.caller.scopes:
                raise ForbiddenError(scope)
        if await self._store.count() >= MAX_TOKENS:
            raise StateConflictError(
                f"You have the maximum of {MAX_TOKENS} tokens; revoke one that you no longer use."
            )
        token = ApiToken(
            id=str(new_uuid7()),
            owner=user,
            created_at=work.timestamp,
            name=fields["name"],
            scopes=tuple(sorted(fields["scopes"])),
            **await self._bound(fields),
        )
        secret = make_secret()
        await self._store.add(token, digest(secret))
        work.record(user, "create", "token", token.id, after=render_snapshot(token))
        return CreatedToken(render_shown(token), render_token(token.id, secret))

    async def revoke(self, token_id: str, expected: frozenset[int] | None = None) -> None:
        """Revoke a token if its version is one of the expected ones; None accepts any version.

        Raises:
            NotFoundError: The token does not exist, or is not visible to the caller.
            VersionMismatchError: The version is not one of the expected ones.
        """
        user = self._work.caller.user
        await self._work.lock(user)
        token = await self._store.find(token_id)
        if token is None:
            raise NotFoundError
        if expected is not None and VERSION not in expected:
            raise VersionMismatchError
        await self._store.remove(token_id)
        self._work.record(user, "delete", "token", token_id, before=render_snapshot(token))

    async def _bound(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the limits of a new token: the requested ones, within those of the caller."""
        caller = self._work.caller
        asked_list, asked_end = fields.get("list_id"), fields.get("expires_at")
        list_id = asked_list or caller.list_id
        if asked_list is not None and not await self._store.sees_list(asked_list):
            raise field_error("list_id", "the list does not exist")
        if asked_end is not None and asked_end <= self._work.timestamp:
            raise field_error("expires_at", "must be in the future")
        maker = None
        if caller.token_id is not None:
            maker = await self._store.find(caller.token_id)
            if maker is None:
                # The token was just revoked, so it must not create one that outlives it.
                raise NotFoundError
        return {
            "list_id": list_id,
            "expires_at": _least(asked_end, maker and maker.expires_at),
            "writes_per_hour": _least(fields.get("writes_per_hour"), caller.writes_per_hour),
            "require_key": fields.get("require_key", False) or caller.require_key,
            "require_match": fields.get("require_match", False) or caller.require_match,
            # A program must not appear under another name in the journal.
            "agent": (maker and maker.agent) or fields.get("agent"),
        }


def render_snapshot(token: ApiToken) -> bytes:
    """Return the journal's snapshot of a token, without its last use, which is not a change."""
    fields = asdict(token)
    del fields["last_used_at"]
    return orjson.dumps({**fields, "version": VERSION})


def render_shown(token: ApiToken) -> bytes:
    """Return the document of a token for responses."""
    return orjson.dumps({**asdict(token), "version": VERSION})


def _least(asked: Any, bound: Any) -> Any:  # noqa: ANN401 - numbers, or times as text
    given = [value for value in (asked, bound) if value is not None]
    return min(given) if given else None
