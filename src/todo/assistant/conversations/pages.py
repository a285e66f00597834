"""Pages of conversations and of their messages as JSON."""

from datetime import UTC, datetime
from typing import Any

import orjson

from todo.api.pagination import render_cursor, render_page
from todo.assistant.conversations.message import mark_interrupted
from todo.assistant.conversations.repository import ConversationRepository
from todo.core.caller import Caller
from todo.core.errors import NotFoundError
from todo.db.session import Session


async def fetch_page(session: Session, caller: Caller, before: str | None, limit: int) -> bytes:
    """Return a page of conversations, newest first, starting after the ID `before`."""
    found = await ConversationRepository(session, caller).find_page(before, limit + 1)
    shown, cursor = _cut(found, limit)
    return render_page([orjson.dumps(each.to_dict()) for each in shown], cursor)


async def fetch_messages(
    session: Session,
    caller: Caller,
    conversation_id: str,
    before: str | None,
    limit: int,
    timeout_s: float,
) -> bytes:
    """Return a conversation and a page of its messages, newest first, starting after `before`.

    Raises:
        NotFoundError: The conversation does not exist or is not visible to the caller.
    """
    store = ConversationRepository(session, caller)
    conversation = await store.find(conversation_id)
    if conversation is None:
        raise NotFoundError
    shown, cursor = _cut(await store.find_messages(conversation.id, before, limit + 1), limit)
    now = datetime.now(UTC)
    messages = [mark_interrupted(each, now, timeout_s).to_dict() for each in shown]
    return orjson.dumps({**conversation.to_dict(), "messages": messages, "next_cursor": cursor})


def _cut(found: list[Any], limit: int) -> tuple[list[Any], str | None]:
    """Split `limit + 1` rows into a page and the cursor of the next page."""
    shown = found[:limit]
    return shown, render_cursor(shown[-1].id) if len(found) > limit else None
