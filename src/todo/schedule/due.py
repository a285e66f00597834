"""Due dates and due times: calendar days, instants, and the time zones that relate them.

A day is not an instant: "today" depends on the user's time zone, and only the functions here
convert one into the other. If clocks are put forward, a wall time in the gap is read with the
offset before the gap, so the result is later by the length of the gap. If clocks are put back, a
wall time that occurs twice means the first occurrence. RFC 5545 (3.3.5) requires both, and
`zoneinfo` implements both with `fold=0`.
"""

import calendar
import difflib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

EARLIEST = date(1900, 1, 1)
LATEST = date(9998, 12, 31)
"""Latest due date: a year before Python's last day, so that zones and reminders do not overflow."""

DueName = Literal["overdue", "today", "tomorrow", "week", "month"]
_MIDNIGHT = time()
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DueWindow:
    """Half-open ranges of due dates and of due times in UTC; None means unbounded."""

    date_from: date | None
    date_to: date | None
    at_from: datetime | None
    at_to: datetime | None


def check_zone(name: str) -> ZoneInfo:
    """Return the time zone with an IANA name such as `Europe/Berlin`.

    Former names such as `Asia/Calcutta` are valid. The name must be in the list of zones, because
    `ZoneInfo` opens any path, including files and folders that are not zones.

    Raises:
        ValueError: The name is unknown; the message suggests the most similar name.
    """
    zone = find_zone(name)
    if zone is not None:
        return zone
    known = {each.casefold(): each for each in _zone_names()}
    near = difflib.get_close_matches(name[:64].casefold(), known, n=1)
    hint = f"did you mean {known[near[0]]}?" if near else "write, for example, Europe/Berlin"
    raise ValueError(f"not the name of an IANA time zone; {hint}")


def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone with an IANA name; None if the name is unknown."""
    return ZoneInfo(name) if name in _zone_names() else None


@cache
def _zone_names() -> frozenset[str]:
    # The list of the locked package, so that the same names are valid on every machine.
    listed = importlib.resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    return frozenset(listed) - {"Factory"}  # stands for "not configured yet"


def at_wall_time(day: date, clock: time, zone: tzinfo) -> datetime:
    """Return the UTC instant at which the clocks of a zone show this day and time."""
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(UTC)


def day_bounds(name: DueName, now: datetime, zone: tzinfo) -> DueWindow:
    """Return the ranges of a named due window at the time `now` in a time zone.

    `overdue` has the days before today and the instants before now. `today` and `tomorrow` are
    calendar days, `week` is today and the next six days, and `month` ends before the same day of
    the next month, or with the last day of a shorter month. A day starts at midnight, or, if the
    clocks skip midnight, when they are put forward.
    """
    today = now.astimezone(zone).date()
    if name == "overdue":
        return DueWindow(None, today, None, now.astimezone(UTC))
    first = today + _DAY if name == "tomorrow" else today
    if name == "week":
        end = today + 7 * _DAY
    elif name == "month":
        end = _a_month_later(today)
    else:
        end = first + _DAY
    return DueWindow(
        first, end, at_wall_time(first, _MIDNIGHT, zone), at_wall_time(end, _MIDNIGHT, zone)
    )


def first_day(moment: datetime, zone: tzinfo) -> date:
    """Return the first day whose midnight is at or after an instant."""
    day = moment.astimezone(zone).date()
    return day if at_wall_time(day, _MIDNIGHT, zone) >= moment else day + _DAY


def _a_month_later(day: date) -> date:
    year, month = (day.year, day.month + 1) if day.month < 12 else (day.year + 1, 1)  # noqa: PLR2004 - months
    last = calendar.monthrange(year, month)[1]
    if day.day > last:
        return date(year, month, last) + _DAY
    return date(year, month, day.day)


def due_key(due_date: date | None, due_at: datetime | None) -> datetime | None:
    """Return the sort key of a due date (its midnight in UTC) or due time; None for neither."""
    if due_date is not None:
        return datetime.combine(due_date, _MIDNIGHT, UTC)
    return None if due_at is None else due_at.astimezone(UTC)


def fire_times(
    due_date: date | None, due_at: datetime | None, account_zone: tzinfo, minutes: Sequence[int]
) -> list[datetime]:
    """Return the distinct times of reminders in UTC, in ascending order.

    `minutes` count back from the due time, or from the due date's midnight as wall time in the
    account's zone: -540 is 09:00, even on a day when the clocks change.
    """
    offsets = [timedelta(minutes=each) for each in minutes]
    if due_at is not None:
        return sorted({due_at.astimezone(UTC) - offset for offset in offsets})
    if due_date is None:
        return []
    midnight = datetime.combine(due_date, _MIDNIGHT)
    walls = [midnight - offset for offset in offsets]
    return sorted({at_wall_time(wall.date(), wall.time(), account_zone) for wall in walls})
