"""Last use of each API token: noted by requests, stored in the background.

Requests do not wait for the write, and a token in constant use costs one statement per minute.
"""

import asyncio
import logging
from datetime import datetime, timedelta

from todo.auth.repository import ApiToken, store_last_use
from todo.core.errors import UnavailableError
from todo.core.timestamps import format_timestamp
from todo.db.database import Database
from todo.db.errors import ConflictError

PRECISION = timedelta(minutes=1)
_DELAY_S = 0.5

_log = logging.getLogger("todo.auth")


class LastUse:
    """Background writer for the last use of tokens; one per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # The dict contains only valid tokens, so their number limits its size.
        self._pending: dict[str, str] = {}
        self._noted = asyncio.Event()

    def note(self, token: ApiToken, now: datetime) -> None:
        """Note the use of a token, unless the stored time is recent."""
        stored = token.last_used_at
        if stored is None or now - datetime.fromisoformat(stored) >= PRECISION:
            self._pending[token.id] = format_timestamp(now)
            self._noted.set()

    async def run(self) -> None:
        """Store the noted uses until canceled."""
        while True:
            await self._noted.wait()
            # Uses in quick succession are stored together.
            await asyncio.sleep(_DELAY_S)
            self._noted.clear()
            pending, self._pending = self._pending, {}
            try:
                async with self._database.unit_of_work() as session:
                    await store_last_use(session, pending)
                    await session.commit()
            except (UnavailableError, ConflictError):
                # The pause avoids a failing statement for each request.
                await asyncio.sleep(PRECISION.total_seconds())
            except Exception:  # noqa: BLE001 - the task's boundary: it continues with the next use
                _log.exception("cannot store the last use of tokens")
                await asyncio.sleep(PRECISION.total_seconds())
