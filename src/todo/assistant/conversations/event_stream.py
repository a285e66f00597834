"""Stream of server-sent events for one turn of the assistant."""

import asyncio
import logging

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from todo.api.idempotency import REPLAYED
from todo.assistant.conversations.open_turn import CLIENT_LEFT, ClientLeftError, OpenTurn
from todo.assistant.conversations.stored_texts import to_json
from todo.assistant.schemas import EVENT_STREAM
from todo.assistant.turn.answer import ToolUse
from todo.core.errors import InternalError, ProblemError
from todo.core.problem_document import render_problem
from todo.observability.logs import request_id_var

HEARTBEAT_S = 15.0
"""Interval of keep-alive comments; shorter than the idle timeouts of common proxies."""
_OPEN_AFTER_S = 1.0
"""Delay before the stream opens, so that an early rejection gets its own status code."""

_log = logging.getLogger("todo.assistant")


class TurnStream(Response):
    """Streaming response with the events `start`, `text` and `tool`, then `done` or `error`."""

    media_type = EVENT_STREAM

    def __init__(self, turn: OpenTurn) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if turn.replay is not None:
            headers[REPLAYED] = "true"
        super().__init__(None, headers=headers)
        # Starlette sets content-length to 0, but the body is streamed.
        self.raw_headers = [field for field in self.raw_headers if field[0] != b"content-length"]
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the turn and send its events.

        Raises:
            ProblemError: The turn was rejected before the response started.
        """
        turn = self._turn
        events = _Stream(self, send, turn)
        timeout_s = turn.state.settings.ai_run_timeout_s
        beating = asyncio.create_task(self._beat(events))
        try:
            with turn.state.metrics.streaming("assistant"):
                finished = await turn.run(receive, events, timeout_s)
                if turn.replay is not None:
                    await events.text(orjson.loads(finished.body)["response"])
                await events.send_last("done", finished.body)
        except ClientLeftError:
            if not events.is_open:
                await Response(status_code=CLIENT_LEFT)(scope, receive, send)
        except ProblemError as error:
            if not events.is_open:
                raise
            await events.send_last("error", _render(error, scope))
        except Exception:
            if not events.is_open:
                raise
            _log.exception("unexpected error")
            await events.send_last("error", _render(InternalError(), scope))
        finally:
            beating.cancel()

    async def _beat(self, events: "_Stream") -> None:
        await asyncio.sleep(_OPEN_AFTER_S)
        await events.open()
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await events.send_comment()


class _Stream:
    """Sender of one turn's events; the first event starts the response."""

    def __init__(self, response: Response, send: Send, turn: OpenTurn) -> None:
        self._response = response
        self._send = send
        self._turn = turn
        self._sending = asyncio.Lock()
        self.is_open = False

    async def text(self, piece: str) -> None:
        """Send a piece of the response as a `text` event."""
        if piece:
            await self._send_event("text", to_json({"delta": piece}))

    async def tool(self, use: ToolUse) -> None:
        """Send a tool call with its result as a `tool` event."""
        await self._send_event("tool", to_json(use.to_dict()))

    async def open(self) -> None:
        """Start the response with a `start` event, which contains the conversation and run IDs."""
        async with self._sending:
            await self._open()

    async def send_comment(self) -> None:
        """Send an SSE comment, which keeps the connection alive."""
        async with self._sending:
            await self._send_part(b":\n\n")

    async def send_last(self, name: str, data: bytes) -> None:
        """Send the last event and end the response."""
        await self._send_event(name, data)
        async with self._sending:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_event(self, name: str, data: bytes) -> None:
        async with self._sending:
            await self._open()
            await self._send_part(_render_event(name, data))

    async def _open(self) -> None:
        if self.is_open:
            return
        self.is_open = True
        response = self._response
        # Computed now rather than in __init__, so that the budgets include this turn.
        left = [(k.lower().encode(), v.encode()) for k, v in self._turn.render_left().items()]
        await self._send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": [*response.raw_headers, *left],
            }
        )
        await self._send_part(_render_event("start", self._describe()))

    def _describe(self) -> bytes:
        if self._turn.replay is not None:
            answer = orjson.loads(self._turn.replay.body)
            return to_json({name: answer[name] for name in ("conversation_id", "run_id")})
        begun = self._turn.begun
        assert begun is not None  # noqa: S101 - narrows the type
        return to_json({"conversation_id": begun.conversation_id, "run_id": begun.run_id})

    async def _send_part(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})


def _render_event(name: str, data: bytes) -> bytes:
    # The JSON contains no line breaks, so one data field is enough.
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _render(error: ProblemError, scope: Scope) -> bytes:
    _, _, body = render_problem(error, instance=scope["path"], request_id=request_id_var.get())
    return body
