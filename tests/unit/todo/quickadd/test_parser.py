"""Quick add: the fields of a task from one line of English."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from todo.quickadd.parser import parse_quick_add

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)  # a Sunday
BERLIN = ZoneInfo("Europe/Berlin")


def test_a_line_becomes_the_fields_of_a_task() -> None:
    found = parse_quick_add("Call Anna tomorrow #work @phone p1", NOW, BERLIN, ["Work"])
    assert found.title == "Call Anna"
    assert found.due_date == date(2026, 11, 30)
    assert found.list_name == "Work"
    assert found.tags == ("phone",)
    assert found.priority == "high"
