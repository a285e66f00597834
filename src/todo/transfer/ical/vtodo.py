"""Conversion of a VTODO to a task, with a report of the content that a task cannot have."""

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from todo.core.domain import NewTask, Priority
from todo.tasks.document import select_fields
from todo.tasks.schemas import MAX_DESCRIPTION_LENGTH, MAX_TAGS, MAX_TITLE_LENGTH
from todo.text.normalization import MAX_MARKS, limit_marks
from todo.transfer.ical.parser import Component, Property, Skipped, unescape
from todo.transfer.ical.rrule import Rules
from todo.transfer.ical.times import Clock, Moment, check_day, check_instant, read_duration
from todo.transfer.ical.valarm import read_reminders

MAX_TAG_LENGTH = 50
_MONTHS = 12

# Metadata of the file, not of the task.
_FORMAL = {"DTSTAMP", "SEQUENCE"}
_TAKEN = {
    *("UID", "SUMMARY", "DESCRIPTION", "PRIORITY", "STATUS", "COMPLETED", "PERCENT-COMPLETE"),
    *("DUE", "DTSTART", "DURATION", "RRULE", "CATEGORIES", "RELATED-TO"),
    *("CREATED", "LAST-MODIFIED", "RECURRENCE-ID"),
}
_REPEATABLE = {"CATEGORIES", "RELATED-TO"}
_REASONS = {
    "EXDATE": "exceptions of a series are not supported",
    "RDATE": "extra dates of a series are not supported",
    "EXRULE": "exceptions of a series are not supported",
    "ATTENDEE": "share the list instead",
    "ORGANIZER": "share the list instead",
}
# Relation types of RFC 5545, 9074 and 9253, except PARENT.
_OTHER_RELATIONS = {
    *("CHILD", "SIBLING", "SNOOZE", "FINISHTOSTART", "FINISHTOFINISH", "STARTTOFINISH"),
    *("STARTTOSTART", "FIRST", "NEXT", "DEPENDS-ON", "REFID", "CONCEPT"),
}
_DAY = timedelta(days=1)

# Indexed by PRIORITY, 0 to 9 (RFC 5545, 3.8.1.9).
_PRIORITIES: tuple[Priority | None, ...] = (
    *(None, "high", "high", "high", "high"),
    *("medium", "low", "low", "low", "low"),
)


@dataclass(frozen=True, slots=True)
class ImportedTask:
    """A task of a calendar file, with times as ISO 8601 in UTC.

    Attributes:
        line: Number of its first line in the file.
        uid: UID in the file, which identifies the task in each import.
        task: Fields that have a value.
    """

    line: int
    uid: str | None
    parent_uid: str | None
    is_completed: bool
    completed_at: str | None
    created_at: str | None
    updated_at: str | None
    task: NewTask


def read_task(component: Component, clock: Clock, rules: Rules) -> ImportedTask | str:
    """Convert one VTODO; return the reason as text if it cannot be imported."""
    return _Reader(component, clock, rules).read()


