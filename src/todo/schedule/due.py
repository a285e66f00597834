"""When a task is due: a calendar day or an instant, and the zone that decides what a day is.

A day is never an instant: "today" depends on the zone of the user, and only the functions here
convert one into the other. Where a clock is put forward, a wall time that does not exist is read
with the offset before the gap, so the result is later by the gap. Where a clock is put back, a wall
time that happens twice means the first. RFC 5545 (3.3.5) requires both, and `zoneinfo` does both
with `fold=0`.
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
"""A year away from the last day that Python knows: no zone, no reminder overflows."""

DueName = Literal["overdue", "today", "tomorrow", "week", "month"]
_MIDNIGHT = time()
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DueWindow:
    """Dues of a named window; each pair is half-open, and None means unbounded.

    Attributes:
        date_from: First day for `due_date`.
        date_to: The day after the last.
        at_from: First instant for `due_at`, in UTC.
        at_to: The instant that is no longer meant, in UTC.
    """

    date_from: date | None
    date_to: date | None
    at_from: datetime | None
    at_to: datetime | None


def check_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name such as `Europe/Berlin`.

    Former names (`Asia/Calcutta`) are names as well. Only names of the list are valid:
    `ZoneInfo` opens any path that it is given, also files and folders that are not zones.

    Raises:
        ValueError: There is no zone of this name; the message has the nearest one.
    """
    zone = find_zone(name)
    if zone is not None:
        return zone
    known = {each.casefold(): each for each in _zone_names()}
    near = difflib.get_close_matches(name[:64].casefold(), known, n=1)
    hint = f"did you mean {known[near[0]]}?" if near else "write, for example, Europe/Berlin"
    raise ValueError(f"not the name of an IANA time zone; {hint}")


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone of an IANA name, or None if it is unknown."""
    return ZoneInfo(name) if name in _zone_names() else None


@cache
def _zone_names() -> frozenset[str]:
    # The list of the package in the lock: the same names are valid wherever this runs.
    listed = importlib.resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    return frozenset(listed) - {"Factory"}  # stands for "not configured yet"


def at_wall_time(day: date, clock: time, zone: tzinfo) -> datetime:
    """Return the instant, in UTC, at which the clocks of a zone show this."""
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(UTC)


def day_bounds(name: DueName, now: datetime, zone: tzinfo) -> DueWindow:
    """Return what a name means at this moment to somebody in this zone.

    `overdue` is a day before today, and an instant before now. `today` and `tomorrow` are calendar
    days, `week` is today and the six days after it, `month` is today up to the day before the same
    day of the next month (or, where that has no such day, up to its last). A day begins at its
    midnight; where that does not exist, when the clocks are put forward.

    Args:
        name: The window's name.
        now: The present instant.
        zone: The zone of the tasks' owner.
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
    """Return the first day whose midnight is not before a moment."""
    day = moment.astimezone(zone).date()
    return day if at_wall_time(day, _MIDNIGHT, zone) >= moment else day + _DAY


def _a_month_later(day: date) -> date:
    year, month = (day.year, day.month + 1) if day.month < 12 else (day.year + 1, 1)  # noqa: PLR2004 - months
    last = calendar.monthrange(year, month)[1]
    if day.day > last:
        return date(year, month, last) + _DAY
    return date(year, month, day.day)


def due_key(due_date: date | None, due_at: datetime | None) -> datetime | None:
    """Return what dues are sorted by: the instant, or midnight UTC of the day; None without one."""
    if due_date is not None:
        return datetime.combine(due_date, _MIDNIGHT, UTC)
    return None if due_at is None else due_at.astimezone(UTC)


def fire_times(
    due_date: date | None, due_at: datetime | None, account_zone: tzinfo, minutes: Sequence[int]
) -> list[datetime]:
    """Return when reminders fire: in UTC, in order of time, none twice.

    Minutes before an instant are exact. A day counts from its midnight in the account's zone, by
    the clock on the wall: -540 is nine in the morning, also on a day when the clocks change.

    Args:
        due_date: The day, or None.
        due_at: The instant, or None; without either nothing fires.
        account_zone: The zone of the task's owner.
        minutes: Minutes before; negative ones are after.
    """
    offsets = [timedelta(minutes=each) for each in minutes]
    if due_at is not None:
        return sorted({due_at.astimezone(UTC) - offset for offset in offsets})
    if due_date is None:
        return []
    midnight = datetime.combine(due_date, _MIDNIGHT)
    walls = [midnight - offset for offset in offsets]
    return sorted({at_wall_time(wall.date(), wall.time(), account_zone) for wall in walls})
