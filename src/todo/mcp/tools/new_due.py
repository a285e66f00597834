"""New due date of a task, which keeps the parts that the text does not name.

A text with only a time keeps the day, and a text with only a day keeps the time. Both are
interpreted in the zone of the task.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from todo.core.domain import Task, TaskChanges
from todo.mcp.tools.account_time import AccountTime
from todo.quickadd.moves import NewDue, Shift
from todo.schedule.due import EARLIEST, LATEST, at_wall_time, check_zone
from todo.schedule.rule import read_rule
from todo.tasks.document import read_due

_OUTSIDE = f"is outside of the years {EARLIEST.year} to {LATEST.year}; write another day"


@dataclass(frozen=True, slots=True)
class OldDue:
    """Due date of a task in its zone; day and wall time are None if it has none."""

    day: date | None
    clock: time | None
    zone: ZoneInfo


def read_old_due(task: Task, account: AccountTime) -> OldDue:
    """Return the due date of a task; without its own zone, it is in the zone of the account."""
    day, at = read_due(task)
    if at is None:
        return OldDue(day, None, account.zone)
    zone = check_zone(task["due_zone"] or account.name)
    local = at.astimezone(zone)
    # A clock change can move an occurrence off the wall time of its series.
    clock = read_clock(task["recurrence"]) or local.time()
    return OldDue(local.date(), clock, zone)


def read_clock(rule: str | None) -> time | None:
    """Return the wall time of a series if its rule stores one."""
    return None if rule is None else read_rule(rule).clock


def keep_clock(rule: str, clock: time) -> str:
    """Return a rule that stores the wall time of its series."""
    return str(replace(read_rule(rule), clock=clock.replace(microsecond=0)))


def move(old: OldDue, new: NewDue | Shift, rule: str | None) -> TaskChanges:
    """Return the changed fields of a task whose due date is moved.

    If a clock change moves the new due date off its wall time, the rule of the task stores the wall
    time for later occurrences.

    Raises:
        ValueError: The due date cannot be moved this way; the message includes a remedy.
    """
    if isinstance(new, Shift):
        return _shift(old, new, rule)
    if new.instant is not None:
        return _render(new.instant, old.zone)
    day = new.day or old.day or new.next_day
    clock = old.clock if new.clock is None else new.clock
    if day is None:
        raise ValueError("names neither a day nor a time; write one")
    if new.zone is not None and clock is not None:
        return _render(at_wall_time(day, clock, new.zone), old.zone)
    return _place(day, clock, old.zone, rule)


def _shift(old: OldDue, shift: Shift, rule: str | None) -> TaskChanges:
    if old.day is None:
        raise ValueError(
            "counts from the due date, and the task has none; write a day, or in 1 hour, "
            "which counts from now"
        )
    day = shift.move_day(old.day)
    if day is None:
        raise ValueError(_OUTSIDE)
    if not shift.minutes:
        return _place(day, old.clock, old.zone, rule)
    if old.clock is None:
        raise ValueError("counts from a time, and the task is due on a day; write a day and a time")
    try:
        at = at_wall_time(day, old.clock, old.zone) + shift.minutes
    except OverflowError:
        raise ValueError(_OUTSIDE) from None
    if not EARLIEST < at.date() < LATEST:
        raise ValueError(_OUTSIDE)
    return _render(at, old.zone)


def _place(day: date, clock: time | None, zone: ZoneInfo, rule: str | None) -> TaskChanges:
    if clock is None:
        return {"due_date": day.isoformat()}
    at = at_wall_time(day, clock, zone)
    fields = _render(at, zone)
    if rule is not None and at.astimezone(zone).time() != clock:
        fields["recurrence"] = keep_clock(rule, clock)
    return fields


def _render(at: datetime, zone: ZoneInfo) -> TaskChanges:
    return {"due_at": at.isoformat(), "due_zone": zone.key}
