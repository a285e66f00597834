"""HTTP routes of the assistant and its conversations.

Each route imports its implementation on first use: many services never need it, and it would slow
down every start.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from todo.api.accept import prefers
from todo.api.pagination import read_cursor
from todo.api.responses import StoredResponse, json_response
from todo.api.write import run_write
from todo.app_state import get_state
from todo.assistant.schemas import (
    EVENT_STREAM,
    AssistantAnswer,
    AssistantRequest,
    ConversationPage,
    ConversationQuery,
    ConversationRead,
)
from todo.auth.dependencies import CallerDep, requires
from todo.auth.route import ApiRoute
from todo.core.errors import NotFoundError
from todo.writes.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/v1", tags=["assistant"], route_class=ApiRoute)

_EVENTS = {
    "description": "The answer as JSON. With `Accept: text/event-stream`, the events `start`, "
    "`text` and `tool`, and finally `done` with the same JSON or `error` with a problem document.",
    "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
}


@router.post("/assistant", response_model=AssistantAnswer, responses={200: _EVENTS, 404: {}})
@requires("assistant")
async def send_message(request: Request, caller: CallerDep, body: AssistantRequest) -> Response:
    """Send a message to the assistant, which acts on it and answers.

    With `Accept: text/event-stream` the answer is streamed. The token needs `assistant`, and for
    each action of the assistant its scope: `read`, `write` or `delete`. Deletions and many changes
    at once are only proposed, as a plan. Closing the connection cancels the turn; changes that were
    already committed stay, and can be undone.
    """
    from todo.assistant.conversations.open_turn import open_turn  # noqa: PLC0415 - see above

    turn = await open_turn(request, caller, body.message, body.conversation_id)
    if prefers(EVENT_STREAM, request.headers.getlist("accept")):
        return turn.stream()
    return await turn.answer(request)


@router.get("/conversations", response_model=ConversationPage)
async def list_conversations(
    request: Request, caller: CallerDep, asked: Annotated[ConversationQuery, Query()]
) -> Response:
    """List the caller's conversations with the assistant, newest first."""
    from todo.assistant.conversations.pages import fetch_page  # noqa: PLC0415 - likewise

    before = _read_before(asked)
    async with get_state(request).database.reading(caller.user) as session:
        body = await fetch_page(session, caller, before, asked.limit)
    return json_response(request, body)


@router.get("/conversations/{conversation_id}", response_model=ConversationRead)
async def read_conversation(
    request: Request,
    caller: CallerDep,
    conversation_id: UUID,
    asked: Annotated[ConversationQuery, Query()],
) -> Response:
    """Return a conversation with its messages, newest first."""
    from todo.assistant.conversations.pages import fetch_messages  # noqa: PLC0415 - likewise

    before, state = _read_before(asked), get_state(request)
    timeout_s = state.settings.ai_run_timeout_s
    async with state.database.reading(caller.user) as session:
        body = await fetch_messages(
            session, caller, str(conversation_id), before, asked.limit, timeout_s
        )
    return json_response(request, body)


@router.delete("/conversations/{conversation_id}", status_code=204)
async def delete_conversation(
    request: Request, caller: CallerDep, conversation_id: UUID
) -> Response:
    """Permanently delete a conversation with its messages. The assistant's changes stay."""
    from todo.assistant.conversations.repository import (  # noqa: PLC0415 - likewise
        ConversationRepository,
    )

    async def handle(work: UnitOfWork) -> StoredResponse:
        if not await ConversationRepository(work.session, caller).remove(str(conversation_id)):
            raise NotFoundError
        return StoredResponse(204)

    return await run_write(request, caller, handle, changes_existing=False)


def _read_before(asked: ConversationQuery) -> str | None:
    return None if asked.cursor is None else str(read_cursor(asked.cursor, UUID))
