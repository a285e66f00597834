"""Take in the tasks of a calendar file."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

from todo.errors import ProblemError
from todo.tasks.content import new_image, settle_due
from todo.tasks.due import check_zone
from todo.tasks.record import Image
from todo.transfer.ical import read_calendar
from todo.transfer.ical_task import ImportedTask
from todo.transfer.importing import Importer, Report

_RANDOM_BITS = 74


async def import_calendar(importer: Importer, data: bytes, owner: str, now: datetime) -> Report:
    """Take in the tasks of a file as the owner's.

    Args:
        importer: The import that they belong to.
        data: The file.
        owner: Whose tasks they become.
        now: The time of the import.
    """
    zone = await importer.find_zone(owner)
    calendar = read_calendar(data, check_zone(zone))
    skipped = importer.report.skipped
    for item in calendar.report:
        why = f"{item.what}: {item.why}"
        skipped[item.line] = f"{skipped[item.line]}; {why}" if item.line in skipped else why
    images: list[tuple[int, Image]] = []
    ids: dict[str, str] = {}
    for task in calendar.tasks:
        try:
            image = _make_image(task, owner, zone, ids, now)
        except ProblemError as error:
            reasons = [f"{each['field']}: {each['message']}" for each in error.errors or ()]
            skipped[task.line] = "; ".join(reasons) or error.detail
            continue
        if task.uid:
            ids[task.uid] = image["id"]
        images.append((task.line, image))
    return await importer.take_images(images)


def _make_image(
    task: ImportedTask, owner: str, zone: str, ids: dict[str, str], now: datetime
) -> Image:
    created_at = _parse(task.created_at) or now
    at = _render(created_at)
    image = new_image(task.task, owner, at)
    if task.uid:
        image["id"] = _derive_id(owner, task.uid, _parse(task.created_at))
    image["parent_id"] = ids.get(task.parent_uid or "")
    image["position"] = round(created_at.timestamp(), 3)
    image["updated_at"] = _render(_parse(task.updated_at) or created_at)
    image["is_completed"] = task.is_completed
    if task.is_completed:
        done_at = _parse(task.completed_at) or _parse(task.updated_at) or created_at
        image["completed_at"] = _render(done_at)
    settle_due(image, zone)
    return image


def _derive_id(owner: str, uid: str, created_at: datetime | None) -> str:
    """Return the id that a task of a file has each time that it is imported.

    A UUIDv7 of the time when the task was made, so that it sorts as others do; what is random in
    others is a hash of its name here.
    """
    milliseconds = 0 if created_at is None else max(0, int(created_at.timestamp() * 1000))
    digest = hashlib.sha256(f"{owner}\0{uid}".encode()).digest()
    bits = int.from_bytes(digest) & (1 << _RANDOM_BITS) - 1
    high, low = divmod(bits, 1 << 62)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    return str(UUID(int=value))


def _parse(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _render(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
