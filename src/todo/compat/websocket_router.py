"""WebSocket endpoint for existing front ends."""

import logging
import time

from fastapi import APIRouter, WebSocket

from todo.app_state import get_state
from todo.observability.logs import ACCESS_LOGGER

PATH = "/ws/tasks/{user_id:path}"
router = APIRouter()

_access = logging.getLogger(ACCESS_LOGGER)


@router.websocket(PATH)
async def follow_tasks(socket: WebSocket, user_id: str) -> None:
    """Send changes of the user's own tasks as they happen."""
    started = time.perf_counter()
    code = await get_state(socket).live.serve(socket, user_id)
    duration_ms = round((time.perf_counter() - started) * 1000, 2)
    _access.info("websocket", extra={"route": PATH, "status": code, "duration_ms": duration_ms})
