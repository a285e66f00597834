from collections.abc import Iterator
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from todo.core.domain import RecurrenceFrom
from todo.schedule.due import at_wall_time
from todo.schedule.rule import Rule
from todo.schedule.series import NextDue, forget_start, next_due, normalize, parse_rule

BERLIN = ZoneInfo("Europe/Berlin")
NUUK = ZoneInfo("America/Nuuk")
APIA = ZoneInfo("Pacific/Apia")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
COMPLETED = datetime(2026, 6, 10, 22, 30, tzinfo=UTC)  # the 11th in Berlin


def series(
    text: str,
    due: str,
    zone: ZoneInfo | None = None,
    *,
    basis: RecurrenceFrom = "schedule",
    completed_at: datetime = COMPLETED,
) -> Iterator[NextDue]:
    """Every next instance, each from nothing but the one before."""
    due_date = None if zone else date.fromisoformat(due)
    due_at = datetime.fromisoformat(due).replace(tzinfo=zone).astimezone(UTC) if zone else None
    rule = normalize(parse_rule(text), due_date=due_date, due_at=due_at, due_zone=zone, basis=basis)
    while True:
        # As it comes back from the database.
        following = next_due(
            parse_rule(str(rule)),
            due_date=due_date,
            due_at=due_at,
            due_zone=zone,
            basis=basis,
            completed_at=completed_at,
            account_zone=BERLIN,
        )
        if following is None:
            return
        yield following
        due_date, due_at, rule = following.due_date, following.due_at, following.rule


def days(instances: Iterator[NextDue], number: int = 99) -> list[str]:
    return [str(each.due_date) for each, _ in zip(instances, range(number), strict=False)]


def walls(instances: Iterator[NextDue], zone: ZoneInfo, number: int) -> list[str]:
    found = []
    for each, _ in zip(instances, range(number), strict=False):
        assert each.due_at is not None
        assert each.due_at.tzinfo is UTC
        found.append(each.due_at.astimezone(zone).isoformat(timespec="minutes"))
    return found


def test_the_31st_skips_short_months_and_is_not_forgotten() -> None:
    assert days(series("FREQ=MONTHLY", "2026-01-31"), 4) == [
        "2026-03-31",
        "2026-05-31",
        "2026-07-31",
        "2026-08-31",
    ]


def test_the_last_day_of_each_month_is_minus_one() -> None:
    assert days(series("FREQ=MONTHLY;BYMONTHDAY=-1", "2028-01-31"), 3) == [
        "2028-02-29",
        "2028-03-31",
        "2028-04-30",
    ]


def test_a_leap_day_comes_every_leap_year() -> None:
    assert days(series("FREQ=YEARLY", "2096-02-29"), 2) == ["2104-02-29", "2108-02-29"]


def test_every_other_week_counts_weeks_from_their_first_day() -> None:
    # The example of RFC 5545, 3.3.10, where WKST makes the difference.
    rule = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST="

    assert days(series(f"{rule}MO", "1997-08-05")) == ["1997-08-10", "1997-08-19", "1997-08-24"]
    assert days(series(f"{rule}SU", "1997-08-05")) == ["1997-08-17", "1997-08-19", "1997-08-31"]


def test_count_is_what_is_left_with_each_instance() -> None:
    instances = list(series("FREQ=DAILY;COUNT=3", "2026-01-01"))

    assert [str(each.rule) for each in instances] == ["FREQ=DAILY;COUNT=2", "FREQ=DAILY;COUNT=1"]


def test_the_day_of_until_is_the_last() -> None:
    assert days(series("FREQ=DAILY;UNTIL=20260103", "2026-01-01")) == ["2026-01-02", "2026-01-03"]


def test_the_instant_of_until_is_the_last() -> None:
    rule = "FREQ=DAILY;UNTIL=20260102T080000Z"

    assert walls(series(rule, "2026-01-01T09:00", BERLIN), BERLIN, 9) == ["2026-01-02T09:00+01:00"]
    assert walls(series(rule, "2026-01-01T09:01", BERLIN), BERLIN, 9) == []
    assert days(series(rule, "2026-01-01")) == ["2026-01-02"]


def test_a_day_of_until_is_a_day_where_the_due_is() -> None:
    # In UTC it is the day before already.
    instances = series("FREQ=DAILY;UNTIL=20260102", "2026-01-01T00:30", BERLIN)

    assert walls(instances, BERLIN, 9) == ["2026-01-02T00:30+01:00"]


def test_nine_stays_nine_when_the_clocks_change() -> None:
    assert walls(series("FREQ=DAILY", "2026-03-28T09:00", BERLIN), BERLIN, 2) == [
        "2026-03-29T09:00+02:00",
        "2026-03-30T09:00+02:00",
    ]


def test_a_wall_time_in_a_gap_moves_once_and_comes_back() -> None:
    instances = list(zip(series("FREQ=DAILY", "2026-03-28T02:30", BERLIN), range(2), strict=False))

    assert walls(iter(each for each, _ in instances), BERLIN, 2) == [
        "2026-03-29T03:30+02:00",
        "2026-03-30T02:30+02:00",
    ]
    assert [str(each.rule) for each, _ in instances] == [
        "FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0",
        "FREQ=DAILY",
    ]


