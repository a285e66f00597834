"""HTTP routes of the assistant and its conversations."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request, Response

from todo.api.accept import prefers
from todo.api.pagination import read_cursor, render_cursor, render_page
from todo.api.responses import StoredResponse, json_response
from todo.api.write import run_write
from todo.assistant.conversations import ConversationRepository
from todo.assistant.schemas import (
    AssistantAnswer,
    AssistantRequest,
    ConversationPage,
    ConversationQuery,
    ConversationRead,
)
from todo.assistant.sse import MEDIA_TYPE, TurnStream
from todo.assistant.turn import answer_at_once, open_turn
from todo.assistant.turn_store import settle
from todo.auth.dependencies import CallerDep, requires
from todo.auth.route import ApiRoute
from todo.core.errors import NotFoundError
from todo.db.database import Database  # noqa: TC001 - FastAPI reads annotations
from todo.writes.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/v1", tags=["assistant"], route_class=ApiRoute)

_EVENTS = {
    "description": "JSON; with `Accept: text/event-stream` the events `start`, `text`, `tool`, and"
    " at the end `done` with the same JSON, or `error` with a problem.",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}


@router.post("/assistant", response_model=AssistantAnswer, responses={200: _EVENTS})
@requires("assistant")
async def send_message(request: Request, caller: CallerDep, body: AssistantRequest) -> Response:
    """Send a message to the assistant, which does what the message says and answers.

    With `Accept: text/event-stream` the answer is sent while it is made. The token needs
    `assistant`, and for what the assistant does the scopes of that: `read`, `write`, `delete`.
    Deletions and many changes at once are only proposed, as a plan. A client that closes the
    connection ends the turn.
    """
    turn = await open_turn(request, caller, body.message, body.conversation_id)
    if prefers(MEDIA_TYPE, request.headers.getlist("accept")):
        return TurnStream(turn)
    return await answer_at_once(request, turn)


@router.get("/conversations", response_model=ConversationPage)
async def list_conversations(
    request: Request, caller: CallerDep, asked: Annotated[ConversationQuery, Query()]
) -> Response:
    """List the caller's conversations with the assistant, newest first."""
    before = _read_before(asked)
    database: Database = request.app.state.database
    async with database.reading(caller.user) as session:
        found = await ConversationRepository(session, caller).find_page(before, asked.limit + 1)
    shown, cursor = _cut(found, asked.limit)
    items = [orjson.dumps(each.to_dict()) for each in shown]
    return json_response(request, render_page(items, cursor))


@router.get("/conversations/{conversation_id}", response_model=ConversationRead)
async def read_conversation(
    request: Request,
    caller: CallerDep,
    conversation_id: UUID,
    asked: Annotated[ConversationQuery, Query()],
) -> Response:
    """Return a conversation with its messages, newest first."""
    before = _read_before(asked)
    database: Database = request.app.state.database
    async with database.reading(caller.user) as session:
        store = ConversationRepository(session, caller)
        conversation = await store.find(str(conversation_id))
        if conversation is None:
            raise NotFoundError
        found = await store.find_messages(conversation.id, before, asked.limit + 1)
    shown, cursor = _cut(found, asked.limit)
    now, settings = datetime.now(UTC), request.app.state.settings
    messages = [settle(each, now, settings.ai_run_timeout_s).to_dict() for each in shown]
    body = {**conversation.to_dict(), "messages": messages, "next_cursor": cursor}
    return json_response(request, orjson.dumps(body))


@router.delete("/conversations/{conversation_id}", status_code=204)
async def delete_conversation(
    request: Request, caller: CallerDep, conversation_id: UUID
) -> Response:
    """Delete a conversation with its messages, for good. What the assistant did stays."""

    async def act(work: UnitOfWork) -> StoredResponse:
        if not await ConversationRepository(work.session, caller).remove(str(conversation_id)):
            raise NotFoundError
        return StoredResponse(204)

    return await run_write(request, caller, act, changes_existing=False)


def _read_before(asked: ConversationQuery) -> str | None:
    return None if asked.cursor is None else str(read_cursor(asked.cursor, UUID))


def _cut(found: list[Any], limit: int) -> tuple[list[Any], str | None]:
    """Return what a page shows of one more that was read, and the cursor of the next page."""
    shown = found[:limit]
    return shown, render_cursor(shown[-1].id) if len(found) > limit else None
