"""The alarms of a VTODO as minutes before its due."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from todo.tasks.schemas import MAX_REMINDER_MINUTES, MAX_REMINDERS
from todo.transfer.ical_due import Clock, Moment, read_duration
from todo.transfer.ical_text import Component, Property, Skipped

MOST_MINUTES_AFTER = 24 * 60
_MINUTE = timedelta(minutes=1)
# What an alarm must have, or how it is known: nothing that a reminder lacks.
_FORMAL = {"ACTION", "TRIGGER", "UID", "X-WR-ALARMUID"}


def read_reminders(
    components: Iterable[Component],
    title: str,
    start: Moment | None,
    due: Moment | None,
    clock: Clock,
) -> list[int]:
    """Return the minutes before the due, in the order of the file, none twice.

    Args:
        components: What is inside of the VTODO.
        title: The task's title: alarms repeat it.
        start: DTSTART, from which alarms count unless they say otherwise.
        due: The due.
        clock: Reads the times of the file, and has the report.
    """
    found: list[int] = []
    for alarm in components:
        if alarm.name != "VALARM":
            clock.report.append(Skipped(alarm.line, alarm.name, "is nothing that a task has"))
            continue
        minutes = _read_alarm(alarm, title, start or due, due, clock)
        if minutes is None or minutes in found:
            continue
        if len(found) == MAX_REMINDERS:
            why = f"a task has no more than {MAX_REMINDERS} reminders"
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
) -> int | None:
    trigger = next((each for each in alarm.properties if each.name == "TRIGGER"), None)
    if trigger is None:
        clock.report.append(Skipped(alarm.line, "VALARM", "TRIGGER is missing"))
        return None
    minutes = _read_trigger(trigger, start, due, clock)
    if minutes is None:
        return None
    for each in alarm.properties:
        value = each.value.strip()
        if each.name == "ACTION" and value.upper() not in {"DISPLAY", "AUDIO"}:
            why = f"{value[:20]}: a reminder is an event, whatever an alarm does"
            clock.report.append(Skipped(each.line, each.name, why))
        elif each.name not in _FORMAL and value not in {"", title}:
            clock.report.append(
                Skipped(each.line, each.name, "a reminder is a time and nothing else")
            )
    return minutes


def _read_trigger(
    trigger: Property,
    start: Moment | None,
    due: Moment | None,
    clock: Clock,
) -> int | None:
    def skip(why: str) -> None:
        clock.report.append(Skipped(trigger.line, "TRIGGER", why))

    if due is None or start is None:
        skip("the task has no due to count from")
        return None
    value = trigger.value.strip()
    if "P" in value.upper():
        try:
            after = read_duration(value)
        except ValueError:
            skip(f"{value[:20]!r} is no length of time")
            return None
        from_due = trigger.parameters.get("RELATED", "START").upper() == "END"
        before = _wall(due, clock) - _wall(due if from_due else start, clock) - after
    else:
        moment = clock.read_moment(trigger)
        if moment is None:
            return None
        before = _wall(due, clock) - _wall(moment, clock, like=due)
    minutes, rest = divmod(before, _MINUTE)
    if not -MOST_MINUTES_AFTER <= minutes <= MAX_REMINDER_MINUTES:
        skip("is more than a day after the due, or more than 366 days before it")
        return None
    if rest:
        minutes += 1
        skip(f"reminders are whole minutes; taken as {minutes} before the due")
    return minutes


def _wall(moment: Moment, clock: Clock, like: Moment | None = None) -> datetime:
    """What a day counts from is the clock on the wall; what an instant counts from is UTC."""
    if (like or moment).day is None:
        return moment.to_instant(clock.account_zone).replace(tzinfo=None)
    if moment.day is not None:
        return datetime.combine(moment.day, time())
    return moment.to_instant(clock.account_zone).astimezone(clock.account_zone).replace(tzinfo=None)