class _Reader:
    def __init__(self, component: Component, clock: Clock, rules: Rules) -> None:
        self._component = component
        self._clock = clock
        self._rules = rules
        self._first: dict[str, Property] = {}

    def read(self) -> ImportedTask | str:
        self._sort_out()
        title, description = self._read_texts()
        if not title:
            return "has neither SUMMARY nor DESCRIPTION"
        uid = self._text("UID")
        if not uid:
            why = "is missing; importing the file again duplicates this task"
            self._skip(self._component.line, "UID", why)
        start, due = self._read_due()
        if "RRULE" in self._first:
            due = self._follow_start(start, due)
        is_completed, completed_at = self._read_completion()
        recurrence = self._read_recurrence(start, due)
        alarms = self._component.components
        priority = self._read_priority()
        task: NewTask = {
            "title": title,
            "description": description or None,
            "priority": priority or "none",
            "tags": self._read_tags(),
            "due_date": due.day.isoformat() if due and due.day else None,
            "due_at": _render(due.at) if due and due.at else None,
            "due_zone": due.zone if due else None,
            "recurrence": recurrence,
            "reminders": read_reminders(
                alarms, title, start, due, self._clock, repeats=recurrence is not None
            ),
        }
        if recurrence and due and due.at and not due.zone:
            # A series in UTC recurs at the same UTC time.
            task["due_zone"] = "UTC"
        missing = {name for name, value in task.items() if not value}
        if priority is None:
            missing.add("priority")
        names = [name for name in task if name not in missing]
        return ImportedTask(
            line=self._component.line,
            uid=uid or None,
            parent_uid=self._read_parent(),
            is_completed=is_completed,
            completed_at=completed_at,
            created_at=self._read_instant("CREATED"),
            updated_at=self._read_instant("LAST-MODIFIED"),
            task=select_fields(task, names),
        )

    def _skip(self, line: int, what: str, why: str) -> None:
        self._clock.report.append(Skipped(line, what, why))

    def _sort_out(self) -> None:
        for each in self._component.properties:
            if each.name in _FORMAL:
                continue
            if each.name not in _TAKEN:
                if each.value.strip():
                    why = "is an extension of another program"
                    known = _REASONS.get(each.name, "tasks have no such field")
                    self._skip(each.line, each.name, why if each.name[:2] == "X-" else known)
            elif each.parameters.get("ENCODING", "8BIT").upper() != "8BIT":
                why = f"ENCODING={each.parameters['ENCODING'][:20]} is not an iCalendar encoding"
                self._skip(each.line, each.name, why)
            elif each.name in self._first and each.name not in _REPEATABLE:
                why = f"occurs twice; line {self._first[each.name].line} is used"
                self._skip(each.line, each.name, why)
            else:
                self._first.setdefault(each.name, each)

    def _text(self, name: str) -> str:
        given = self._first.get(name)
        return unescape(given.value) if given else ""

    def _read_texts(self) -> tuple[str, str]:
        title = " ".join(self._text("SUMMARY").split())
        description = self._text("DESCRIPTION")
        if not title and description:
            title = description.splitlines()[0].strip()
            why = "is missing; the first line of DESCRIPTION is used"
            self._skip(self._component.line, "SUMMARY", why)
        return (
            self._cut("SUMMARY", title, MAX_TITLE_LENGTH),
            self._cut("DESCRIPTION", description, MAX_DESCRIPTION_LENGTH),
        )

    def _cut(self, name: str, text: str, length: int, given: Property | None = None) -> str:
        source = given or self._first.get(name)
        line = source.line if source else self._component.line
        limited = limit_marks(text)
        if limited != text:
            why = f"has more than {MAX_MARKS} combining marks in a row; the others are removed"
            self._skip(line, name, why)
        # Measured in NFC, as stored: a few letters are two characters in NFC.
        text = unicodedata.normalize("NFC", limited)
        if len(text) > length:
            self._skip(line, name, f"has {len(text)} characters; truncated after {length}")
        return text[:length].strip()

    def _read_priority(self) -> Priority | None:
        given = self._first.get("PRIORITY")
        if given is None:
            return None
        value = given.value.strip()
        if not re.fullmatch("[0-9]", value):
            self._skip(given.line, "PRIORITY", f"{value[:20]!r} is not a number from 0 to 9")
            return None
        return _PRIORITIES[int(value)]

    def _read_tags(self) -> list[str]:
        tags: list[str] = []
        for given in self._component.properties:
            if given.name != "CATEGORIES":
                continue
            # An escaped comma is part of a name.
            for part in re.findall(r"(?:\\.|[^,\\])+", given.value):
                tag = self._cut("CATEGORIES", unescape(part), MAX_TAG_LENGTH, given)
                if not tag or tag in tags:
                    continue
                if len(tags) == MAX_TAGS:
                    why = f"{tag!r} is more than the {MAX_TAGS} tags that a task can have"
                    self._skip(given.line, "CATEGORIES", why)
                else:
                    tags.append(tag)
        return tags

    def _read_moment(self, name: str) -> Moment | None:
        given = self._first.get(name)
        return self._clock.read_moment(given) if given else None

    def _read_instant(self, name: str) -> str | None:
        moment = self._read_moment(name)
        return _render(moment.to_instant(self._clock.account_zone)) if moment else None

    def _read_due(self) -> tuple[Moment | None, Moment | None]:
        start, due = self._read_moment("DTSTART"), self._read_moment("DUE")
        length = self._first.get("DURATION")
        if start is None:
            if length is not None:
                self._skip(length.line, "DURATION", "requires DTSTART, which is missing")
            return due, due
        line = self._first["DTSTART"].line
        if due is not None:
            if start != due:
                self._skip(line, "DTSTART", "tasks have no start; DUE is used")
            if length is not None:
                self._skip(length.line, "DURATION", "cannot be combined with DUE, which is used")
            return start, due
        why = "tasks have no start; imported as the due date"
        if length is not None:
            due = self._add(start, length)
            if due is not None:
                why = "tasks have no start; imported with DURATION as the due date"
        self._skip(line, "DTSTART", why)
        return start, due or start

    def _add(self, start: Moment, given: Property) -> Moment | None:
        try:
            length = read_duration(given.value)
            moved = start.add(length)
            if start.at is not None:
                due = Moment(None, check_instant(moved), start.zone, start.rules)
                if "RRULE" in self._first and length.rest and _changes_by_night(start, due):
                    why = (
                        "counts exact hours; all occurrences are at the time of the first, even "
                        "when clocks change"
                    )
                    self._skip(given.line, "DURATION", why)
                return due
            if length.rest % _DAY:
                self._skip(given.line, "DURATION", "counts from a date; rounded to whole days")
            return Moment(check_day(moved.date()))
        except OverflowError:
            self._skip(given.line, "DURATION", "is outside of the supported years")
        except ValueError as error:
            self._skip(given.line, "DURATION", str(error))
        return None

    def _follow_start(self, start: Moment | None, due: Moment | None) -> Moment | None:
        """Return the due date in the zone of DTSTART, from which a rule counts occurrences."""
        if start is None or due is None or start.at is None or due.at is None:
            return due
        if start.zone == due.zone:
            return due
        zone = start.zone or "UTC"
        if due.zone is not None:
            why = f"{due.zone}: the series follows the clock of DTSTART, {zone}"
            self._skip(self._first["DUE"].line, "DUE", why)
        return replace(due, zone=zone, rules=start.rules)

    def _read_recurrence(self, start: Moment | None, due: Moment | None) -> str | None:
        given = self._first.get("RRULE")
        return self._rules.read(given, start or due, due, self._clock) if given else None

    def _read_completion(self) -> tuple[bool, str | None]:
        status, percent = self._text("STATUS").upper(), self._text("PERCENT-COMPLETE")
        given = self._first.get("STATUS")
        done = status in {"COMPLETED", "CANCELLED"} or (not status and "COMPLETED" in self._first)
        if given is not None and status == "CANCELLED":
            self._skip(given.line, "STATUS", "CANCELLED is not supported; imported as completed")
        elif given is not None and status not in {"COMPLETED", "NEEDS-ACTION", ""}:
            why = f"{status[:20]} is not supported; imported as open"
            self._skip(given.line, "STATUS", why)
        if percent == "100" and not status:
            done = True
        elif percent not in {"", "0", "100"} or (percent == "100" and not done):
            line = self._first["PERCENT-COMPLETE"].line
            self._skip(line, "PERCENT-COMPLETE", "tasks are open or completed")
        completed_at = self._read_instant("COMPLETED")
        if not done:
            if completed_at is not None:
                why = f"STATUS is {status[:20]}; imported as open"
                self._skip(self._first["COMPLETED"].line, "COMPLETED", why)
            return False, None
        if completed_at is None:
            completed_at = self._read_instant("LAST-MODIFIED")
            source = "LAST-MODIFIED" if completed_at else "the import"
            why = f"is missing or not readable; the time of {source} is used"
            self._skip(self._component.line, "COMPLETED", why)
        return True, completed_at

    def _read_parent(self) -> str | None:
        parent = None
        for given in self._component.properties:
            if given.name != "RELATED-TO":
                continue
            kind = given.parameters.get("RELTYPE", "PARENT").upper()
            # Unknown types count as PARENT (RFC 5545, 3.2.15).
            if kind in _OTHER_RELATIONS:
                self._skip(
                    given.line, "RELATED-TO", f"RELTYPE={kind[:20]}: only PARENT is supported"
                )
            elif parent is not None:
                self._skip(given.line, "RELATED-TO", "tasks have one parent; the first is used")
            else:
                parent = unescape(given.value)
        return parent or None


def _changes_by_night(start: Moment, due: Moment) -> bool:
    """Return whether clocks may change between start and due in another occurrence."""
    first, last = start.to_wall(), due.to_wall()
    if first.date() == last.date():
        return False
    offsets = {
        start.rules.utcoffset(first.replace(month=month, day=1)) for month in range(1, _MONTHS + 1)
    }
    return len(offsets) > 1


def _render(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
