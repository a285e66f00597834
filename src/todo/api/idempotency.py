"""Idempotency keys: a request with an Idempotency-Key is executed only once.

The key is claimed and the response stored in the transaction of the write, so that a crash leaves
both or neither. If concurrent requests have the same key, one is executed and the others wait. Only
successful writes are stored: a rejected request may be corrected and sent with the same key.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from fastapi import Request
from sqlalchemy import bindparam, delete, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from todo.api.conditional import find_if_match
from todo.api.responses import StoredResponse
from todo.core.caller import Caller
from todo.core.errors import KeyReusedError, MalformedRequestError
from todo.core.timestamps import format_timestamp
from todo.db.statement import SQLITE, BoundStatement, Statement
from todo.db.tables import Time, idempotency
from todo.writes.unit_of_work import UnitOfWork

LIFETIME = timedelta(hours=24)
MAX_KEY_LENGTH = 255
REPLAYED = "idempotency-replayed"
# JSON never starts like this, so the two kinds of fingerprint cannot collide.
_CANONICAL = b"canonical\n"
# Expired keys are deleted in small batches, with the writes that use the table.
_PURGED = 20


def _insert(dialect: str) -> Any:  # noqa: ANN401 - each dialect has its own insert
    make = sqlite_insert if dialect == SQLITE else postgresql_insert
    new = make(idempotency).values(
        user_id=bindparam("user_id"),
        key=bindparam("key"),
        fingerprint=bindparam("fingerprint"),
        created_at=bindparam("created_at"),
    )
    return new.on_conflict_do_update(
        index_elements=["user_id", "key"],
        set_={
            "fingerprint": new.excluded.fingerprint,
            "created_at": new.excluded.created_at,
            "status": None,
        },
        where=idempotency.c.created_at < bindparam("expired", type_=Time),
    ).returning(idempotency.c.key)


_BY_KEY = (idempotency.c.user_id == bindparam("of_user")) & (
    idempotency.c.key == bindparam("of_key")
)
_CLAIM = Statement(_insert)
_FIND = Statement(
    select(
        idempotency.c.fingerprint, idempotency.c.status, idempotency.c.headers, idempotency.c.body
    ).where(_BY_KEY)
)
_STORE = Statement(
    update(idempotency)
    .where(_BY_KEY)
    .values(status=bindparam("status"), headers=bindparam("headers"), body=bindparam("body"))
)
_RELEASE = Statement(delete(idempotency).where(_BY_KEY))
_expired = (
    select(idempotency.c.user_id, idempotency.c.key)
    .where(idempotency.c.created_at < bindparam("expired", type_=Time))
    .order_by(idempotency.c.created_at)
    # A literal, because for a parameter PostgreSQL expects a tenth of the table and scans it all.
    .limit(literal_column(str(_PURGED)))
    .with_for_update(skip_locked=True)
)
_PURGE = Statement(
    delete(idempotency).where(tuple_(idempotency.c.user_id, idempotency.c.key).in_(_expired))
)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A write that is executed only once, even if it is sent several times.

    Attributes:
        fingerprint: Digest of the request's identity, such as method, URL and body.
        former: Fingerprint as computed by version 0.1.0, or None.
    """

    key: str
    fingerprint: bytes
    former: bytes | None = None


def find_key(request: Request) -> str | None:
    """Return the request's Idempotency-Key, or None.

    Raises:
        MalformedRequestError: The key is invalid, or the request has several keys.
    """
    keys = set(request.headers.getlist("idempotency-key"))
    if not keys:
        return None
    if len(keys) > 1:
        raise MalformedRequestError(
            "The request has more than one Idempotency-Key header; send one."
        )
    (key,) = keys
    if not is_key(key):
        raise MalformedRequestError(
            f"The Idempotency-Key must be 1 to {MAX_KEY_LENGTH} visible ASCII characters."
        )
    return key


def is_key(text: str) -> bool:
    """Return whether the text is a valid Idempotency-Key."""
    return 0 < len(text) <= MAX_KEY_LENGTH and text.isascii() and text.isprintable()


async def identify_repeatable(request: Request, caller: Caller) -> Repeatable | None:
    """Return the key and fingerprint of a request, or None without an Idempotency-Key.

    Raises:
        MalformedRequestError: The key is invalid, or the request has several keys.
    """
    key = find_key(request)
    if key is None:
        return None
    body = await request.body()
    canonical = await _canonicalize_body(request)
    return Repeatable(
        key,
        _render_fingerprint(request, caller, canonical),
        # Remove this and `Repeatable.former` after the release of 0.2.0: for 24 hours after an
        # upgrade to it, stored fingerprints may still be those of the raw body.
        former=_render_fingerprint(request, caller, body),
    )


async def claim(work: UnitOfWork, repeatable: Repeatable) -> StoredResponse | None:
    """Claim a key for this request, or return the stored response of an earlier one.

    Raises:
        KeyReusedError: The key was used with a different request.
    """
    expired = format_timestamp(work.now - LIFETIME)
    user = work.caller.user
    mine = {
        "user_id": user,
        "key": repeatable.key,
        "fingerprint": repeatable.fingerprint,
        "created_at": work.timestamp,
        "expired": expired,
    }
    find = (_FIND, {"of_user": user, "of_key": repeatable.key})
    rows, found = await work.session.run((_CLAIM, mine), find)
    if rows:
        work.before_commit((_PURGE, {"expired": expired}))
        return None
    known, status, headers, body = found[0]
    if bytes(known) not in {repeatable.fingerprint, repeatable.former}:
        raise KeyReusedError
    return StoredResponse(
        status, None if body is None else bytes(body), {**orjson.loads(headers), REPLAYED: "true"}
    )


def store(caller: Caller, key: str, answer: StoredResponse) -> BoundStatement:
    """Return the statement that stores the response of a write."""
    return (
        _STORE,
        {
            "of_user": caller.user,
            "of_key": key,
            "status": answer.status,
            "headers": orjson.dumps(answer.headers).decode(),
            "body": answer.body if answer.repeated is None else answer.repeated,
        },
    )


def release(caller: Caller, key: str) -> BoundStatement:
    """Return the statement that releases the key of a rejected request."""
    return (_RELEASE, {"of_user": caller.user, "of_key": key})


def _render_fingerprint(request: Request, caller: Caller, body: bytes) -> bytes:
    seen = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    # A token for one list must not see the responses to other tokens.
    seen.update(f"{caller.list_id}\n".encode())
    seen.update((find_if_match(request) or "").encode() + b"\n")
    seen.update(body)
    return seen.digest()


async def _canonicalize_body(request: Request) -> bytes:
    """Return the body with sorted keys, without whitespace and with uniform escapes.

    The last value of a duplicate key counts, as in the operation. Integers and floats stay
    distinct, because an operation may accept 1 and reject 1.0.
    """
    body = await request.body()
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        # An operation without a body accepts any content.
        return body
    return _CANONICAL + json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
