"""Conversion of the alarms of a VTODO to reminders in minutes before the due date."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from todo.schedule.due import at_wall_time
from todo.tasks.schemas import MAX_REMINDER_MINUTES, MAX_REMINDERS
from todo.transfer.ical.parser import Component, Property, Skipped, unescape
from todo.transfer.ical.times import Clock, Moment, read_duration

MAX_MINUTES_AFTER = 24 * 60
_MINUTE = timedelta(minutes=1)
# Required properties and identifiers of an alarm, which a reminder does not need.
_FORMAL = {"ACTION", "TRIGGER", "UID", "X-WR-ALARMUID"}
# Properties in which an alarm repeats the title of its task.
_TITLES = {"DESCRIPTION", "SUMMARY"}
_ONLY_A_TIME = "a reminder has only a time"


def read_reminders(
    components: Iterable[Component],
    title: str,
    start: Moment | None,
    due: Moment | None,
    clock: Clock,
    *,
    repeats: bool,
) -> list[int]:
    """Return the reminders in minutes before the due date, in file order, without duplicates.

    By default, alarms are relative to `start` (DTSTART).
    """
    found: list[int] = []
    for alarm in components:
        if alarm.name != "VALARM":
            clock.report.append(Skipped(alarm.line, alarm.name, "is not supported for tasks"))
            continue
        minutes = _read_alarm(alarm, title, start or due, due, clock, repeats=repeats)
        if minutes is None:
            continue
        if minutes in found:
            why = "duplicates an alarm at the same time; imported once"
            clock.report.append(Skipped(alarm.line, "VALARM", why))
            continue
        if len(found) == MAX_REMINDERS:
            why = f"a task can have at most {MAX_REMINDERS} reminders"
            clock.report.append(Skipped(alarm.line, "VALARM", why))
            continue
        found.append(minutes)
    return found


def _read_alarm(
    alarm: Component,
    title: str,
    start: Moment | None,
    due: Moment | None,
    clock: Clock,
    *,
    repeats: bool,
) -> int | None:
    trigger = next((each for each in alarm.properties if each.name == "TRIGGER"), None)
    if trigger is None:
        clock.report.append(Skipped(alarm.line, "VALARM", "TRIGGER is missing"))
        return None
    minutes = _read_trigger(trigger, start, due, clock, repeats=repeats)
    if minutes is None:
        return None
    for each in alarm.properties:
        value = each.value.strip()
        if each.name == "ACTION" and value.upper() not in {"DISPLAY", "AUDIO"}:
            why = f"{value[:20]}: imported as a reminder without this action"
            clock.report.append(Skipped(each.line, each.name, why))
        elif each.name == "TRIGGER" and each is not trigger:
            why = f"occurs twice; line {trigger.line} is used"
            clock.report.append(Skipped(each.line, each.name, why))
        elif each.name in _TITLES and " ".join(unescape(value).split()) == title:
            continue
        elif each.name not in _FORMAL and value:
            clock.report.append(Skipped(each.line, each.name, _ONLY_A_TIME))
    for part in alarm.components:
        clock.report.append(Skipped(part.line, part.name, _ONLY_A_TIME))
    return minutes


def _read_trigger(
    trigger: Property,
    start: Moment | None,
    due: Moment | None,
    clock: Clock,
    *,
    repeats: bool,
) -> int | None:
    def skip(why: str) -> None:
        clock.report.append(Skipped(trigger.line, "TRIGGER", why))

    if due is None or start is None:
        skip("the task has no due date from which the trigger counts")
        return None
    try:
        before = _read_distance(trigger, start, due, clock, repeats=repeats)
    except OverflowError:
        before = timedelta.max
    except ValueError as error:
        skip(str(error))
        return None
    if before is None:
        return None
    minutes, rest = divmod(before, _MINUTE)
    if not -MAX_MINUTES_AFTER <= minutes <= MAX_REMINDER_MINUTES:
        skip("is more than a day after the due date, or more than 366 days before it")
        return None
    if rest:
        minutes += 1
        skip(f"reminders are in whole minutes; imported as {minutes} before the due date")
    return minutes


def _read_distance(
    trigger: Property, start: Moment, due: Moment, clock: Clock, *, repeats: bool
) -> timedelta | None:
    """Return the time from an alarm to the due date; None if an invalid time was reported."""
    value = trigger.value.strip()
    if "P" not in value.upper():
        moment = clock.read_moment(trigger)
        return None if moment is None else _measure(moment.at or moment.to_wall(), due, clock)
    length = read_duration(value)
    anchor = due if trigger.parameters.get("RELATED", "START").upper() == "END" else start
    before = _measure(anchor.add(length), due, clock)
    if not repeats or anchor.at is None:
        return before
    always = _measure(anchor.at + length.exact, due, clock)
    if always != before:
        why = "imported for each occurrence; a day counts as 24 hours, even when clocks change"
        clock.report.append(Skipped(trigger.line, "TRIGGER", why))
    return always


def _measure(alarm: datetime, due: Moment, clock: Clock) -> timedelta:
    """Return the time from an alarm to the due date, as for reminders.

    The difference is exact for a due instant, and in wall-clock time for a due date. An alarm
    without a zone is in the account's zone.
    """
    zone = clock.account_zone
    if due.at is not None:
        if alarm.tzinfo is None:
            alarm = at_wall_time(alarm.date(), alarm.time(), zone)
        return due.at - alarm
    if alarm.tzinfo is not None:
        alarm = alarm.astimezone(zone).replace(tzinfo=None)
    return due.to_wall() - alarm
