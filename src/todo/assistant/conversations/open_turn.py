"""A turn: one message to the assistant and its answer, canceled if the client disconnects."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

from fastapi import Request, Response
from starlette.types import Receive

from todo.api.idempotency import REPLAYED, identify_repeatable
from todo.api.request_body import ENDS_WITH_CLIENT
from todo.api.responses import JSON
from todo.api.write import check_conditions
from todo.app_state import AppState, get_state
from todo.assistant.conversations.turn_store import Begun, Finished, TurnStore
from todo.assistant.service import get_assistant
from todo.assistant.turn.answer import Events, ToolUse, TurnAnswer
from todo.core.caller import Caller
from todo.core.errors import ProblemError, UnavailableError

CLIENT_LEFT = 499
"""Status code in metrics and logs for a request whose client disconnected."""
MARGIN_S = 5.0
"""Time at the end of the request deadline reserved for storing the answer, in seconds."""
_OVERTIME_S = 2.0
"""Time that the assistant may exceed its deadline before it is canceled, in seconds."""

Show = Callable[[bytes], bytes]

_log = logging.getLogger("todo.assistant")


class ClientLeftError(Exception):
    """The client has closed the connection."""


class Recorder:
    """Event sink that forwards events, and records tool calls in case the turn is interrupted."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.uses: list[ToolUse] = []
        self.is_silent = True

    async def text(self, piece: str) -> None:
        """Forward a piece of the response."""
        self.is_silent = False
        await self._events.text(piece)

    async def tool(self, use: ToolUse) -> None:
        """Record and forward a tool call."""
        self.uses.append(use)
        await self._events.tool(use)


class Silence:
    """Event sink that ignores all events, for an answer that is not streamed."""

    async def text(self, piece: str) -> None:
        """Ignore a piece of the response."""

    async def tool(self, use: ToolUse) -> None:
        """Ignore a tool call."""


