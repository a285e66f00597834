"""Storage of a turn in two short transactions: before the assistant starts, and at its end.

No transaction is open while the assistant works. The first one stores the question, a running
answer and the run ID of all changes. So even after a crash, the conversation shows the turn, and
its changes can be undone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson

from todo.api.idempotency import Repeatable, claim, release, store
from todo.api.responses import StoredResponse
from todo.api.write import WriteHandler, execute_write
from todo.app_state import AppState
from todo.assistant.conversations.message import (
    Conversation,
    Message,
    is_running,
    render_answer,
)
from todo.assistant.conversations.repository import ConversationRepository
from todo.assistant.conversations.stored_texts import clean, shorten_calls, to_json
from todo.assistant.errors import (
    MAX_BYTES,
    ConversationsFullError,
    OtherTokensConversationError,
    TurnRunningError,
)
from todo.assistant.turn.answer import EarlierMessage, ToolUse, TurnAnswer
from todo.core.caller import Caller
from todo.core.errors import NotFoundError, UnavailableError
from todo.core.ids import new_uuid7
from todo.db.tables import CONVERSATION_TITLE_LENGTH, MESSAGE_LENGTH
from todo.journal.undo_scope import Run, find_changed_views
from todo.writes.unit_of_work import UnitOfWork

_PENDING = HTTPStatus.PROCESSING
"""Status code of a stored response whose turn has no answer yet; its body identifies the turn."""
_POLL_S = 0.25
_PAUSES_S = (1, 2, 4, 8, 16)
"""Back-off delays before retries of storing an answer, in seconds."""

CHANGED = (
    'This answer was interrupted after it had changed something. Write "undo" to take it back.'
)
UNCHANGED = "This answer was interrupted before it changed anything. Send the message again."

_log = logging.getLogger("todo.assistant")


@dataclass(frozen=True, slots=True)
class Begun:
    """A turn whose question is stored.

    Attributes:
        answer_id: ID of the running answer.
        run_id: Run that groups the turn's changes.
        since: Start of the turn if the client chose the run, which may contain earlier changes;
            otherwise None.
        open_plan: ID of the plan that was pending in the conversation before this turn.
        runs: Earlier runs with changes or possible changes, newest first.
    """

    conversation_id: str
    question_id: str
    answer_id: str
    run_id: str
    since: str | None
    open_plan: str | None
    history: tuple[EarlierMessage, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """JSON answer of a turn; a replay answered an earlier request with the same key."""

    body: bytes
    is_replay: bool = False


class TurnStore:
    """Storage of one request's question and answer.

    `check` raises `RateLimitedError` if a new message must be rejected.
    """

    def __init__(
        self,
        state: AppState,
        caller: Caller,
        question: str,
        conversation_id: UUID | None,
        repeatable: Repeatable | None,
        check: Callable[[Caller, str], None],
    ) -> None:
        self._state = state
        self._caller = caller
        self._question = question
        self._conversation_id = None if conversation_id is None else str(conversation_id)
        self._repeatable = repeatable
        self._check = check
        self._begun: Begun | None = None
        self._timeout_s = state.settings.ai_run_timeout_s

    async def begin(self, until: float) -> Begun | Finished:
        """Store the question, or return the answer to an earlier request with the same key.

        Args:
            until: Deadline on the monotonic clock for an earlier request that is still running.

        Raises:
            RateLimitedError: A budget is exhausted.
            NotFoundError: The conversation does not exist or is not visible to the caller.
            ReadOnlyError: The conversation was started with a token for other lists.
            QuotaExceededError: The conversations exceed their storage limit.
            TurnRunningError: The earlier request is still running at the deadline.
            ProblemError: As for `execute_write`.
        """
        stored = await execute_write(self._state, self._caller, self._open, self._repeatable)
        while True:
            body = stored.body or b""
            if stored.status != _PENDING:
                return Finished(body, is_replay=True)
            answer_id = orjson.loads(body)["answer_id"]
            if self._begun is not None and self._begun.answer_id == answer_id:
                return self._begun
            await self._wait(answer_id, until)
            stored = await self._write(partial(self._take_over, body))

    async def finish(self, begun: Begun, answer: TurnAnswer) -> Finished:
        """Store and return the answer; retry in the background during a database outage."""
        calls = [use.to_dict() for use in answer.tool_calls]
        plan_id = None if answer.plan is None else str(answer.plan["id"])
        message = self._compose(begun, clean(answer.response)[:MESSAGE_LENGTH], calls)
        message = replace(
            message,
            status="done",
            run_id=answer.run_id,
            changed=answer.changed,
            plan_id=plan_id,
            degraded_reason=answer.degraded,
            prompt_tokens=answer.prompt_tokens,
            output_tokens=answer.output_tokens,
        )
        response = _render(begun, message, calls, answer.plan)

        async def handle(work: UnitOfWork) -> StoredResponse:
            return await self._conclude(work, begun, message, response, plan_id)

        try:
            await self._write(handle)
        except UnavailableError as error:
            # The turn is done. Until a retry succeeds, the conversation shows a running answer.
            _log.warning("an answer is not stored yet: %s", error.reason)
            turns = self._state.turns
            turns.start(self._store_later(handle, error.reason))
        return Finished(response.body or b"")

    async def _store_later(self, handler: WriteHandler, reason: str) -> None:
        turns = self._state.turns
        for pause_s in _PAUSES_S:
            may_continue = await turns.pause(pause_s)
            try:
                await self._write(handler)
            except UnavailableError as error:
                reason = error.reason
            else:
                return
            if not may_continue:
                break
            _log.warning("an answer is not stored yet: %s", reason)
        _log.error("an answer was not stored: %s", reason)

    async def interrupt(
        self, begun: Begun, uses: Sequence[ToolUse], reason: str, *, is_silent: bool
    ) -> Finished:
        """Store an interrupted answer with the tool calls so far.

        If nothing was changed, a repeated request with the same key runs the turn again.
        If `is_silent`, no part of the answer was shown, so the previous plan can stay pending.
        """

        async def handle(work: UnitOfWork) -> StoredResponse:
            run_id = await self._find_run(work, begun, uses)
            message, response = self._explain(begun, uses, reason, run_id)
            plan_id = begun.open_plan if run_id is None and is_silent else None
            return await self._conclude(
                work, begun, message, response, plan_id, is_final=run_id is not None
            )

        return Finished((await self._write(handle)).body or b"")

    async def refuse(self, begun: Begun, uses: Sequence[ToolUse]) -> None:
        """Remove the question of a rejected turn, or store an interruption if it made changes."""

        async def handle(work: UnitOfWork) -> StoredResponse:
            run_id = await self._find_run(work, begun, uses)
            if run_id is not None:
                message, response = self._explain(begun, uses, "interrupted", run_id)
                return await self._conclude(work, begun, message, response, None)
            if self._repeatable is not None:
                work.before_commit(release(self._caller, self._repeatable.key))
            messages = ConversationRepository(work.session, self._caller)
            await messages.forget(begun.conversation_id, begun.question_id, begun.answer_id)
            await messages.keep_plan(begun.conversation_id, begun.answer_id, begun.open_plan)
            return StoredResponse(204)

        await self._write(handle)

    async def _write(self, handler: WriteHandler) -> StoredResponse:
        # The request's idempotency key already covers these writes.
        return await execute_write(self._state, replace(self._caller, require_key=False), handler)

    async def _open(self, work: UnitOfWork) -> StoredResponse:
        """Store the question and a running answer."""
        # Checked before the account is locked: a client in a loop must not delay its other writes.
        self._check(self._caller, self._question)
        # The lock creates the account, through which an export finds the conversations.
        messages = ConversationRepository(work.session, self._caller)
        _, [[(size,)]] = await work.lock(self._caller.user, messages.count_bytes())
        if size >= MAX_BYTES:
            raise ConversationsFullError
        history: tuple[EarlierMessage, ...] = ()
        runs: tuple[str, ...] = ()
        if self._conversation_id is None:
            found = self._make_conversation(work.timestamp)
        else:
            found = await self._get_own(messages, self._conversation_id)
            runs = await messages.find_runs(found.id)
            # Without the read scope, the assistant must not reveal earlier messages.
            if "read" in self._caller.scopes:
                history = await messages.find_history(found.id)
        first_ns = time.time_ns()
        question_id, answer_id = (str(new_uuid7(first_ns + each)) for each in (0, 1000))
        run_id = self._caller.run_id or str(new_uuid7())
        since = None if self._caller.run_id is None else work.timestamp
        self._begun = Begun(
            *(found.id, question_id, answer_id, run_id, since),
            *(found.plan_id, history, runs),
        )
        at = work.timestamp
        question = Message(question_id, "user", "done", self._question, created_at=at)
        answer = Message(answer_id, "assistant", "running", "", run_id=run_id, created_at=at)
        is_new = self._conversation_id is None
        await messages.begin_turn(found, question, answer, is_new=is_new)
        pending = {"answer_id": answer_id, "conversation_id": found.id, "run_id": run_id}
        return StoredResponse(_PENDING, orjson.dumps({**pending, "since": since}))

    def _make_conversation(self, timestamp: str) -> Conversation:
        title = " ".join(self._question.split())[:CONVERSATION_TITLE_LENGTH]
        list_id = self._caller.list_id
        return Conversation(str(new_uuid7()), list_id, title, None, timestamp, timestamp)

    async def _get_own(self, messages: ConversationRepository, wanted: str) -> Conversation:
        found = await messages.find(wanted)
        if found is None:
            raise NotFoundError
        if found.list_id != self._caller.list_id:
            # The other token would see data that only this token may read.
            raise OtherTokensConversationError
        return found

    async def _take_over(self, seen: bytes, work: UnitOfWork) -> StoredResponse:
        """Handle a repeated request whose first turn crashed or is still running."""
        assert self._repeatable is not None  # noqa: S101 - narrows the type
        # Serializes concurrent requests with the same key.
        await work.lock(self._caller.user)
        stored = await claim(work, self._repeatable)
        if stored is not None:
            if stored.body != seen:
                return stored
            known = orjson.loads(seen)
            messages = ConversationRepository(work.session, self._caller)
            if self._is_running(await messages.find_status(known["answer_id"])):
                return stored
            begun = Begun(question_id="", open_plan=None, **known)
            run_id = await self._find_run(work, begun, ())
            if run_id is not None:
                message, response = self._explain(begun, (), "interrupted", run_id)
                return await self._conclude(work, begun, message, response, None)
        opened = await self._open(work)
        work.before_commit(store(self._caller, self._repeatable.key, opened))
        return opened

    async def _wait(self, answer_id: str, until: float) -> None:
        """Wait for the end of a turn; raise TurnRunningError at the deadline."""
        while True:
            async with self._state.database.reading(self._caller.user) as session:
                found = await ConversationRepository(session, self._caller).find_status(answer_id)
            if not self._is_running(found):
                return
            if time.monotonic() >= until:
                raise TurnRunningError
            await asyncio.sleep(_POLL_S)

    def _is_running(self, found: tuple[str, datetime] | None) -> bool:
        return found is not None and is_running(*found, datetime.now(UTC), self._timeout_s)

    async def _find_run(
        self, work: UnitOfWork, begun: Begun, uses: Sequence[ToolUse]
    ) -> str | None:
        """Return the run in which the turn made changes, or None.

        A write canceled during its commit has no tool result, so the journal is searched first. An
        undo is a separate run, which only `uses` contains.
        """
        # Wait for a write that is being committed: it holds the account lock.
        user = self._caller.user
        await work.lock(user)
        if await find_changed_views(work.session, Run(begun.run_id, user), begun.since):
            return begun.run_id
        changing = (use.result for use in uses if "unchanged" not in use.result)
        return next((str(each["run_id"]) for each in changing if "run_id" in each), None)

    def _compose(self, begun: Begun, text: str, calls: list[dict[str, Any]]) -> Message:
        stored = to_json(shorten_calls(calls)).decode()
        return Message(begun.answer_id, "assistant", "interrupted", text, stored, begun.run_id)

    def _explain(
        self, begun: Begun, uses: Sequence[ToolUse], reason: str, run_id: str | None
    ) -> tuple[Message, StoredResponse]:
        """Return the message and the response for an interrupted turn."""
        calls = [use.to_dict() for use in uses]
        message = self._compose(begun, UNCHANGED if run_id is None else CHANGED, calls)
        message = replace(
            message,
            run_id=run_id or begun.run_id,
            changed=run_id is not None,
            degraded_reason=reason,
        )
        return message, _render(begun, message, calls, None)

    async def _conclude(
        self,
        work: UnitOfWork,
        begun: Begun,
        message: Message,
        response: StoredResponse,
        plan_id: str | None,
        *,
        is_final: bool = True,
    ) -> StoredResponse:
        messages = ConversationRepository(work.session, self._caller)
        await messages.answer(begun.conversation_id, message, work.timestamp, plan_id)
        if self._repeatable is not None and is_final:
            work.before_commit(store(self._caller, self._repeatable.key, response))
        return response


def _render(
    begun: Begun, message: Message, calls: list[dict[str, Any]], plan: dict[str, Any] | None
) -> StoredResponse:
    answer = render_answer(begun.conversation_id, message, calls, plan)
    # The idempotency store keeps the response for a day, so its size is limited like a message's.
    repeated = {**answer, "tool_calls": shorten_calls(calls)}
    return StoredResponse(HTTPStatus.OK, to_json(answer), repeated=to_json(repeated))
