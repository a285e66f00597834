"""Recognizer of reminders, such as `remind me 30 min before`, `!30m` or `*1h`."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from todo.quickadd.days.present import Present
from todo.quickadd.times.clock import Clock, find_clock
from todo.quickadd.times.durations import Duration, find_duration
from todo.quickadd.tokens.line import Line, Match
from todo.schedule.due import at_wall_time

MAX_MINUTES = 366 * 24 * 60
MIN_MINUTES = -24 * 60
_DAY = 1440
_NOUNS = frozenset({"reminder", "alert", "alarm"})
STARTS: Final = frozenset({*_NOUNS, "!", "*", "remind"})
_BEFORE = ("before", "earlier", "prior", "ahead", "in advance")
_MORNING = 9


@dataclass(frozen=True, slots=True)
class Reminder:
    """Time of a reminder, relative to the due date.

    Attributes:
        before: Duration before the due date; with a time of day, before the day of the due date.
        is_at_due: Whether the reminder is at the due date itself, as in `remind me to call`.
    """

    before: Duration = Duration()  # noqa: RUF009 - frozen
    clock: Clock | None = None
    is_at_due: bool = False

    def minutes(self, due: date | datetime, present: Present) -> int:
        """Return the minutes before a due date, or before midnight of a due day."""
        before = self.before.total_minutes or 0
        clock = self.clock.settle(None) if self.clock is not None else None
        if self.is_at_due:
            return 0 if isinstance(due, datetime) else -60 * _MORNING
        if clock is None:
            return before
        if not isinstance(due, datetime):
            return before - clock.hour * 60 - clock.minute
        day = due.date() - timedelta(days=before // _DAY)
        at = at_wall_time(day, time(clock.hour, clock.minute), present.zone)
        return int((due - at).total_seconds()) // 60


def find_reminder(line: Line, at: int) -> Match[Reminder] | None:
    """Find a reminder that starts at a token."""
    found = _find_any(line, at)
    if found is None or not line.ends(found.end):
        return None
    before = found.value.before.total_minutes
    return found if before is not None and before <= MAX_MINUTES else None


def _find_any(line: Line, at: int) -> Match[Reminder] | None:
    word = line.words[at]
    if word in {"!", "*"}:
        found = find_duration(line, at + 1)
        if (
            found is None
            or not line.has_number(at + 1)
            or any(line[each].is_spaced for each in range(at + 1, found.end))
        ):
            return None
        return Match(Reminder(found.value), found.end)
    if word == "remind":
        return _find_time(line, line.skip(at + 1, "me", "us"))
    if word not in _NOUNS:
        return None
    reminder = _find_time(line, line.skip_attached(at + 1, ":"))
    if reminder is not None and line.words[reminder.end - 1] == "before":
        # "set alarm 2 hours before 1am" names the time of the task.
        return None if find_clock(line, reminder.end) else reminder
    return reminder


def _find_time(line: Line, at: int) -> Match[Reminder] | None:
    """Find the time of a reminder, such as `30 min before`, `the day before` or `at 9am`."""
    before = find_duration(line, at)
    if before is not None:
        end = max(line.phrase(before.end, words) for words in _BEFORE)
        if end < 0:
            return None
    else:
        end = line.phrase(at, "the day before")
        if end > 0:
            before = Match(Duration(days=1), end)
        elif line.words[at] == "at":
            before, end = Match(Duration(), at), at
        else:
            return None
    clock = find_clock(line, end + 1) if line.words[end] == "at" else None
    is_clock = clock is not None and clock.value.is_on_its_day and line.ends(clock.end)
    if clock is None or not is_clock or before.value.minutes:
        return None if end == at else Match(Reminder(before.value), end)
    return Match(Reminder(before.value, clock.value), clock.end)
