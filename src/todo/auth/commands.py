"""Operator commands for tokens: create, list and revoke API tokens, end a user's sessions."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from todo.auth.cutoffs import MAX_AGE_S, find_cutoff, set_cutoff
from todo.auth.repository import ApiToken, find_token, list_tokens
from todo.auth.service import ApiTokenService
from todo.auth.tokens import LEEWAY_S, MAX_SUBJECT_LENGTH, is_subject
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.errors import (
    NotFoundError,
    SchemaMismatchError,
    StateConflictError,
    UnavailableError,
)
from todo.core.exit import ExitCode, FatalError
from todo.core.timestamps import format_timestamp
from todo.db.database import Database
from todo.db.errors import ConflictError
from todo.db.session import Session
from todo.writes.unit_of_work import UnitOfWork

AGENT = "todo.admin revoke"
"""Name of this program in the journal."""
MAX_NAME_LENGTH = 100
"""Maximum length of a token's name."""

_CREATOR = "todo.admin token"

# The issuer's clock may be ahead by the leeway, and PyJWT ignores fractions of a second.
_MARGIN = timedelta(seconds=LEEWAY_S + 1)
_HEADINGS = ("id", "owner", "name", "scopes", "created", "expires", "last used")
_SECOND = len("2026-11-29T08:00:00")


async def create_token(
    settings: Settings,
    owner: str,
    name: str,
    scopes: Iterable[str],
    days: int,
    writes_per_hour: int | None,
) -> str:
    """Create an API token that is valid for a number of days, and return it.

    Raises:
        FatalError: The owner or name is invalid, a limit is exceeded, or the database unavailable.
    """
    if not is_subject(owner):
        message = f"--subject: must be 1 to {MAX_SUBJECT_LENGTH} printable characters"
        raise FatalError(ExitCode.USAGE, message)
    if not 0 < len(name.strip()) <= MAX_NAME_LENGTH or not name.isprintable():
        message = f"--name: must be 1 to {MAX_NAME_LENGTH} printable characters"
        raise FatalError(ExitCode.USAGE, message)
    ends = datetime.now(UTC) + timedelta(days=days)
    fields = {
        "name": name.strip(),
        "scopes": list(scopes),
        "expires_at": format_timestamp(ends),
        "writes_per_hour": writes_per_hour,
    }
    database = Database(settings)
    with _plain_errors():
        try:
            async with database.unit_of_work(owner) as session:
                work = UnitOfWork(session, Caller(owner, agent=_CREATOR))
                created = await ApiTokenService(work).create(fields)
                await work.commit()
        except StateConflictError as error:
            raise FatalError(ExitCode.USAGE, error.detail) from None
        finally:
            await database.dispose()
    return created.text


async def list_tokens_of(
    settings: Settings, say: Callable[[str], None], *, owner: str | None, as_json: bool
) -> None:
    """Print the tokens of one or all owners without secrets: a table, or one JSON object per line.

    Raises:
        FatalError: The database is unavailable.
    """
    database = Database(settings)
    with _plain_errors():
        try:
            async with database.reading() as session:
                tokens = await list_tokens(session, owner)
        finally:
            await database.dispose()
    if as_json:
        for token in tokens:
            say(orjson.dumps(asdict(token)).decode())
        return
    for line in _render_table(tokens):
        say(line)