class OpenTurn:
    """A started turn: its question is stored, or its answer is a replay.

    Attributes:
        replay: Answer to the first request with the same idempotency key.
        begun: Stored data of the turn; None for a replay.
    """

    def __init__(
        self,
        state: AppState,
        caller: Caller,
        question: str,
        stored: TurnStore,
        found: Begun | Finished,
        started_at: float,
    ) -> None:
        self.replay = found if isinstance(found, Finished) else None
        self.begun = found if isinstance(found, Begun) else None
        self.state = state
        self._caller = caller
        self._question = question
        self._stored = stored
        self._started_at = started_at

    async def answer(self, request: Request, show: Show = bytes) -> Response:
        """Run the turn and return the complete answer; `show` converts its JSON to the body.

        Raises:
            ProblemError: The turn was rejected.
        """
        try:
            request.scope.setdefault("extensions", {})[ENDS_WITH_CLIENT] = {}
            finished = await self.run(request.receive, Silence(), get_timeout(self.state))
        except ClientLeftError:
            return Response(status_code=CLIENT_LEFT)
        headers = {REPLAYED: "true"} if finished.is_replay else {}
        headers |= self.render_left()
        return Response(show(finished.body), headers=headers, media_type=JSON)

    def render_left(self) -> dict[str, str]:
        """Return the rate-limit headers with the remaining budgets."""
        return get_assistant(self.state).render_left(self._caller)

    def stream(self) -> Response:
        """Return a response that runs the turn and streams its events."""
        from todo.assistant.conversations.event_stream import TurnStream  # noqa: PLC0415 - circular import

        return TurnStream(self)

    async def run(self, receive: Receive, events: Events, timeout_s: float) -> Finished:
        """Run the turn to its end and return the answer, even if it was interrupted.

        Args:
            receive: ASGI `receive` callable of the request, whose body has been read.
            events: Sink for the parts of the answer.
            timeout_s: Timeout in seconds, counted from the arrival of the request.

        Raises:
            ClientLeftError: The client disconnected, and the turn has ended.
            ProblemError: The turn was rejected.
        """
        if self.replay is not None:
            return self.replay
        begun = self.begun
        assert begun is not None  # noqa: S101 - narrows the type
        turns = self.state.turns
        recorder = Recorder(events)
        left_s = max(1.0, self._started_at + timeout_s - time.monotonic())
        work = asyncio.create_task(self._ask(begun, recorder, left_s))
        gone = asyncio.create_task(_wait_until_gone(receive))
        stop = asyncio.create_task(turns.wait_for_stop())
        reason = "interrupted"
        try:
            done, _ = await asyncio.wait(
                {work, gone, stop},
                timeout=left_s + _OVERTIME_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                reason = "deadline"
        except asyncio.CancelledError:
            # Store the result so far even though the request was canceled.
            work.cancel()
            turns.start(self._interrupt_later(begun, recorder, work))
            raise
        finally:
            for task in (gone, stop):
                task.cancel()
        await _end(work)
        if work.cancelled():
            finished = await self._interrupt(begun, recorder, reason)
        else:
            finished = await self._conclude(begun, recorder, work)
        if gone.done() and not gone.cancelled():
            gone.exception()
            raise ClientLeftError
        return finished

    async def _ask(self, begun: Begun, recorder: Recorder, timeout_s: float) -> TurnAnswer:
        assistant = await self.state.turns.get_assistant(self.state)
        # The request's idempotency key already covers the writes of the turn.
        caller = replace(self._caller, run_id=begun.run_id, require_key=False)
        answer: TurnAnswer = await assistant.run(
            caller,
            self._question,
            begun.history,
            begun.open_plan,
            recorder,
            timeout_s,
            runs=begun.runs,
        )
        return answer

    async def _conclude(
        self, begun: Begun, recorder: Recorder, work: "asyncio.Task[TurnAnswer]"
    ) -> Finished:
        error = work.exception()
        if isinstance(error, ProblemError):
            await _attempt(self._stored.refuse(begun, recorder.uses))
            raise error
        if error is not None:
            await _attempt(self._interrupt(begun, recorder))
            raise error
        return await self._stored.finish(begun, work.result())

    async def _interrupt(
        self, begun: Begun, recorder: Recorder, reason: str = "interrupted"
    ) -> Finished:
        return await self._stored.interrupt(
            begun, recorder.uses, reason, is_silent=recorder.is_silent
        )

    async def _interrupt_later(
        self, begun: Begun, recorder: Recorder, work: "asyncio.Task[TurnAnswer]"
    ) -> None:
        await _end(work)
        await _attempt(self._interrupt(begun, recorder))


async def open_turn(
    request: Request, caller: Caller, question: str, conversation_id: UUID | None
) -> OpenTurn:
    """Validate a request and store its question, in a new conversation if no ID is given.

    Raises:
        MalformedRequestError: The request has a precondition or an invalid idempotency key.
        ProblemError: As for `TurnStore.begin`.
    """
    started_at = time.monotonic()
    repeatable = await identify_repeatable(request, caller)
    check_conditions(request, caller, changes_existing=False)
    state = get_state(request)
    assistant = await state.turns.get_assistant(state)
    stored = TurnStore(state, caller, question, conversation_id, repeatable, check=assistant.check)
    found = await stored.begin(started_at + get_timeout(state))
    return OpenTurn(state, caller, question, stored, found, started_at)


def get_timeout(state: AppState) -> float:
    """Return the timeout of a turn whose answer is not streamed, in seconds."""
    settings = state.settings
    return min(settings.ai_run_timeout_s, max(1.0, settings.request_deadline_s - MARGIN_S))


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(work: "asyncio.Task[TurnAnswer]") -> None:
    """Cancel a task and wait until it has ended."""
    work.cancel()
    await asyncio.wait({work})


async def _attempt(storing: Awaitable[object]) -> None:
    """Await a write; only log a database outage, because another error is being reported."""
    try:
        await storing
    except UnavailableError as error:
        _log.warning("the end of a turn was not stored: %s", error.reason)
