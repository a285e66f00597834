"""Import of the tasks of a calendar file."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from todo.core.errors import ProblemError
from todo.core.timestamps import format_timestamp
from todo.db.database import Database
from todo.schedule.due import check_zone
from todo.tasks.account_zone import fetch_zone
from todo.tasks.document import Document
from todo.tasks.repository import MAX_DEPTH
from todo.tasks.schemas import TaskCreate
from todo.tasks.validation import new_image, validate_due
from todo.transfer.first_pass import TaskPlacement
from todo.transfer.ical.reader import Calendar, read_calendar
from todo.transfer.ical.vtodo import ImportedTask
from todo.transfer.importer import Importer, Report
from todo.transfer.records import explain, join_reasons, to_plain

_RANDOM_BITS = 74
# The characters of an id that say when the task was created; the rest is random.
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
    """Import the tasks of a file as the owner's.

    The file is read before the transaction starts: however long that takes, nobody waits for it.

    Args:
        database: Where to.
        data: The file.
        owner: Whose tasks they become.
        now: The time of the import.
        progress: As `Importer` has it.
        dry_run: Whether to leave everything as it was.
    """
    while True:
        async with database.reading() as session:
            zone = await fetch_zone(session, owner)
        calendar = read_calendar(data, check_zone(zone))
        async with database.unit_of_work() as session:
            importer = Importer(session, now, progress)
            if await importer.find_zone(owner) != zone:
                continue  # It was changed meanwhile, and with it what a wall time means.
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
        # Line -> every reason; one line of a file can have a hundred thousand.
        self._reasons: defaultdict[int, list[str]] = defaultdict(list)
        # UID -> id of each task of the file that is taken.
        self._ids: dict[str, str] = {}
        # What was there before, and what is made.
        self._places: dict[str, TaskPlacement] = {}

    async def run(self, calendar: Calendar) -> Report:
        for item in calendar.report:
            self._skip(item.line, f"{item.what}: {item.why}")
        known = await self._find_known(calendar)
        documents = []
        for task in calendar.tasks:
            try:
                document = self._make_image(task, known)
            except ProblemError as error:
                reasons = [f"{each['field']}: {each['message']}" for each in error.errors or ()]
                self._skip(task.line, join_reasons(reasons) or error.detail)
                continue
            except ValidationError as error:
                self._skip(task.line, explain(error))
                continue
            if task.uid:
                self._ids[task.uid] = document["id"]
            documents.append((task.line, document))
        report = await self._importer.take_images(documents)
        report.skipped |= {line: join_reasons(each) for line, each in self._reasons.items()}
        return report

    def _skip(self, line: int, why: str) -> None:
        self._reasons[line].append(why)

    async def _find_known(self, calendar: Calendar) -> dict[str, str]:
        """Find the tasks of earlier imports; what identifies them -> id."""
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

    def _make_image(self, task: ImportedTask, known: dict[str, str]) -> Document:
        created_at = _parse(task.created_at) or self._now
        # A rule was checked with the due; everything else as that of a request.
        fields = {name: value for name, value in task.task.items() if name != "recurrence"}
        checked = TaskCreate.model_validate(fields)
        given = {name: to_plain(getattr(checked, name)) for name in fields}
        document = new_image(given, self._owner, _render(created_at))
        if task.uid:
            made = _make_id(self._owner, task)
            document["id"] = known.get(made[_TIME_LENGTH:], made)
        document["position"] = round(created_at.timestamp(), 3)
        document["updated_at"] = _render(_parse(task.updated_at) or created_at)
        document["is_completed"] = task.is_completed
        if task.is_completed:
            done_at = _parse(task.completed_at) or _parse(task.updated_at) or created_at
            document["completed_at"] = _render(done_at)
        validate_due(document, self._zone)
        document["recurrence"] = task.task.get("recurrence")
        if document["id"] not in self._places:
            place = self._place(task)
            document["parent_id"], document["list_id"] = place.parent_id, place.list_id
            self._places[document["id"]] = place
        return document

    def _place(self, task: ImportedTask) -> TaskPlacement:
        """Return where a new task goes: below its parent, wherever that is by now."""
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
    """Return a UUIDv7 of the time when a task was created, so that it sorts as others do.

    Instead of what is random in others it has a hash of owner and UID. The file of the next import
    may have another CREATED, so only that hash identifies the task.
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
