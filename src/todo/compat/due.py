"""Due dates in the format of existing front ends: one field for dates, wall times and instants.

Their forms send a wall time without a zone, `2026-11-25T10:00`, and expect the same value back. The
time is in the account's zone. If that zone was never set, the time is stored with the zone
`UNKNOWN_ZONE` and returned without a zone. The front ends' own back ends do the same, and browsers
in every zone show the time as typed.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from todo.core.domain import TaskDue
from todo.core.timestamps import format_timestamp
from todo.schedule.due import EARLIEST, LATEST, at_wall_time, check_zone

UNKNOWN_ZONE = "Etc/UTC"
_UNSET_ZONE = "UTC"
_DAY_LENGTH = len("2026-11-25")


@dataclass(frozen=True, slots=True)
class Due:
    """Due date of a request: a day, or a moment, which is in UTC or a wall time without a zone."""

    day: date | None = None
    moment: datetime | None = None


def read_due_text(value: Any) -> Any:  # noqa: ANN401 - unvalidated JSON
    """Parse a due date or time; return None for an empty text or null.

    Raises:
        ValueError: The value is neither a date nor a time, or its year is out of range.
    """
    if value is None or isinstance(value, Due):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a string such as 2026-11-25T10:00")  # noqa: TRY004 - pydantic's way
    text = value.strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date or a time such as 2026-11-25T10:00") from None
    # Conversion to any zone stays within Python's calendar.
    if not EARLIEST.year < moment.year < LATEST.year:
        raise ValueError(f"must be after {EARLIEST.year} and before {LATEST.year}")
    if len(text) <= _DAY_LENGTH:
        return Due(day=moment.date())
    return Due(moment=moment if moment.tzinfo is None else moment.astimezone(UTC))


def to_fields(due: Due | None, account_zone: str) -> TaskDue:
    """Convert a due date to the due fields of a task."""
    fields: TaskDue = {"due_date": None, "due_at": None, "due_zone": None}
    if due is None:
        return fields
    if due.moment is None:
        assert due.day is not None  # noqa: S101 - narrows the type
        return fields | {"due_date": due.day.isoformat()}
    if due.moment.tzinfo is not None:
        return fields | {"due_at": _render(due.moment)}
    zone = UNKNOWN_ZONE if account_zone == _UNSET_ZONE else account_zone
    at = at_wall_time(due.moment.date(), due.moment.time(), check_zone(zone))
    return fields | {"due_at": _render(at), "due_zone": zone}


def show_due(task: TaskDue) -> str | None:
    """Return the due date of a task in the format of existing front ends."""
    if task["due_date"] is not None:
        # A browser parses a date without a time as midnight UTC, which may be another local day.
        return f"{task['due_date']}T00:00:00"
    if task["due_at"] is not None and task["due_zone"] == UNKNOWN_ZONE:
        wall = datetime.fromisoformat(task["due_at"]).astimezone(UTC).replace(tzinfo=None)
        return wall.isoformat()
    return task["due_at"]


def is_shown(task: TaskDue, due: Due | None) -> bool:
    """Return whether a due date equals the task's shown due date, in any notation."""
    shown = read_due_text(show_due(task))
    if due is not None and due.day is not None:
        due = Due(moment=datetime.combine(due.day, time()))
    return bool(shown == due)


def _render(moment: datetime) -> str:
    return format_timestamp(moment)
