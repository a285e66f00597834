"""Import of an export file in one transaction, with a reason for each skipped line.

The file is read twice. The first pass validates each line and the references between tasks and
lists, and skips a task whose parent is skipped. The second pass stores the other lines.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import bindparam, insert, select, text, update

from todo.core.caller import Caller
from todo.core.domain import Share, Task, TaskList
from todo.db.documents import (
    LIST_FIELDS,
    SHARE_FIELDS,
    as_bytes,
    parse_list,
    parse_share,
    parse_task,
    return_document,
    select_document,
)
from todo.db.session import Session
from todo.db.statement import POSTGRESQL, SQLITE, Statement, follows, unnest_json
from todo.db.tables import Id, account, list_share, task, task_list
from todo.tasks.document import find_fire_times
from todo.tasks.repository import TaskRepository
from todo.transfer.conversation_importer import ConversationImporter
from todo.transfer.first_pass import FileIndex, TaskPlacement, settle, survey_lines
from todo.transfer.records import (
    AccountRecord,
    ConversationRecord,
    ListRecord,
    MessageRecord,
    Record,
    TaskRecord,
    read_line,
)
from todo.writes.unit_of_work import Account, UnitOfWork

AGENT = "todo.admin import"
_BATCH = 500
_PROGRESS = 10_000
_IDS_AT_ONCE = 10_000


_TASKS = Statement(
    lambda d: select_document(d, task, lambda s: s.where(task.c.id.in_(unnest_json(d, "ids", Id))))
)
_PLACES = Statement(
    lambda d: select(task.c.id, task.c.owner, task.c.list_id, task.c.parent_id).where(
        task.c.id.in_(unnest_json(d, "ids", Id))
    )
)
_IDS = Statement(
    select(task.c.id)
    .where(task.c.owner == bindparam("owner"), follows(task.c.id))
    .order_by(task.c.id)
    .limit(_IDS_AT_ONCE)
)
_OWNERS = Statement(
    lambda d: select(task_list.c.id, task_list.c.owner).where(
        task_list.c.id.in_(unnest_json(d, "ids", Id))
    )
)
_SET_ZONE = Statement(
    update(account).where(account.c.owner == bindparam("of")).values(zone=bindparam("zone"))
)
_FIND_LIST = Statement(
    lambda d: select_document(
        d, task_list, lambda s: s.where(task_list.c.id == bindparam("id")), LIST_FIELDS
    )
)
_ADD_LIST = Statement(
    lambda d: return_document(
        d, insert(task_list).values({name: bindparam(name) for name in LIST_FIELDS}), task_list
    )
)
_FIND_SHARE = Statement(
    lambda d: select_document(
        d,
        list_share,
        lambda s: s.where(
            list_share.c.list_id == bindparam("list_id"), list_share.c.user_id == bindparam("user")
        ),
        SHARE_FIELDS,
    )
)
_ADD_SHARE = Statement(
    lambda d: return_document(
        d, insert(list_share).values({name: bindparam(name) for name in SHARE_FIELDS}), list_share
    )
)
_DEFER = {
    POSTGRESQL: Statement(text("SET CONSTRAINTS ALL DEFERRED")),
    SQLITE: Statement(text("PRAGMA defer_foreign_keys = ON")),
}


@dataclass(slots=True)
class Report:
    """Counts of imported records by kind and of existing records, and reasons by skipped line."""

    taken: dict[str, int] = field(default_factory=dict)
    present: int = 0
    skipped: dict[int, str] = field(default_factory=dict)

    def take(self, kind: str) -> None:
        """Count an imported record."""
        self.taken[kind] = self.taken.get(kind, 0) + 1


class Importer:
    """Importer for one transaction, which the caller commits or rolls back.

    The progress callback regularly receives the number of lines read.
    """

    def __init__(self, session: Session, now: datetime, progress: Callable[[int], None]) -> None:
        self._session = session
        self._now = now
        self._progress = progress
        self._works: dict[str, UnitOfWork] = {}
        self._accounts: dict[str, Account] = {}
        self._zones: dict[str, str] = {}
        self._pending: list[tuple[int, Task]] = []
        self._compares = True
        self.report = Report()
        self._conversations = ConversationImporter(
            session, self._compare, self.report.take, self._skip
        )

    async def run(self, read: Callable[[], Iterable[bytes]], owner: str | None) -> Report:
        """Import all lines or, with an owner, only the owner's; `read` is called twice."""
        survey = survey_lines(read(), owner)
        await self._settle(survey)
        self.report.skipped = survey.skipped
        await self._session.run((_DEFER[self._session.dialect], {}))
        for number, line in enumerate(read(), 1):
            if number not in survey.skipped:
                record = read_line(line)
                if record is not None:
                    await self._take(number, record, survey)
            if number % _PROGRESS == 0:
                self._progress(number)
        await self._store_pending()
        await self._conversations.store_pending()
        for work in self._works.values():
            await work.flush()
        return self.report

    async def take_tasks(self, tasks: Iterable[tuple[int, Task]]) -> Report:
        """Import tasks, each with its line number.

        A task whose ID already exists counts as present, even if it has changed since.
        """
        self._compares = False
        await self._session.run((_DEFER[self._session.dialect], {}))
        for number, task_ in tasks:
            self._pending.append((number, task_))
            if len(self._pending) >= _BATCH:
                await self._store_pending()
        await self._store_pending()
        for work in self._works.values():
            await work.flush()
        return self.report

    async def find_zone(self, owner: str) -> str:
        """Lock an account, creating it if missing, and return its zone."""
        await self._work(owner)
        return self._zones[owner]

    async def find_ids(self, owner: str, wanted: Callable[[str], bool]) -> list[str]:
        """Return the IDs of an owner's tasks for which `wanted` is true, sorted."""
        found: list[str] = []
        after: str | None = None
        while True:
            rows = await self._session.fetch(_IDS, {"owner": owner, "after": after})
            ids = [str(row[0]) for row in rows]
            found += filter(wanted, ids)
            if len(ids) < _IDS_AT_ONCE:
                return found
            after = ids[-1]

    async def find_places(self, ids: Iterable[str]) -> dict[str, TaskPlacement]:
        """Return the placements of those tasks that are stored, by ID."""
        return {
            str(row[0]): TaskPlacement(row[1], row[2] and str(row[2]), row[3] and str(row[3]))
            for some in _chunks(ids)
            for row in await self._fetch(_PLACES, some)
        }

    async def _settle(self, survey: FileIndex) -> None:
        lists, tasks = survey.named()
        owners = {
            str(row[0]): row[1] for ids in _chunks(lists) for row in await self._fetch(_OWNERS, ids)
        }
        settle(survey, owners, await self.find_places(tasks))

    async def _fetch(self, statement: Statement, ids: list[str]) -> list[Any]:
        return await self._session.fetch(statement, {"ids": orjson.dumps(ids).decode()})

    async def _work(self, owner: str) -> UnitOfWork:
        if owner not in self._works:
            work = UnitOfWork(self._session, Caller(owner, agent=AGENT), self._now)
            locked, _ = await work.lock(owner)
            self._works[owner] = work
            self._accounts[owner] = locked
            self._zones[owner] = locked.zone
        return self._works[owner]

    async def _take(self, number: int, record: Record, survey: FileIndex) -> None:
        if isinstance(record, TaskRecord):
            self._pending.append((number, record.to_json_dict()))
            if len(self._pending) >= _BATCH:
                await self._store_pending()
        elif isinstance(record, AccountRecord):
            await self._take_account(number, record)
        elif isinstance(record, ListRecord):
            await self._take_list(number, record.to_json_dict())
        elif isinstance(record, ConversationRecord | MessageRecord):
            if isinstance(record, ConversationRecord):
                await self._work(record.owner)
            await self._conversations.take(number, record)
        else:
            await self._take_share(number, record.to_json_dict(), survey)

    async def _take_account(self, number: int, record: AccountRecord) -> None:
        await self._work(record.owner)
        if self._zones[record.owner] == record.zone:
            self.report.present += 1
        elif self._accounts[record.owner].seq == 0:
            await self._session.run((_SET_ZONE, {"of": record.owner, "zone": record.zone}))
            self._zones[record.owner] = record.zone
            self.report.take("account")
        else:
            zone = self._zones[record.owner]
            self.report.skipped[number] = f"the account already exists, with the zone {zone}"

    async def _take_list(self, number: int, new: TaskList) -> None:
        work = await self._work(new["owner"])
        row = await self._session.find(_FIND_LIST, {"id": new["id"]})
        if row is not None:
            self._compare(number, new, parse_list(row[0]))
            return
        (row,) = await self._session.fetch(_ADD_LIST, new)
        work.record(
            new["owner"],
            "create",
            "list",
            new["id"],
            list_id=new["id"],
            after=as_bytes(row[0]),
        )
        self.report.take("list")

    async def _take_share(self, number: int, new: Share, survey: FileIndex) -> None:
        owner = survey.lists.get(new["list_id"])
        if owner is None:
            self.report.skipped[number] = "list_id: the list is not in this file"
            return
        if owner == new["user_id"]:
            self.report.skipped[number] = "user_id: is the owner of the list"
            return
        work = await self._work(owner)
        where = {"list_id": new["list_id"], "user": new["user_id"]}
        row = await self._session.find(_FIND_SHARE, where)
        if row is not None:
            self._compare(number, new, parse_share(row[0]))
            return
        (row,) = await self._session.fetch(_ADD_SHARE, new)
        work.record(
            owner,
            "share",
            "share",
            new["user_id"],
            list_id=new["list_id"],
            after=as_bytes(row[0]),
        )
        self.report.take("share")

    async def _store_pending(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        found = await self._fetch(_TASKS, [imported["id"] for _, imported in pending])
        stored = {there["id"]: there for there in (parse_task(row[0]) for row in found)}
        new = []
        for number, imported in pending:
            if imported["id"] in stored:
                self._compare(number, imported, stored[imported["id"]])
            else:
                new.append(imported)
        by_statement: dict[Statement, list[Any]] = {}
        for imported in new:
            work = await self._work(imported["owner"])
            times = find_fire_times(imported, self._zones[imported["owner"]], self._now)
            calls = TaskRepository(self._session, work.caller).add(imported, times)
            for statement, values in calls:
                by_statement.setdefault(statement, []).append(values)
        for statement, rows in by_statement.items():
            await self._session.run_many(statement, rows)
        for row in await self._fetch(_TASKS, [imported["id"] for imported in new]):
            document = as_bytes(row[0])
            created = parse_task(document)
            self._works[created["owner"]].record(
                created["owner"],
                "create",
                "task",
                created["id"],
                list_id=created["list_id"],
                after=document,
            )
            self.report.take("task")
        for work in self._works.values():
            await work.flush()

    def _skip(self, number: int, reason: str) -> None:
        self.report.skipped[number] = reason

    def _compare(
        self, number: int, given: Mapping[str, object], stored: Mapping[str, object]
    ) -> None:
        """Count a record as present if it equals the stored one, otherwise skip it."""
        if not self._compares or all(_same(stored[name], value) for name, value in given.items()):
            self.report.present += 1
        else:
            self.report.skipped[number] = "another entity with this ID already exists"


def _same(one: object, other: object) -> bool:
    if one == other:
        return True
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return False


def _chunks(ids: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]
