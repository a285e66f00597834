"""Times where they come in, and the one form in which they are stored."""

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.unit.todo.tasks.examples import TASK
from todo.api.schemas import Instant
from todo.compat.due import read_due_text
from todo.tasks.document import to_row

if TYPE_CHECKING:
    from todo.core.domain import Task

LEAP = ("2026-12-31T23:59:60Z", "2026-12-31T10:15:60+01:00", "2026-12-31T23:59:60.5Z")


@pytest.mark.parametrize("text", LEAP)
def test_a_second_60_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_python(text)
    with pytest.raises(ValueError, match="must be a date or a time"):
        read_due_text(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2027-01-01T10:00:00+00:00", "2027-01-01T10:00:00.000000+00:00"),
        ("2027-01-01T10:00:00.5+00:00", "2027-01-01T10:00:00.500000+00:00"),
        ("2027-01-01T11:00:00.123456+01:00", "2027-01-01T10:00:00.123456+00:00"),
        ("2027-01-01T10:00:00Z", "2027-01-01T10:00:00.000000+00:00"),
    ],
)
def test_a_time_is_stored_with_six_digits_however_it_was_written(text: str, stored: str) -> None:
    times = ("due_at", "completed_at", "created_at", "updated_at")
    task: Task = {
        **TASK,
        "due_at": text,
        "completed_at": text,
        "created_at": text,
        "updated_at": text,
    }

    row = to_row(task)

    assert {row[name] for name in (*times, "due_key")} == {stored}
    assert datetime.fromisoformat(stored) == datetime.fromisoformat(text)
