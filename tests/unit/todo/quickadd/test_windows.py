from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from todo.quickadd.windows import Days, parse_window

# A Sunday evening in Los Angeles, Monday in UTC.
NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/Los_Angeles")


def day(number: int, month: int = 11, year: int = 2026) -> Days:
    return Days(date(year, month, number), date(year, month, number))


def days(first: str, last: str) -> Days:
    return Days(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", day(29)),
        ("yesterday", day(28)),
        ("the day before yesterday", day(27)),
        ("tomorrow", day(30)),
        ("3 days ago", day(26)),
        ("a week ago", day(22)),
        ("2 months ago", day(29, 9)),
        ("Last Monday", day(23)),
        ("last sunday", day(22)),
        ("past sat", day(28)),
        ("last week", days("2026-11-16", "2026-11-22")),
        ("this week", days("2026-11-23", "2026-11-29")),
        ("next week", days("2026-11-30", "2026-12-06")),
        ("previous month", days("2026-10-01", "2026-10-31")),
        ("this month", days("2026-11-01", "2026-11-30")),
        ("last year", days("2025-01-01", "2025-12-31")),
        ("2026-11-01", day(1)),
        ("2 hours ago", datetime(2026, 11, 30, 1, 0, tzinfo=UTC)),
        ("2026-11-01T10:00Z", datetime(2026, 11, 1, 10, 0, tzinfo=UTC)),
    ],
)
def test_a_text_names_days_or_an_instant(text: str, expected: Days | datetime) -> None:
    assert parse_window(text, NOW, ZONE) == expected


@pytest.mark.parametrize(
    "text",
    ["", "last", "ago", "3 ago", "9000 years ago", "last tuesday week", "soon", "last decade"],
)
def test_what_is_neither_has_a_remedy_with_today(text: str) -> None:
    with pytest.raises(ValueError, match="3 days ago, last week, or today as 2026-11-29"):
        parse_window(text, NOW, ZONE)
