"""SQL statements for API tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from todo.auth.visibility import can_see, visibility_params
from todo.core.caller import Caller
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import Row, Statement
from todo.db.tables import Id, Time, api_token, task_list

_COLUMNS = (
    "id",
    "owner",
    "name",
    "scopes",
    "list_id",
    "agent",
    "require_key",
    "require_match",
    "writes_per_hour",
    "created_at",
    "expires_at",
)
_SHOWN = [api_token.c[name] for name in (*_COLUMNS, "last_used_at")]
_BY_ID = api_token.c.id == bindparam("id")
_TOKEN_LIST_ID = bindparam("only_list", type_=Id)
# A token restricted to one list sees only tokens of the same list.
_OWNED_BY_CALLER = (api_token.c.owner == bindparam("user")) & or_(
    _TOKEN_LIST_ID.is_(None), api_token.c.list_id == _TOKEN_LIST_ID
)

_VERIFY = Statement(
    select(api_token.c.hash, *_SHOWN).where(
        _BY_ID,
        or_(
            api_token.c.expires_at.is_(None),
            api_token.c.expires_at > bindparam("now", type_=Time),
        ),
    )
)
_LIST = Statement(select(*_SHOWN).where(_OWNED_BY_CALLER).order_by(api_token.c.id.desc()))
_FIND = Statement(select(*_SHOWN).where(_BY_ID, _OWNED_BY_CALLER))
_LIST_OF = Statement(
    select(*_SHOWN).where(api_token.c.owner == bindparam("owner")).order_by(api_token.c.id.desc())
)
_LIST_EVERY = Statement(select(*_SHOWN).order_by(api_token.c.owner, api_token.c.id.desc()))
_FIND_ANY = Statement(select(*_SHOWN).where(_BY_ID))
_COUNT = Statement(select(func.count()).where(api_token.c.owner == bindparam("user")))
_ADD = Statement(
    insert(api_token).values(
        {name: bindparam(name) for name in (*_COLUMNS, "hash")} | {"hour": None, "writes": 0}
    )
)
_REMOVE = Statement(delete(api_token).where(_BY_ID))
_SEES_LIST = Statement(
    select(task_list.c.id).where(
        task_list.c.id == bindparam("id"), can_see(task_list.c.owner, task_list.c.id)
    )
)
_USED = Statement(
    update(api_token)
    .where(
        _BY_ID,
        or_(
            api_token.c.last_used_at.is_(None),
            api_token.c.last_used_at < bindparam("at", type_=Time),
        ),
    )
    .values(last_used_at=bindparam("at", type_=Time))
)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """API token without its secret.

    Attributes:
        id: ID, which is also part of the token's text.
        list_id: The only list that the token can access; None for all.
        writes_per_hour: Maximum number of changes per hour; None for no limit.
        expires_at: Time of expiry; None for never.
        last_used_at: Time of the last request, to the minute; None for never.
    """

    id: str
    owner: str
    name: str
    scopes: tuple[str, ...]
    list_id: str | None
    agent: str | None
    require_key: bool
    require_match: bool
    writes_per_hour: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None = None

    @property
    def caller(self) -> Caller:
        """Caller that the token identifies."""
        return Caller(
            user=self.owner,
            scopes=frozenset(self.scopes),
            token_id=self.id,
            list_id=self.list_id,
            agent=self.agent,
            require_key=self.require_key,
            require_match=self.require_match,
            writes_per_hour=self.writes_per_hour,
        )


class ApiTokenRepository:
    """Repository of one caller's API tokens, within a session."""

    def __init__(self, session: Session, caller: Caller) -> None:
        self._session = session
        self._sight = visibility_params(caller)

    async def list_all(self) -> list[ApiToken]:
        """Return the caller's tokens, newest first."""
        return [_read(row) for row in await self._session.fetch(_LIST, self._sight)]

    async def find(self, token_id: str) -> ApiToken | None:
        """Return a token of the caller, or None."""
        row = await self._session.find(_FIND, {"id": token_id, **self._sight})
        return None if row is None else _read(row)

    async def count(self) -> int:
        """Return the number of the user's tokens."""
        ((count,),) = await self._session.fetch(_COUNT, {"user": self._sight["user"]})
        return int(count)

    async def sees_list(self, list_id: str) -> bool:
        """Return whether a list is visible to the caller."""
        return await self._session.find(_SEES_LIST, {"id": list_id, **self._sight}) is not None

    async def add(self, token: ApiToken, digest: bytes) -> None:
        """Store a token with the digest of its secret."""
        values = {name: getattr(token, name) for name in _COLUMNS}
        await self._session.fetch(
            _ADD, {**values, "scopes": " ".join(token.scopes), "hash": digest}
        )

    async def remove(self, token_id: str) -> None:
        """Delete a token, which becomes invalid with the commit."""
        await self._session.fetch(_REMOVE, {"id": token_id})


async def list_tokens(session: Session, owner: str | None) -> list[ApiToken]:
    """Return the tokens of one owner, or of all owners by name; newest first."""
    if owner is None:
        return [_read(row) for row in await session.fetch(_LIST_EVERY, {})]
    return [_read(row) for row in await session.fetch(_LIST_OF, {"owner": owner})]


async def find_token(session: Session, token_id: str) -> ApiToken | None:
    """Return a token of any user, or None."""
    row = await session.find(_FIND_ANY, {"id": token_id})
    return None if row is None else _read(row)


async def store_last_use(session: Session, times: Mapping[str, str]) -> None:
    """Store the last use of tokens, by ID, unless a later time is already stored."""
    # In a fixed order, which prevents deadlocks between processes.
    rows = [{"id": token_id, "at": times[token_id]} for token_id in sorted(times)]
    await session.run_many(_USED, rows)


async def find_valid(session: Session, token_id: str, now: str) -> tuple[bytes, ApiToken] | None:
    """Return the digest of the secret and the token, or None if it is revoked or expired."""
    row = await session.find(_VERIFY, {"id": token_id, "now": now})
    return None if row is None else (bytes(row[0]), _read(row[1:]))


def _read(row: Row) -> ApiToken:
    names = (*_COLUMNS, "last_used_at")
    found: dict[str, Any] = dict(zip(names, row, strict=True))
    found["scopes"] = tuple(found["scopes"].split())
    # SQLite has no types for UUIDs, booleans and times.
    for name in ("id", "list_id"):
        found[name] = found[name] and str(found[name])
    for name in ("require_key", "require_match"):
        found[name] = bool(found[name])
    for name in ("created_at", "expires_at", "last_used_at"):
        found[name] = found[name] and _as_text(found[name])
    return ApiToken(**found)


def _as_text(time: datetime | str) -> str:
    if isinstance(time, str):
        return time
    return format_timestamp(time)
