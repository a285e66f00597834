"""Files in the shapes that programs write, and exactly what becomes of them.

`REWRITE_GOLDEN=1` writes the expected reports anew; read the difference.
"""

import dataclasses
import json
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from todo.tasks.schemas import TaskCreate
from todo.transfer.ical.reader import Calendar, read_calendar

DATA = Path(__file__).parent / "data"
FILES = ["apple-reminders", "broken", "nextcloud-tasks", "outlook", "thunderbird"]


def read(name: str) -> Calendar:
    return read_calendar((DATA / f"{name}.ics").read_bytes(), ZoneInfo("Europe/Berlin"))


def render(calendar: Calendar) -> str:
    tasks = [dataclasses.asdict(each) for each in calendar.tasks]
    report = [f"{each.line}: {each.what}: {each.why}" for each in calendar.report]
    return json.dumps({"tasks": tasks, "report": report}, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_these_tasks_and_this_report(name: str) -> None:
    golden = DATA / f"{name}.json"
    rendered = render(read(name))
    if "REWRITE_GOLDEN" in os.environ:
        golden.write_text(rendered, encoding="utf-8")

    assert rendered == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_every_task_is_one_that_can_be_created(name: str) -> None:
    for each in read(name).tasks:
        TaskCreate.model_validate(each.task)
