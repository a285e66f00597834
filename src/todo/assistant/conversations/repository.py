"""SQL statements for conversations and their messages."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from todo.assistant.conversations.message import Conversation, Message, Status, limit_history
from todo.assistant.turn.answer import EarlierMessage
from todo.core.caller import Caller
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import BoundStatement, Row, Statement
from todo.db.tables import MESSAGE_ROW_BYTES, Id, Time, conversation, message

HISTORY_MESSAGES = 20
"""Maximum number of earlier messages in the assistant's context."""
MAX_RUNS = 20
"""Maximum number of earlier runs considered as the target of an undo."""
MAX_SEARCHED = 2000
"""Maximum number of latest messages searched for these runs."""

_BY_OWNER = conversation.c.owner == bindparam("owner")
_TOKEN_LIST_ID = bindparam("only_list", type_=Id)
# A single-list token sees only conversations that were started with a token for that list.
_CAN_SEE = _BY_OWNER & or_(_TOKEN_LIST_ID.is_(None), conversation.c.list_id == _TOKEN_LIST_ID)
_BY_ID = (conversation.c.id == bindparam("id", type_=Id)) & _CAN_SEE
_OF_CONVERSATION: ColumnElement[bool] = message.c.conversation_id == bindparam("of", type_=Id)
_BY_MESSAGE = message.c.id == bindparam("message_id", type_=Id)
_CONVERSATION_COLUMNS = tuple(
    conversation.c[name]
    for name in ("id", "list_id", "title", "plan_id", "created_at", "updated_at")
)
_MESSAGE_COLUMNS = tuple(column for column in message.c if column.name != "conversation_id")


def _page(table: Table, shown: tuple[Any, ...], mine: ColumnElement[bool]) -> list[Statement]:
    """Return the statements for the first page and for later pages, newest first."""
    some: Select[Any] = select(*shown).where(mine).order_by(table.c.id.desc())
    some = some.limit(bindparam("limit"))
    return [Statement(some), Statement(some.where(table.c.id < bindparam("before", type_=Id)))]


def _insert(table: Table) -> Statement:
    return Statement(insert(table).values({c.name: bindparam(c.name) for c in table.c}))


_FIND = Statement(select(*_CONVERSATION_COLUMNS).where(_BY_ID))
_CONVERSATIONS = _page(conversation, _CONVERSATION_COLUMNS, _CAN_SEE)
_MESSAGES = _page(message, _MESSAGE_COLUMNS, _OF_CONVERSATION)
_HISTORY = Statement(
    select(
        *(message.c[name] for name in ("role", "content", "run_id", "changed", "degraded_reason"))
    )
    .where(_OF_CONVERSATION, message.c.status != literal_column("'running'"))
    .order_by(message.c.id.desc())
    .limit(literal_column(str(HISTORY_MESSAGES)))
)
_latest = (
    select(*(message.c[name] for name in ("id", "run_id", "changed", "status", "plan_id")))
    .where(_OF_CONVERSATION)
    .order_by(message.c.id.desc())
    .limit(literal_column(str(MAX_SEARCHED)))
    .subquery()
)
_RUNS = Statement(
    select(_latest.c.run_id)
    .where(
        or_(
            _latest.c.changed,
            _latest.c.status == literal_column("'running'"),
            _latest.c.plan_id.is_not(None),
        ),
    )
    .order_by(_latest.c.id.desc())
    .limit(literal_column(str(MAX_RUNS)))
)
_SIZE = Statement(select(func.coalesce(func.sum(conversation.c.size), 0)).where(_BY_OWNER))
_ADD_CONVERSATION, _ADD_MESSAGE = _insert(conversation), _insert(message)
_GROW = {
    "size": conversation.c.size + bindparam("more"),
    "updated_at": bindparam("at", type_=Time),
}
_BY_CONVERSATION: ColumnElement[bool] = conversation.c.id == bindparam("of", type_=Id)
_CONTINUE = Statement(update(conversation).where(_BY_CONVERSATION).values(_GROW))
_BEGIN_TURN = Statement(update(conversation).where(_BY_CONVERSATION).values(**_GROW, plan_id=None))
_is_later = (message.c.conversation_id == conversation.c.id) & (
    message.c.id > bindparam("message_id", type_=Id)
)
_KEEP_PLAN = Statement(
    update(conversation)
    .where(_BY_CONVERSATION, ~select(message.c.id).where(_is_later).exists())
    .values(plan_id=bindparam("plan", type_=Id))
)
_ANSWERED = (
    *("status", "content", "tool_calls", "run_id", "changed", "plan_id", "degraded_reason"),
    *("prompt_tokens", "output_tokens"),
)
_ANSWER = Statement(
    update(message)
    .where(_BY_MESSAGE)
    .values({name: bindparam(f"new_{name}") for name in _ANSWERED})
)
_STATUS = Statement(select(message.c.status, message.c.created_at).where(_BY_MESSAGE))
_REMOVE_MESSAGES = Statement(
    delete(message).where(
        message.c.id.in_([bindparam("message_id", type_=Id), bindparam("question_id", type_=Id)])
    )
)
_REMOVE_EMPTY = Statement(
    delete(conversation).where(
        _BY_CONVERSATION,
        ~select(message.c.id).where(message.c.conversation_id == conversation.c.id).exists(),
    )
)
_REMOVE = Statement(delete(conversation).where(_BY_ID).returning(conversation.c.id))


