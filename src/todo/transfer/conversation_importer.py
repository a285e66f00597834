"""Import of conversations and their messages."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, insert, update

from todo.db.documents import CONVERSATION_FIELDS, MESSAGE_FIELDS, as_bytes, select_document
from todo.db.session import Session
from todo.db.statement import Statement, unnest_json
from todo.db.tables import MESSAGE_ROW_BYTES, Id, conversation, message
from todo.transfer.records import ConversationRecord, MessageRecord

_BATCH = 50

_FIND = Statement(
    lambda d: select_document(
        d,
        conversation,
        lambda s: s.where(conversation.c.id == bindparam("id", type_=Id)),
        CONVERSATION_FIELDS,
    )
)
_ADD = Statement(
    insert(conversation).values({name: bindparam(name) for name in (*CONVERSATION_FIELDS, "size")})
)
_FIND_MESSAGES = Statement(
    lambda d: select_document(
        d,
        message,
        lambda s: s.where(message.c.id.in_(unnest_json(d, "ids", Id))),
        MESSAGE_FIELDS,
    )
)
_ADD_MESSAGE = Statement(insert(message).values({name: bindparam(name) for name in MESSAGE_FIELDS}))
_GROW = Statement(
    update(conversation)
    .where(conversation.c.id == bindparam("of", type_=Id))
    .values(size=conversation.c.size + bindparam("more"))
)

Compare = Callable[[int, Mapping[str, object], Mapping[str, object]], None]
Skip = Callable[[int, str], None]


class ConversationImporter:
    """Importer of the conversations and messages in one export file.

    `compare` is called for a line whose ID already exists, `skip` for one that cannot be imported,
    and `take` with the kind of each imported record. A stored conversation with another
    `updated_at` counts as the same conversation.
    """

    def __init__(
        self, session: Session, compare: Compare, take: Callable[[str], None], skip: Skip
    ) -> None:
        self._session = session
        self._compare = compare
        self._take = take
        self._skip = skip
        self._refused: set[str] = set()
        self._pending: list[tuple[int, dict[str, Any]]] = []

    async def take(self, number: int, record: ConversationRecord | MessageRecord) -> None:
        """Import one record; messages are stored in batches."""
        document: dict[str, Any] = record.to_json_dict()
        if isinstance(record, ConversationRecord):
            await self._take_conversation(number, document)
            return
        if document["conversation_id"] in self._refused:
            self._skip(number, "conversation_id: the conversation is not imported")
            return
        self._pending.append((number, document))
        if len(self._pending) >= _BATCH:
            await self.store_pending()

    async def store_pending(self) -> None:
        """Store the messages of the current batch."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        ids = orjson.dumps([document["id"] for _, document in pending]).decode()
        rows = await self._session.fetch(_FIND_MESSAGES, {"ids": ids})
        stored = {document["id"]: document for document in map(_read_message, rows)}
        grown: dict[str, int] = {}
        for number, document in pending:
            if document["id"] in stored:
                self._compare(number, document, stored[document["id"]])
                continue
            calls = orjson.dumps(document["tool_calls"]).decode()
            size = MESSAGE_ROW_BYTES + len(document["content"].encode()) + len(calls)
            grown.setdefault(document["conversation_id"], 0)
            grown[document["conversation_id"]] += size
            await self._session.run((_ADD_MESSAGE, {**document, "tool_calls": calls}))
            self._take("message")
        for conversation_id, more in grown.items():
            await self._session.run((_GROW, {"of": conversation_id, "more": more}))

    async def _take_conversation(self, number: int, document: dict[str, Any]) -> None:
        row = await self._session.find(_FIND, {"id": document["id"]})
        if row is None:
            await self._session.run((_ADD, {**document, "size": MESSAGE_ROW_BYTES}))
            self._take("conversation")
            return
        there: Mapping[str, Any] = orjson.loads(as_bytes(row[0]))
        if there["owner"] != document["owner"]:
            self._refused.add(document["id"])
        compared = {**document, "updated_at": there["updated_at"]}
        self._compare(number, compared, there)


def _read_message(row: tuple[Any, ...]) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(as_bytes(row[0]))
    calls = orjson.loads(document["tool_calls"])
    return {**document, "tool_calls": calls, "changed": bool(document["changed"])}
