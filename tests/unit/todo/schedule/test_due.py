from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from todo.schedule.due import (
    DueName,
    DueWindow,
    at_wall_time,
    check_zone,
    day_bounds,
    due_key,
    fire_times,
)

BERLIN = ZoneInfo("Europe/Berlin")
AUCKLAND = ZoneInfo("Pacific/Auckland")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "Asia/Calcutta", "US/Eastern", "Pacific/Apia"]
)
def test_an_iana_name_is_a_zone(name: str) -> None:
    assert check_zone(name).key == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "America",
        "../../etc/passwd",
        "/usr/share/zoneinfo/UTC",
        "Europe/../UTC",
        "right/UTC",
        "posix/UTC",
        "posixrules",
        "localtime",
        "Factory",
        "zone.tab",
        "UTC\0",
        "UTC\n",
        "\ud800",
        "+02:00",
        "x" * 100_000,
    ],
)
def test_what_is_no_iana_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an IANA time zone"):
        check_zone(name)


def test_a_misspelt_zone_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean Europe/Berlin"):
        check_zone("europe/berlin")


@pytest.mark.parametrize(
    ("name", "dates", "instants"),
    [
        ("overdue", (None, "2026-03-28"), (None, "2026-03-27T23:30")),
        ("today", ("2026-03-28", "2026-03-29"), ("2026-03-27T23:00", "2026-03-28T23:00")),
        # The clocks go forward on that day: it has 23 hours.
        ("tomorrow", ("2026-03-29", "2026-03-30"), ("2026-03-28T23:00", "2026-03-29T22:00")),
        ("week", ("2026-03-28", "2026-04-04"), ("2026-03-27T23:00", "2026-04-03T22:00")),
        ("month", ("2026-03-28", "2026-04-28"), ("2026-03-27T23:00", "2026-04-27T22:00")),
    ],
)
def test_a_window_is_of_the_days_of_the_zone(
    name: DueName, dates: tuple[str | None, str], instants: tuple[str | None, str]
) -> None:
    window = day_bounds(name, utc("2026-03-27T23:30"), BERLIN)

    first, end = (each and date.fromisoformat(each) for each in dates)
    at_from, at_to = (each and utc(each) for each in instants)
    assert window == DueWindow(first or None, end or None, at_from or None, at_to or None)


def test_the_same_moment_is_another_day_elsewhere() -> None:
    now = utc("2026-06-01T12:00")

    assert day_bounds("today", now, BERLIN).date_from == date(2026, 6, 1)
    assert day_bounds("today", now, AUCKLAND).date_from == date(2026, 6, 2)


@pytest.mark.parametrize(
    ("today", "end"),
    [
        ("2026-01-31", "2026-03-01"),
        ("2028-01-31", "2028-03-01"),
        ("2026-02-28", "2026-03-28"),
        ("2026-12-15", "2027-01-15"),
    ],
)
def test_a_month_ends_before_the_same_day_of_the_next(today: str, end: str) -> None:
    window = day_bounds("month", utc(f"{today}T12:00"), UTC)

    assert window.date_to == date.fromisoformat(end)


def test_a_day_without_midnight_begins_when_the_clocks_are_put_forward() -> None:
    now = at_wall_time(date(2018, 11, 4), time(12), SAO_PAULO)

    assert day_bounds("today", now, SAO_PAULO).at_from == utc("2018-11-04T03:00")


def test_a_wall_time_in_a_gap_comes_later_by_the_gap() -> None:
    assert at_wall_time(date(2026, 3, 29), time(2, 30), BERLIN) == utc("2026-03-29T01:30")


def test_a_wall_time_that_happens_twice_is_the_first() -> None:
    assert at_wall_time(date(2026, 10, 25), time(2, 30), BERLIN) == utc("2026-10-25T00:30")


def test_dues_sort_by_instant_and_a_day_by_its_midnight() -> None:
    at = datetime(2026, 1, 1, 1, tzinfo=BERLIN)

    assert due_key(date(2026, 1, 1), None) == due_key(None, at) == utc("2026-01-01")
    assert due_key(None, None) is None


def test_reminders_of_an_instant_count_exact_minutes() -> None:
    at = utc("2026-03-29T10:00")

    assert fire_times(None, at, BERLIN, [0, 1440, 30, 30, -5]) == [
        utc("2026-03-28T10:00"),
        utc("2026-03-29T09:30"),
        utc("2026-03-29T10:00"),
        utc("2026-03-29T10:05"),
    ]


def test_reminders_of_a_day_go_by_the_clock_on_the_wall() -> None:
    # Nine in the morning and nine the evening before, around a night of seven hours.
    assert fire_times(date(2026, 3, 29), None, BERLIN, [180, -540]) == [
        utc("2026-03-28T20:00"),
        utc("2026-03-29T07:00"),
    ]


def test_a_task_without_due_reminds_of_nothing() -> None:
    assert fire_times(None, None, BERLIN, [10]) == []
