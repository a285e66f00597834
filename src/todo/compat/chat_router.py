"""Chat endpoint for existing front ends, with a flat response."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from todo.auth.dependencies import requires
from todo.compat.chat_schemas import FrontEndChat, FrontEndChatAnswer
from todo.compat.path_convertor import SEGMENT
from todo.compat.route import FrontEndRoute
from todo.compat.router import OwnCaller

router = APIRouter(prefix=f"/api/{SEGMENT}/chat", tags=["front ends"], route_class=FrontEndRoute)

_SHOWN = ("conversation_id", "response", "tool_calls", "plan", "degraded", "run_id")


@router.post("", response_model=FrontEndChatAnswer, responses={404: {}})
@requires("assistant")
async def send_front_end_message(
    request: Request, caller: OwnCaller, body: FrontEndChat
) -> Response:
    """Send a message to the assistant as existing front ends do."""
    from todo.assistant.conversations.open_turn import open_turn  # noqa: PLC0415 - not for the start

    turn = await open_turn(request, caller, body.message, body.conversation_id)
    return await turn.answer(request, _show)


def _show(body: bytes) -> bytes:
    answer: dict[str, Any] = orjson.loads(body)
    return orjson.dumps({name: answer[name] for name in _SHOWN})