def test_a_gap_before_midnight_leaves_out_no_day() -> None:
    assert walls(series("FREQ=DAILY", "2026-03-27T23:30", NUUK), NUUK, 3) == [
        "2026-03-29T00:30-01:00",
        "2026-03-29T23:30-01:00",
        "2026-03-30T23:30-01:00",
    ]


def test_a_gap_of_half_an_hour_moves_by_half_an_hour() -> None:
    assert walls(series("FREQ=DAILY", "2026-10-03T02:15", LORD_HOWE), LORD_HOWE, 2) == [
        "2026-10-04T02:45+11:00",
        "2026-10-05T02:15+11:00",
    ]


def test_a_wall_time_that_happens_twice_is_due_at_the_first() -> None:
    assert walls(series("FREQ=DAILY", "2026-10-24T02:30", BERLIN), BERLIN, 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]


def test_a_day_that_a_zone_left_out_is_not_due_twice() -> None:
    assert walls(series("FREQ=DAILY", "2011-12-29T09:00", APIA), APIA, 2) == [
        "2011-12-31T09:00+14:00",
        "2012-01-01T09:00+14:00",
    ]


def test_by_the_schedule_what_is_overdue_comes_first() -> None:
    completed_at = datetime(2026, 6, 10, tzinfo=UTC)

    assert days(series("FREQ=WEEKLY", "2026-01-05", completed_at=completed_at), 1) == ["2026-01-12"]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("FREQ=DAILY", "2026-06-12"),
        ("FREQ=WEEKLY", "2026-06-18"),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-06-15"),
        ("FREQ=MONTHLY;INTERVAL=3", "2026-09-11"),
        ("FREQ=YEARLY", "2027-06-11"),
    ],
)
def test_from_completion_counts_from_the_local_day_of_it(text: str, day: str) -> None:
    assert days(series(text, "2026-01-05", basis="completion"), 1) == [day]


def test_from_completion_keeps_the_wall_time_of_the_due() -> None:
    instances = series("FREQ=DAILY", "2026-01-05T09:00", BERLIN, basis="completion")

    assert walls(instances, BERLIN, 1) == ["2026-06-12T09:00+02:00"]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("FREQ=MONTHLY", "2026-02-28"),
        ("FREQ=MONTHLY;INTERVAL=25", "2028-02-29"),
        ("FREQ=YEARLY;BYMONTH=2,4", "2026-02-28"),
        ("FREQ=YEARLY", "2027-01-31"),
    ],
)
def test_from_completion_on_the_31st_a_short_month_counts_to_its_end(text: str, day: str) -> None:
    completed_at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    instances = series(text, "2026-01-05", basis="completion", completed_at=completed_at)

    following = next(instances)

    assert str(following.due_date) == day
    assert str(following.rule) == text


def test_from_completion_an_interval_that_passes_over_every_day_gives_way() -> None:
    rule = "FREQ=DAILY;INTERVAL=7;BYDAY=MO"

    assert days(series(rule, "2026-01-05", basis="completion"), 1) == ["2026-06-15"]


@pytest.mark.parametrize("basis", ["schedule", "completion"])
def test_a_task_without_due_counts_from_its_completion(basis: RecurrenceFrom) -> None:
    following = next_due(
        parse_rule("FREQ=WEEKLY"),
        due_date=None,
        due_at=None,
        due_zone=None,
        basis=basis,
        completed_at=COMPLETED,
        account_zone=BERLIN,
    )

    assert following is not None
    assert following.due_date == date(2026, 6, 18)
    assert following.due_at is None


