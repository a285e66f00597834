"""Reader of the tasks in a calendar file (RFC 5545), with a report of skipped content.

The report omits properties of the file itself (VERSION, PRODID, CALSCALE, METHOD, DTSTAMP,
SEQUENCE), empty properties, and time zone definitions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from todo.core.time_budget import TimeBudget
from todo.transfer.ical.parser import Component, Skipped, read_components, unescape
from todo.transfer.ical.rrule import Rules
from todo.transfer.ical.times import Clock
from todo.transfer.ical.vtodo import ImportedTask, read_task
from todo.transfer.ical.zones import Zones

_FORMAL = {"VERSION", "PRODID", "CALSCALE", "METHOD"}
# Time budget for rules and time zones, a single one of which can cost as much as ten thousand other
# lines. Checking a rule takes 0.1 ms, or 0.2 s if it never occurs; a slow machine needs ten times
# as long.
_BUDGET_S = 30.0
_BUDGET_PER_TASK_S = 0.02


@dataclass(frozen=True, slots=True)
class Calendar:
    """Tasks of a calendar file, parents first, and the report of skipped content."""

    tasks: list[ImportedTask]
    report: list[Skipped]


def read_calendar(data: bytes, account_zone: ZoneInfo) -> Calendar:
    """Parse a calendar file in any encoding; times without a zone are in the account's zone."""
    report: list[Skipped] = []
    components = list(_inside(read_components(data, report), report))
    count = sum(each.name == "VTODO" for each in components)
    budget = TimeBudget(_BUDGET_S + _BUDGET_PER_TASK_S * count)
    zones = Zones((each for each in components if each.name == "VTIMEZONE"), budget)
    rules = Rules(budget)
    tasks: dict[str, ImportedTask] = {}
    instances: list[Component] = []
    for component in components:
        if component.name == "VTIMEZONE":
            continue
        if component.name != "VTODO":
            report.append(Skipped(component.line, component.name, "is not a task"))
        elif any(each.name == "RECURRENCE-ID" for each in component.properties):
            instances.append(component)
        else:
            # A skipped task is reported in one line, without its properties.
            notes: list[Skipped] = []
            task = read_task(component, Clock(zones, account_zone, notes), rules)
            if isinstance(task, str):
                notes = [Skipped(component.line, "VTODO", task)]
            # A task without a UID is identified by its line number.
            elif (uid := task.uid or f"<{task.line}>") in tasks:
                why = f"has the UID of the task on line {tasks[uid].line}, which is imported"
                notes = [Skipped(component.line, "VTODO", why)]
            else:
                tasks[uid] = task
            report += notes
    report += (_report_instance(each, tasks) for each in instances)
    if not components and not report:
        report.append(Skipped(1, "file", "contains no calendar"))
    for uid, task in tasks.items():
        if task.parent_uid is not None and task.parent_uid not in tasks:
            why = "the parent is not imported from this file; imported without parent"
            report.append(Skipped(task.line, "RELATED-TO", why))
            tasks[uid] = replace(task, parent_uid=None)
    return Calendar(list(_parents_first(tasks, report)), sorted(report))


def _inside(components: list[Component], report: list[Skipped]) -> Iterator[Component]:
    """Yield the components of all calendars, and those outside of any calendar."""
    for component in components:
        if component.name != "VCALENDAR":
            yield component
            continue
        report.extend(
            Skipped(each.line, each.name, "does not belong to a task")
            for each in component.properties
            if each.name not in _FORMAL and each.value.strip()
        )
        yield from component.components


def _report_instance(component: Component, tasks: dict[str, ImportedTask]) -> Skipped:
    uid = unescape(next((p.value for p in component.properties if p.name == "UID"), ""))
    series = "the series itself is imported" if uid in tasks else "no series has its UID"
    why = f"is a changed instance of a series; {series}"
    return Skipped(component.line, component.name, why)


def _parents_first(tasks: dict[str, ImportedTask], report: list[Skipped]) -> Iterator[ImportedTask]:
    done: set[int] = set()
    for task in tasks.values():
        chain, lines = [task], {task.line}
        while (parent := tasks.get(chain[-1].parent_uid or "")) and parent.line not in done:
            if parent.line in lines:
                why = "is its own ancestor; imported without parent"
                report.append(Skipped(chain[-1].line, "RELATED-TO", why))
                chain[-1] = replace(chain[-1], parent_uid=None)
                break
            chain.append(parent)
            lines.add(parent.line)
        for each in reversed(chain):
            if each.line not in done:
                done.add(each.line)
                yield each
