"""Conversion of the RRULE of a VTODO to the rule of a task.

An RRULE counts from DTSTART, and every due date has the same distance from its start. A task has
only a due date, so its rule is shifted to the days of the due dates.
"""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from todo.core.time_budget import TimeBudget, TimeBudgetExceededError
from todo.schedule.due import at_wall_time, find_zone
from todo.schedule.rule import Rule
from todo.schedule.series import normalize, parse_rule
from todo.transfer.ical.moved_rule import move_rule
from todo.transfer.ical.parser import Property, Skipped
from todo.transfer.ical.times import Clock, Moment

_LOCAL_UNTIL = re.compile(r"(?<=UNTIL=)[0-9]{8}T[0-9]{6}(?=;|$)", re.IGNORECASE)


class Rules:
    """Converter of the rules in one file, with a cache."""

    def __init__(self, budget: TimeBudget) -> None:
        self._budget = budget
        self._known: dict[str, Rule | str] = {}

    def read(
        self, given: Property, start: Moment | None, due: Moment | None, clock: Clock
    ) -> str | None:
        """Return the normalized rule; report a rule that cannot be imported and return None.

        `start` is DTSTART, or the due date if DTSTART is missing.
        """
        zone = find_zone(due.zone) if due and due.zone else None
        rules = start.rules if start and start.at else clock.account_zone

        def to_utc(match: re.Match[str]) -> str:
            wall = datetime.fromisoformat(match[0].upper())
            return f"{at_wall_time(wall.date(), wall.time(), rules):%Y%m%dT%H%M%SZ}"

        def skip(why: str) -> None:
            clock.report.append(Skipped(given.line, "RRULE", why))

        try:
            # UNTIL in local time and a trailing semicolon are common and unambiguous.
            rule = self._parse(_LOCAL_UNTIL.sub(to_utc, given.value.strip().rstrip(";")))
            if start is not None and due is not None and start != due:
                moved = self._count_from_due(rule, start, due, zone or UTC, clock.account_zone)
                if moved != rule:
                    skip(f"counts from DTSTART; imported as {moved}, counted from the due date")
                rule = moved
            with self._budget.spend():
                stored = normalize(
                    rule,
                    due_date=due.day if due else None,
                    due_at=due.at if due else None,
                    due_zone=zone,
                    basis="schedule",
                )
            first = start.to_wall().time() if start and start.at else None
            if rule.clock is not None and stored.clock is None and rule.clock != first:
                skip(f"BYHOUR: all occurrences are at the time of the first, not {rule.clock}")
            return str(stored)
        except TimeBudgetExceededError:
            skip("the rules and zones of this file take too long to check")
        except OverflowError:
            skip("is outside of the supported years")
        except ValueError as error:
            skip(str(error))
        return None

    def _parse(self, text: str) -> Rule:
        known = self._known.get(text)
        if known is None:
            with self._budget.spend():
                try:
                    known = parse_rule(text)
                except ValueError as error:
                    known = str(error)
            self._known[text] = known
        if isinstance(known, str):
            raise ValueError(known)  # noqa: TRY004 - the cached reason
        return known

    def _count_from_due(
        self, rule: Rule, start: Moment, due: Moment, due_zone: tzinfo, account_zone: tzinfo
    ) -> Rule:
        """Return the rule shifted from DTSTART to the due date; raise ValueError if impossible."""
        first = start.to_wall().date()
        last = due.at.astimezone(due_zone).date() if due.at else due.to_wall().date()
        days = (last - first).days
        until = _move_until(rule.until, start, due, days, account_zone)
        if not days:
            return replace(rule, until=until)
        with self._budget.spend():
            named = normalize(rule, due_date=first, due_at=None, due_zone=None, basis="schedule")
            moved = move_rule(named, first, days)
        if moved is None:
            why = f"counts from DTSTART, {days} days before DUE"
            raise ValueError(f"{why}; a rule cannot express the days of DUE")
        return replace(moved, until=until)


def _move_until(
    until: date | None, start: Moment, due: Moment, days: int, account_zone: tzinfo
) -> date | None:
    """Return UNTIL shifted from DTSTART to the due date."""
    if not isinstance(until, datetime):
        return None if until is None else until + timedelta(days=days)
    wall = until.astimezone(start.rules if start.at else account_zone).replace(tzinfo=None)
    wall += due.to_wall() - start.to_wall()
    return at_wall_time(wall.date(), wall.time(), due.rules if due.at else account_zone)
