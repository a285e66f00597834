"""Idempotency keys: a request with an Idempotency-Key is executed once, however often it is sent.

The key is claimed and the response stored in the transaction of the write itself. So a crash leaves
both or neither. Of concurrent requests with one key, one is executed and the others wait for it.
Only a successful write is stored: a refused request may be corrected and sent with the same key.
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
# No body in JSON begins like this, so neither kind of fingerprint is taken for the other.
_CANONICAL = b"canonical\n"
# Old ones go a few at a time, with the writes that use the table.
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
    # In the text: PostgreSQL takes a parameter for a tenth of the table, and reads all of it.
    .limit(literal_column(str(_PURGED)))
    .with_for_update(skip_locked=True)
)
_PURGE = Statement(
    delete(idempotency).where(tuple_(idempotency.c.user_id, idempotency.c.key).in_(_expired))
)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A write that is executed once, even if it is sent several times.

    Attributes:
        key: Idempotency-Key of the request.
        fingerprint: Digest of what identifies the write, such as method, URL and body.
        former: Fingerprint as computed by version 0.1.0; None if it had none.
    """

    key: str
    fingerprint: bytes
    former: bytes | None = None


def find_key(request: Request) -> str | None:
    """Return the request's Idempotency-Key.

    Raises:
        MalformedRequestError: It is empty, too long, or has other than visible ASCII characters; or
            there are two.
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
    """Return whether a text can be an Idempotency-Key."""
    return 0 < len(text) <= MAX_KEY_LENGTH and text.isascii() and text.isprintable()


async def identify_repeatable(request: Request, caller: Caller) -> Repeatable | None:
    """Return the key and the fingerprint of a request, None without an Idempotency-Key.

    Raises:
        MalformedRequestError: As `find_key`.
    """
    key = find_key(request)
    if key is None:
        return None
    body = await request.body()
    canonical = await _canonicalize_body(request)
    return Repeatable(
        key,
        _render_fingerprint(request, caller, canonical),
        # Remove it after the release of 0.2.0, with `Repeatable.former`: for 24 hours after the
        # upgrade to that there are keys whose fingerprint has the body as it came.
        former=_render_fingerprint(request, caller, body),
    )


async def claim(work: UnitOfWork, repeatable: Repeatable) -> StoredResponse | None:
    """Claim a key for this request, or return the stored response of an earlier one.

    Raises:
        KeyReusedError: It came with another request.
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
    """Store the response of a write."""
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
    """Forget a key, whose request was refused after it was claimed."""
    return (_RELEASE, {"of_user": caller.user, "of_key": key})


def _render_fingerprint(request: Request, caller: Caller, body: bytes) -> bytes:
    seen = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    # A token for one list must not see what another token did elsewhere.
    seen.update(f"{caller.list_id}\n".encode())
    seen.update((find_if_match(request) or "").encode() + b"\n")
    seen.update(body)
    return seen.digest()


async def _canonicalize_body(request: Request) -> bytes:
    """Return the body with sorted keys, without blanks, and with every character escaped one way.

    Of a key that comes twice the last value counts, as it does for the operation. Integers and
    floats stay apart: an operation may accept 1 and refuse 1.0.
    """
    body = await request.body()
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        # An operation without a body accepts any content.
        return body
    return _CANONICAL + json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
