"""Current documents of tasks and lists, as the database renders them.

The journal may have the same document in the format of an earlier release, with another length.
Only current documents count towards a storage quota.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Select, Table

from todo.db.documents import LIST_FIELDS, TASK_FIELDS, as_bytes, select_document
from todo.db.session import Session
from todo.db.statement import Statement, unnest_json
from todo.db.tables import Id, task, task_list


def _select(dialect: str, table: Table, fields: Sequence[str]) -> Select[Any]:
    wanted = table.c.id.in_(unnest_json(dialect, "ids", Id))
    return select_document(dialect, table, lambda s: s.where(wanted), fields, [table.c.id])


_STATEMENTS = {
    table.name: Statement(partial(_select, table=table, fields=fields))
    for table, fields in ((task, TASK_FIELDS), (task_list, LIST_FIELDS))
}


async def fetch_documents(
    session: Session, things: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    """Return the documents of the existing tasks and lists among `things`, by kind and ID.

    Other kinds are ignored. The account must be locked.
    """
    ids: dict[str, list[str]] = {kind: [] for kind in _STATEMENTS}
    for kind, thing_id in things:
        if kind in ids:
            ids[kind].append(thing_id)
    found = {}
    for kind, statement in _STATEMENTS.items():
        if ids[kind]:
            values = {"ids": orjson.dumps(ids[kind]).decode()}
            for document, thing_id in await session.fetch(statement, values):
                found[kind, str(thing_id)] = as_bytes(document)
    return found