def test_a_schedule_that_passes_over_every_day_is_refused() -> None:
    with pytest.raises(ValueError, match="INTERVAL=7 skips every day"):
        next(series("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "2026-01-05"))


def test_a_due_that_was_moved_leaves_the_series_where_it_is() -> None:
    rule = normalize(
        parse_rule("FREQ=MONTHLY"),
        due_date=date(2026, 1, 5),
        due_at=None,
        due_zone=None,
        basis="schedule",
    )

    moved = next_due(
        rule,
        due_date=date(2026, 1, 9),
        due_at=None,
        due_zone=None,
        basis="schedule",
        completed_at=COMPLETED,
        account_zone=BERLIN,
    )

    assert moved is not None
    assert moved.due_date == date(2026, 2, 5)


def test_the_time_of_day_is_that_of_the_due_whatever_the_rule_says() -> None:
    assert walls(series("FREQ=DAILY;BYHOUR=7", "2026-01-05T09:00", BERLIN), BERLIN, 1) == [
        "2026-01-06T09:00+01:00"
    ]
    assert str(next(series("FREQ=DAILY;BYHOUR=7", "2026-01-05")).rule) == "FREQ=DAILY"


def test_fractions_of_a_second_survive_a_gap() -> None:
    due = "2026-03-28T02:30:00.123456"
    found = [
        each.due_at for each, _ in zip(series("FREQ=DAILY", due, BERLIN), range(2), strict=False)
    ]

    assert found[1] == datetime(2026, 3, 30, 0, 30, 0, 123456, tzinfo=UTC)


def test_a_series_ends_with_the_calendar() -> None:
    assert days(series("FREQ=YEARLY;INTERVAL=1000", "8500-01-01")) == ["9500-01-01"]


def test_a_series_ends_where_the_weekday_of_completion_fits_none_of_its_days() -> None:
    following = next_due(
        parse_rule("FREQ=YEARLY;BYMONTH=1;BYWEEKNO=52"),
        due_date=None,
        due_at=None,
        due_zone=None,
        basis="completion",
        # A Monday: days of week 52 in January are weekend days.
        completed_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
        account_zone=UTC,
    )

    assert following is None


# Rule, due and, for an instant, its zone.
FROM_THE_START = [
    ("FREQ=WEEKLY", "2026-11-25", None),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=5", "2026-11-25", None),
    ("FREQ=WEEKLY;UNTIL=20300101;WKST=SU", "2026-11-29", None),
    ("FREQ=WEEKLY;BYMONTH=11,12", "2026-11-25", None),
    ("FREQ=MONTHLY", "2026-01-31", None),
    ("FREQ=MONTHLY;INTERVAL=3", "2026-02-28", None),
    ("FREQ=MONTHLY;BYMONTH=1,7", "2026-01-15", None),
    ("FREQ=YEARLY", "2028-02-29", None),
    ("FREQ=YEARLY;BYMONTH=3,9", "2026-03-03", None),
    ("FREQ=YEARLY;BYWEEKNO=20", "2026-05-14", None),
    ("FREQ=YEARLY;BYWEEKNO=20,40;BYSETPOS=1", "2026-05-14", None),
    ("FREQ=DAILY;INTERVAL=10", "2026-11-25", None),
    # Thursday in Tokyo, Wednesday in UTC.
    ("FREQ=WEEKLY", "2026-11-26T08:30", ZoneInfo("Asia/Tokyo")),
    ("FREQ=MONTHLY", "2026-12-01T00:10", ZoneInfo("Pacific/Auckland")),
    # In the gap: at 03:30, and the wall time of the series is 02:30.
    ("FREQ=WEEKLY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", "2026-03-29T02:30", BERLIN),
]
BY_THE_CALLER = [
    ("FREQ=WEEKLY;BYDAY=MO,WE", "2026-11-25"),
    # Another day than that of the due date: only the caller can have said it.
    ("FREQ=WEEKLY;BYDAY=TU", "2026-11-25"),
    ("FREQ=WEEKLY;BYDAY=WE;BYSETPOS=1", "2026-11-25"),
    ("FREQ=MONTHLY;BYMONTHDAY=15", "2026-11-25"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-11-30"),
    ("FREQ=MONTHLY;BYDAY=4WE", "2026-11-25"),
    ("FREQ=MONTHLY;BYDAY=WE", "2026-11-25"),
    ("FREQ=YEARLY;BYDAY=-1WE", "2026-12-30"),
    ("FREQ=YEARLY;BYYEARDAY=329", "2026-11-25"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", "2026-02-28"),
    ("FREQ=DAILY;BYDAY=WE", "2026-11-25"),
]


def begin(text: str, due: str, zone: tzinfo | None) -> tuple[Rule, dict[str, Any]]:
    """Return a rule as it is stored by the schedule, and the due that it is stored with."""
    at = None if zone is None else at_wall_time(*_split(due), zone)
    dues: dict[str, Any] = {
        "due_date": date.fromisoformat(due) if at is None else None,
        "due_at": at,
        "due_zone": zone,
    }
    return normalize(parse_rule(text), **dues, basis="schedule"), dues


def _split(due: str) -> tuple[date, time]:
    moment = datetime.fromisoformat(due)
    return moment.date(), moment.time()


@pytest.mark.parametrize(("text", "due", "zone"), FROM_THE_START)
def test_from_completion_a_rule_has_no_day_of_its_start(
    text: str, due: str, zone: tzinfo | None
) -> None:
    stored, dues = begin(text, due, zone)

    assert str(forget_start(stored, **dues)) == str(parse_rule(text))
    # And back by the schedule.
    assert normalize(forget_start(stored, **dues), **dues, basis="schedule") == stored


@pytest.mark.parametrize(("text", "due"), BY_THE_CALLER)
def test_from_completion_a_rule_keeps_the_days_that_a_caller_named(text: str, due: str) -> None:
    stored, dues = begin(text, due, None)

    assert str(forget_start(stored, **dues)) == text


def test_without_due_there_is_no_start_to_forget() -> None:
    rule = parse_rule("FREQ=WEEKLY;BYDAY=WE")

    assert forget_start(rule, due_date=None, due_at=None, due_zone=None) == rule
