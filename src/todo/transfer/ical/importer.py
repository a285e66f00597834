"""Import of the tasks of a calendar file."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from todo.api.schemas import to_json_dict
from todo.core.domain import NewTask, Task
from todo.core.errors import ProblemError
from todo.core.timestamps import format_timestamp
from todo.db.database import Database
from todo.schedule.due import check_zone
from todo.tasks.account_zone import fetch_zone
from todo.tasks.repository import MAX_DEPTH
from todo.tasks.schemas import TaskCreate
from todo.tasks.validation import make_task, validate_due
from todo.transfer.first_pass import TaskPlacement
from todo.transfer.ical.reader import Calendar, read_calendar
from todo.transfer.ical.vtodo import ImportedTask
from todo.transfer.importer import Importer, Report
from todo.transfer.records import explain, join_reasons

_RANDOM_BITS = 74
# Length of the timestamp at the start of a UUIDv7.
_TIME_LENGTH = len("019b0a2e-5c00-")


async def import_calendar(
    database: Database,
    data: bytes,
    owner: str,
    now: datetime,
    progress: Callable[[int], None],
    *,
    dry_run: bool,
) -> Report:
    """Import the tasks of a calendar file into an account; a dry run does not commit.

    The file is parsed before the write transaction starts, so that slow parsing blocks no writers.
    """
    while True:
        async with database.reading() as session:
            zone = await fetch_zone(session, owner)
        calendar = read_calendar(data, check_zone(zone))
        async with database.unit_of_work() as session:
            importer = Importer(session, now, progress)
            if await importer.find_zone(owner) != zone:
                continue  # The zone changed meanwhile: parse the wall times again.
            report = await _Import(importer, owner, zone, now).run(calendar)
            if not dry_run:
                await session.commit()
            return report


class _Import:
    def __init__(self, importer: Importer, owner: str, zone: str, now: datetime) -> None:
        self._importer = importer
        self._owner = owner
        self._zone = zone
        self._now = now
        # Reasons by line number; one line can have a hundred thousand.
        self._reasons: defaultdict[int, list[str]] = defaultdict(list)
        # Task IDs by UID, for the tasks imported so far.
        self._ids: dict[str, str] = {}
        # Placements by ID, for stored and new tasks.
        self._places: dict[str, TaskPlacement] = {}

    async def run(self, calendar: Calendar) -> Report:
        for item in calendar.report:
            self._skip(item.line, f"{item.what}: {item.why}")
        known = await self._find_known(calendar)
        tasks = []
        for read in calendar.tasks:
            try:
                task = self._make_task(read, known)
            except ProblemError as error:
                reasons = [f"{each['field']}: {each['message']}" for each in error.errors or ()]
                self._skip(read.line, join_reasons(reasons) or error.detail)
                continue
            except ValidationError as error:
                self._skip(read.line, explain(error))
                continue
            if read.uid:
                self._ids[read.uid] = task["id"]
            tasks.append((read.line, task))
        report = await self._importer.take_tasks(tasks)
        report.skipped |= {line: join_reasons(each) for line, each in self._reasons.items()}
        return report

    def _skip(self, line: int, why: str) -> None:
        self._reasons[line].append(why)

    async def _find_known(self, calendar: Calendar) -> dict[str, str]:
        """Return the IDs of previously imported tasks, by their part after the timestamp."""
        ids = {_make_id(self._owner, task) for task in calendar.tasks if task.uid}
        names = {each[_TIME_LENGTH:] for each in ids}
        found = await self._importer.find_ids(
            self._owner, lambda each: each[_TIME_LENGTH:] in names
        )
        above = ids.union(found)
        for _ in range(MAX_DEPTH):
            places = await self._importer.find_places(above - self._places.keys())
            self._places |= places
            above = {place.parent_id for place in places.values() if place.parent_id}
        return {each[_TIME_LENGTH:]: each for each in found}

    def _make_task(self, read: ImportedTask, known: dict[str, str]) -> Task:
        created_at = _parse(read.created_at) or self._now
        # The rule was already validated; the other fields are validated like those of a request.
        fields = {name: value for name, value in read.task.items() if name != "recurrence"}
        given: NewTask = to_json_dict(TaskCreate.model_validate(fields))
        task = make_task(given, self._owner, _render(created_at))
        if read.uid:
            made = _make_id(self._owner, read)
            task["id"] = known.get(made[_TIME_LENGTH:], made)
        task["position"] = round(created_at.timestamp(), 3)
        task["updated_at"] = _render(_parse(read.updated_at) or created_at)
        task["is_completed"] = read.is_completed
        if read.is_completed:
            done_at = _parse(read.completed_at) or _parse(read.updated_at) or created_at
            task["completed_at"] = _render(done_at)
        validate_due(task, self._zone)
        task["recurrence"] = read.task.get("recurrence")
        if task["id"] not in self._places:
            place = self._place(read)
            task["parent_id"], task["list_id"] = place.parent_id, place.list_id
            self._places[task["id"]] = place
        return task

    def _place(self, task: ImportedTask) -> TaskPlacement:
        """Return the placement of a new task: below its parent, in the parent's current list."""
        if task.parent_uid is None:
            return TaskPlacement(self._owner, None, None)
        parent_id = self._ids.get(task.parent_uid, "")
        parent = above = self._places.get(parent_id)
        depth = 1
        while above is not None:
            depth += 1
            above = self._places.get(above.parent_id or "")
        if parent is None:
            why = "the parent is not imported"
        elif parent.owner != self._owner:
            why = "the parent now belongs to another user"
        elif depth > MAX_DEPTH:
            why = f"tasks can be nested at most {MAX_DEPTH} levels deep"
        else:
            return TaskPlacement(self._owner, parent.list_id, parent_id)
        self._skip(task.line, f"RELATED-TO: {why}; imported without parent")
        return TaskPlacement(self._owner, None, None)


def _make_id(owner: str, task: ImportedTask) -> str:
    """Return a UUIDv7 with the creation time of a task, so that it sorts like other IDs.

    A hash of owner and UID replaces the random bits. CREATED may differ in the next file, so only
    the hash identifies the task.
    """
    created_at = _parse(task.created_at)
    milliseconds = 0 if created_at is None else max(0, int(created_at.timestamp() * 1000))
    digest = hashlib.sha256(f"{owner}\0{task.uid}".encode()).digest()
    bits = int.from_bytes(digest) & (1 << _RANDOM_BITS) - 1
    high, low = divmod(bits, 1 << 62)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    return str(UUID(int=value))


def _parse(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _render(moment: datetime) -> str:
    return format_timestamp(moment)
