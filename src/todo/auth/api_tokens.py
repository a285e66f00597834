"""API tokens, `todo_ID_SECRET`: the service stores the ID and a digest of the secret.

A secret of 32 random bytes cannot be guessed, so a plain SHA-256 is enough. Tokens are not cached:
each request reads the database, so a revoked token is rejected from the next request on.
"""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from uuid import UUID

from todo.auth.last_use import LastUse
from todo.auth.repository import find_valid
from todo.auth.tokens import refuse
from todo.core.caller import Caller
from todo.core.timestamps import format_timestamp
from todo.db.database import Database

PREFIX = "todo_"
_SECRET_BYTES = 32
_TOKEN = re.compile(r"todo_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


class ApiTokens:
    """Verifier of API tokens."""

    def __init__(self, database: Database, last_use: LastUse) -> None:
        self._database = database
        self._last_use = last_use

    async def verify(self, token: str) -> Caller:
        """Return the caller that a token identifies.

        Raises:
            UnauthorizedError: The token is malformed, unknown, revoked or expired.
            UnavailableError: The database is unavailable.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise refuse("malformed")
        now = datetime.now(UTC)
        text = format_timestamp(now)
        async with self._database.reading() as session:
            found = await find_valid(session, str(UUID(match[1])), text)
        if found is None or not hmac.compare_digest(found[0], digest(match[2])):
            raise refuse("unknown API token")
        self._last_use.note(found[1], now)
        return found[1].caller


def make_secret() -> str:
    """Return a new random secret."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> bytes:
    """Return the digest of a secret, as it is stored."""
    return hashlib.sha256(secret.encode()).digest()


def render_token(token_id: str, secret: str) -> str:
    """Return the text of a token as programs send it."""
    return f"{PREFIX}{UUID(token_id).hex}_{secret}"
