from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.todo.tasks.examples import TASK
from todo.compat.due import UNKNOWN_ZONE, Due, is_shown, read_due_text, show_due, to_fields
from todo.compat.mapping import read_changes, read_new, render, show
from todo.compat.schemas import FrontEndCreate, FrontEndUpdate
from todo.core.domain import Task, TaskChanges
from todo.text.normalization import normalize_text

# In the form in which texts are stored.
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9).map(
    lambda text: normalize_text(text, 100)
)
MOMENTS = st.datetimes(datetime(1910, 1, 1), datetime(9990, 1, 1)).map(  # noqa: DTZ001 - UTC below
    lambda moment: moment.replace(tzinfo=UTC).isoformat(timespec="microseconds")
)
DUES = st.one_of(
    st.just({}),
    st.dates(date(1910, 1, 1), date(9990, 1, 1)).map(lambda day: {"due_date": day.isoformat()}),
    st.builds(
        lambda at, zone: {"due_at": at, "due_zone": zone},
        MOMENTS,
        st.sampled_from(["UTC", UNKNOWN_ZONE, "Europe/Berlin", "America/St_Johns"]),
    ),
)
RULES = st.sampled_from(
    [None, "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,WE", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=YEARLY"]
)


@given(
    task=st.builds(
        lambda due, **fields: {**TASK, **fields, **due},
        due=DUES,
        title=WORDS,
        description=st.none() | WORDS | st.just(""),
        priority=st.sampled_from(["none", "low", "medium", "high"]),
        tags=st.lists(WORDS, unique=True, max_size=3),
        recurrence=RULES,
        is_completed=st.booleans(),
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
)
def test_what_comes_back_as_it_was_shown_changes_nothing(task: Task, zone: str) -> None:
    shown = show(task)

    changes = read_changes(FrontEndUpdate.model_validate(shown), task, zone)

    assert changes == {"is_completed": task["is_completed"]}


@pytest.mark.parametrize(
    ("sent", "zone", "at", "shown"),
    [
        # Summer and winter in Berlin, and the hour that the clocks skip.
        ("2031-07-01T09:00", "Europe/Berlin", "2031-07-01T07:00:00", "2031-07-01T07:00:00"),
        ("2031-01-01T09:00", "Europe/Berlin", "2031-01-01T08:00:00", "2031-01-01T08:00:00"),
        ("2031-03-30T02:30", "Europe/Berlin", "2031-03-30T01:30:00", "2031-03-30T01:30:00"),
        ("2031-07-01T09:00Z", "Europe/Berlin", "2031-07-01T09:00:00", "2031-07-01T09:00:00"),
        ("2031-07-01T09:00-04:00", "UTC", "2031-07-01T13:00:00", "2031-07-01T13:00:00"),
    ],
)
def test_the_accounts_zone_decides_what_a_wall_time_is(
    sent: str, zone: str, at: str, shown: str
) -> None:
    fields = to_fields(read_due_text(sent), zone)

    assert fields["due_at"] == f"{at}.000000+00:00"
    assert show_due(fields) == f"{shown}.000000+00:00"
    assert is_shown(fields, read_due_text(show_due(fields)))


def test_without_a_zone_a_wall_time_stays_one() -> None:
    fields = to_fields(read_due_text("2031-07-01T09:00"), "UTC")

    assert fields["due_zone"] == UNKNOWN_ZONE
    assert show_due(fields) == "2031-07-01T09:00:00"


def test_a_day_is_no_midnight_somewhere() -> None:
    fields = to_fields(read_due_text("2031-07-01"), "Europe/Berlin")

    assert fields == {"due_date": "2031-07-01", "due_at": None, "due_zone": None}
    assert show_due(fields) == "2031-07-01T00:00:00"
    assert is_shown(fields, Due(day=date(2031, 7, 1)))
    assert not is_shown(fields, Due(day=date(2031, 7, 2)))
    assert not is_shown(fields, None)


@pytest.mark.parametrize(
    ("fields", "recurrence"),
    [
        ({}, None),
        ({"is_recurring": True}, None),
        ({"is_recurring": True, "recurrence_pattern": ""}, None),
        ({"is_recurring": True, "recurrence_pattern": "daily"}, "FREQ=DAILY"),
        ({"recurrence_pattern": "MONTHLY"}, "FREQ=MONTHLY"),
        ({"is_recurring": False, "recurrence_pattern": "weekly"}, None),
    ],
)
def test_a_pattern_becomes_a_rule(fields: dict[str, Any], recurrence: str | None) -> None:
    new, _ = read_new(FrontEndCreate.model_validate({"title": "t", **fields}), "UTC")

    assert new["recurrence"] == recurrence


def test_a_box_that_is_unticked_ends_the_series_alone() -> None:
    task = TASK | {"recurrence": "FREQ=WEEKLY;BYDAY=MO,WE"}

    def change(**fields: Any) -> TaskChanges:  # noqa: ANN401 - a form
        return read_changes(FrontEndUpdate.model_validate(fields), task, "UTC")

    assert change(is_recurring=False) == {"recurrence": None}
    assert change(is_recurring=True) == {}
    assert change(is_recurring=True, recurrence_pattern="daily") == {"recurrence": "FREQ=DAILY"}
    assert change() == {}


def test_what_is_shown_is_json() -> None:
    assert b'"user_id":"alice"' in render(TASK)