async def revoke_tokens(
    settings: Settings,
    say: Callable[[str], None],
    *,
    ids: list[str],
    owner: str | None,
    with_jwt: bool,
) -> None:
    """Revoke tokens by ID, or all tokens of one user, in one transaction.

    `with_jwt` also revokes the user's JSON Web Tokens. `say` receives a line for each token.

    Raises:
        FatalError: A token does not exist, or the database is unavailable; no token is revoked.
    """
    if bool(ids) == bool(owner):
        message = "name the tokens by ID, or use --owner USER for all tokens of a user"
        raise FatalError(ExitCode.USAGE, message)
    if with_jwt and not owner:
        raise FatalError(ExitCode.USAGE, "--jwt requires --owner USER")
    database = Database(settings)
    cutoff: datetime | None = None
    with _plain_errors():
        try:
            async with database.unit_of_work() as session:
                if owner:
                    # Before the listing, so that it includes a token created at the same time.
                    await UnitOfWork(session, Caller(owner, agent=AGENT)).lock(owner)
                    tokens = await list_tokens(session, owner)
                else:
                    tokens = await _find(session, ids)
                await _revoke(session, tokens)
                if owner and with_jwt:
                    cutoff = await _end_sessions(session, owner)
                # The lock creates a missing account, which was not requested.
                if tokens or with_jwt:
                    await session.commit()
        finally:
            await database.dispose()
    for token in tokens:
        say(f"revoked {token.id} ({_printable(token.name)}, of {_printable(token.owner)})")
    if not tokens:
        say(f"{owner} has no API tokens")
    if cutoff is not None:
        say(f"revoked the JSON Web Tokens of {owner} issued up to {_show_second(str(cutoff))}")
        say(f"running backends reject them within {MAX_AGE_S:.0f} seconds")
        wait = cutoff + timedelta(seconds=1) - datetime.now(UTC)
        say(f"{owner} can sign in again in {max(0, math.ceil(wait.total_seconds()))} seconds")


async def _find(session: Session, ids: Iterable[str]) -> list[ApiToken]:
    found: dict[str, ApiToken] = {}
    for text in ids:
        try:
            token = await find_token(session, str(UUID(text)))
        except ValueError:
            token = None
        if token is None:
            message = f"unknown API token {text}; `tokens` lists all tokens"
            raise FatalError(ExitCode.USAGE, message)
        found[token.id] = token
    return list(found.values())


async def _revoke(session: Session, tokens: Iterable[ApiToken]) -> None:
    # In a fixed order, which prevents deadlocks between revocations.
    for token in sorted(tokens, key=lambda each: (each.owner, each.id)):
        work = UnitOfWork(session, Caller(token.owner, agent=AGENT))
        try:
            await ApiTokenService(work).revoke(token.id)
        except NotFoundError:
            # The owner has already revoked it.
            continue
        await work.flush()


async def _end_sessions(session: Session, owner: str) -> datetime | None:
    """Revoke the JSON Web Tokens of a user; return the stored cutoff, which may be a later one."""
    work = UnitOfWork(session, Caller(owner, agent=AGENT))
    await work.lock(owner)
    cutoff = datetime.now(UTC).replace(microsecond=0) + _MARGIN
    await session.run(set_cutoff(owner, cutoff))
    document = orjson.dumps({"issued_until": format_timestamp(cutoff)})
    work.record(owner, "delete", "token", "jwt", before=document)
    await work.flush()
    return await find_cutoff(session, owner)


def _render_table(tokens: list[ApiToken]) -> list[str]:
    if not tokens:
        return ["no API tokens"]
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for token in tokens:
        times = (token.created_at, token.expires_at, token.last_used_at)
        scopes = " ".join(token.scopes)
        texts = (token.id, _printable(token.owner), _printable(token.name), scopes)
        rows.append((*texts, *(_show_second(time) if time else "never" for time in times)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _show_second(time: str) -> str:
    return time[:_SECOND].replace(" ", "T") + "Z"


def _printable(text: str) -> str:
    """Return the text without characters that could control a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except SchemaMismatchError as error:
        raise FatalError(ExitCode.SCHEMA_MISMATCH, error.detail) from None
    except UnavailableError as error:
        raise FatalError(ExitCode.DATABASE_UNAVAILABLE, error.reason) from None
    except ConflictError:
        message = "the command conflicted with a concurrent change; run it again"
        raise FatalError(ExitCode.DATABASE_UNAVAILABLE, message) from None