class ConversationRepository:
    """Repository of the conversations that a caller can see."""

    def __init__(self, session: Session, caller: Caller) -> None:
        self._session = session
        self._owner = caller.user
        self._list_id = caller.list_id
        self._seen = {"owner": caller.user, "only_list": caller.list_id}

    async def find(self, conversation_id: str) -> Conversation | None:
        """Return a conversation, or None if it does not exist or is not visible to the caller."""
        row = await self._session.find(_FIND, {**self._seen, "id": conversation_id})
        return None if row is None else Conversation(*map(_read, row))

    async def find_page(self, before: str | None, limit: int) -> list[Conversation]:
        """Return conversations, newest first, starting after the ID `before`."""
        rows = await self._fetch_page(_CONVERSATIONS, self._seen, before, limit)
        return [Conversation(*map(_read, row)) for row in rows]

    async def find_messages(
        self, conversation_id: str, before: str | None, limit: int
    ) -> list[Message]:
        """Return messages of a visible conversation, newest first, starting after `before`."""
        rows = await self._fetch_page(_MESSAGES, {"of": conversation_id}, before, limit)
        return [_read_message(row) for row in rows]

    async def find_history(self, conversation_id: str) -> tuple[EarlierMessage, ...]:
        """Return the latest messages, oldest first, within the assistant's context limits."""
        rows = await self._session.fetch(_HISTORY, {"of": conversation_id})
        return limit_history(
            EarlierMessage(
                role, content, run_id if changed else None, reason is not None and not changed
            )
            for role, content, run_id, changed, reason in rows
        )

    async def find_runs(self, conversation_id: str) -> tuple[str, ...]:
        """Return the runs of answers with changes or possible changes, newest first.

        A running answer may belong to a crashed process, and a plan may have been applied outside
        the conversation.
        """
        rows = await self._session.fetch(_RUNS, {"of": conversation_id})
        return tuple(str(run_id) for (run_id,) in rows)

    def count_bytes(self) -> BoundStatement:
        """Return the statement that sums the bytes of all the user's conversations."""
        return (_SIZE, {"owner": self._owner})

    async def begin_turn(
        self, found: Conversation, question: Message, answer: Message, *, is_new: bool
    ) -> None:
        """Store a turn's messages, and create the conversation or clear its pending plan."""
        size = question.size + answer.size
        new = {**found.to_dict(), "owner": self._owner, "size": MESSAGE_ROW_BYTES + size}
        more = {"of": found.id, "more": size, "at": answer.created_at}
        await self._session.run(
            (_ADD_CONVERSATION, new) if is_new else (_BEGIN_TURN, more),
            *((_ADD_MESSAGE, _row_of(each, found.id)) for each in (question, answer)),
        )

    async def answer(
        self, conversation_id: str, answer: Message, at: str, plan_id: str | None
    ) -> None:
        """Replace a running answer with the final one, and store the pending plan."""
        changed = {f"new_{name}": getattr(answer, name) for name in _ANSWERED}
        counted = replace(answer, content="", tool_calls="[]").size
        more = {"of": conversation_id, "more": answer.size - counted, "at": at}
        stored = (_ANSWER, {**changed, "message_id": answer.id})
        await self._session.run(stored, (_CONTINUE, more))
        await self.keep_plan(conversation_id, answer.id, plan_id)

    async def keep_plan(self, conversation_id: str, answer_id: str, plan_id: str | None) -> None:
        """Store the pending plan, if any, unless the conversation has a later message."""
        if plan_id is not None:
            values = {"of": conversation_id, "message_id": answer_id, "plan": plan_id}
            await self._session.run((_KEEP_PLAN, values))

    async def find_status(self, message_id: str) -> tuple[Status, datetime] | None:
        """Return the status and start time of an answer, or None if it does not exist."""
        row = await self._session.find(_STATUS, {"message_id": message_id})
        if row is None:
            return None
        status, at = row
        return status, datetime.fromisoformat(at) if isinstance(at, str) else at

    async def forget(self, conversation_id: str, *message_ids: str) -> None:
        """Remove the question and answer of a rejected turn, and the conversation if empty."""
        question_id, answer_id = message_ids
        both = {"question_id": question_id, "message_id": answer_id}
        await self._session.run((_REMOVE_MESSAGES, both), (_REMOVE_EMPTY, {"of": conversation_id}))

    async def remove(self, conversation_id: str) -> bool:
        """Remove a conversation with its messages; return whether it existed."""
        values = {**self._seen, "id": conversation_id}
        return bool(await self._session.fetch(_REMOVE, values))

    async def _fetch_page(
        self, pages: list[Statement], values: dict[str, Any], before: str | None, limit: int
    ) -> list[Row]:
        first, later = pages
        if before is None:
            return await self._session.fetch(first, {**values, "limit": limit})
        return await self._session.fetch(later, {**values, "limit": limit, "before": before})


def _read(value: Any) -> Any:  # noqa: ANN401 - the type varies by column
    """Return a datetime or UUID as the string that SQLite would return."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value if value is None else str(value)


def _row_of(new: Message, conversation_id: str) -> dict[str, Any]:
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    return {**values, "conversation_id": conversation_id}


_PLAIN = {"changed", "prompt_tokens", "output_tokens"}


def _read_message(row: Row) -> Message:
    values = zip((column.name for column in _MESSAGE_COLUMNS), row, strict=True)
    read = {name: value if name in _PLAIN else _read(value) for name, value in values}
    return Message(**{**read, "changed": bool(read["changed"])})
