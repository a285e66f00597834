"""Random calendar files: none ends the reading, none takes longer than a second.

A short run each time; a longer one with `ICAL_EXAMPLES=30000`: so many tasks, and a tenth as many
zones.
"""

import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.machine_clock import CLOCK
from tests.unit.todo.transfer.ical.random_calendars import Generator
from todo.tasks.document import to_row
from todo.tasks.schemas import TaskCreate
from todo.tasks.validation import make_task, validate_due
from todo.transfer.ical.reader import read_calendar

COUNT = int(os.environ.get("ICAL_EXAMPLES", "600"))
ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "UTC", "Pacific/Apia", "America/St_Johns")]
MAX_S = 1.0


@pytest.mark.longer(COUNT / 20)
@pytest.mark.parametrize(("has_zone", "count"), [(False, COUNT), (True, COUNT // 10)])
def test_a_random_file_costs_at_most_a_second_and_loses_no_task(
    *, has_zone: bool, count: int
) -> None:
    slowest, worst = 0.0, 0
    for seed in range(count):
        data = Generator(seed).make_file(zone=has_zone)
        started = CLOCK.now()
        calendar = read_calendar(data, ZONES[seed % len(ZONES)])
        taken_s = CLOCK.now() - started
        slowest, worst = max((slowest, worst), (taken_s, seed))

        # The task is taken, or a line of the report says that it is not.
        assert len(calendar.tasks) == 1 or any(e.what == "VTODO" for e in calendar.report), seed
        for task in calendar.tasks:
            TaskCreate.model_validate(task.task)
            at = datetime(2026, 12, 1, tzinfo=UTC).isoformat()
            made = make_task(task.task, "alice", at)
            validate_due(made, "Europe/Berlin")
            to_row(made)
        # What has a rule or an alarm and does not show it is in the report.
        lines = data.partition(b"BEGIN:VTODO")[2]
        reported = {each.what for each in calendar.report}
        for name, field in (("RRULE", "recurrence"), ("TRIGGER", "reminders")):
            if f"\n{name}".encode() in lines and calendar.tasks:
                assert field in calendar.tasks[0].task or name in reported, (seed, name)

    assert slowest < MAX_S, worst
