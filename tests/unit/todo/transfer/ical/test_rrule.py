"""Rules that count from a start on another day than the due: each due is as far from its start."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from todo.core.domain import NewTask
from todo.core.time_budget import TimeBudget
from todo.schedule.rule import read_rule
from todo.schedule.series import next_due
from todo.transfer.ical.parser import Property, Skipped
from todo.transfer.ical.reader import Calendar, read_calendar
from todo.transfer.ical.rrule import Rules
from todo.transfer.ical.times import Clock, Moment
from todo.transfer.ical.zones import Zones

BERLIN = ZoneInfo("Europe/Berlin")


def read(*lines: str) -> Calendar:
    """The calendar of one task; the first of the lines is the fifth of the file."""
    head = ["BEGIN:VCALENDAR", "BEGIN:VTODO", "UID:1", "SUMMARY:Title"]
    text = "\r\n".join([*head, *lines, "END:VTODO", "END:VCALENDAR"])
    return read_calendar(text.encode(), BERLIN)


def follow(task: NewTask, count: int) -> list[date]:
    """The days of the next instances of a task that is due on a day."""
    rule, day = read_rule(task["recurrence"] or ""), date.fromisoformat(task["due_date"] or "")
    found: list[date] = []
    while len(found) < count:
        following = next_due(
            rule,
            due_date=day,
            due_at=None,
            due_zone=None,
            basis="schedule",
            completed_at=datetime(2026, 1, 1, tzinfo=UTC),
            account_zone=BERLIN,
        )
        if following is None or following.due_date is None:
            break
        rule, day = following.rule, following.due_date
        found.append(day)
    return found


def expect(start: date, rule: str, days: int, count: int) -> list[date]:
    series = rrulestr(rule, dtstart=datetime(start.year, start.month, start.day))  # noqa: DTZ001
    starts = [each.date() for each, _ in zip(series, range(count + 1), strict=False)]
    return [each + timedelta(days=days) for each in starts if each > start][:count]


@pytest.mark.parametrize(
    ("start", "due", "rule", "taken"),
    [
        ("20261130", "20261204", "FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=FR"),
        ("20261204", "20261207", "FREQ=WEEKLY;BYDAY=FR", "FREQ=WEEKLY;BYDAY=MO"),
        ("20261130", "20261215", "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=TU"),
        ("20261130", "20261201", "FREQ=WEEKLY;BYDAY=MO,WE,SU", "FREQ=WEEKLY;BYDAY=MO,TU,TH"),
        # Weeks that begin on Monday become weeks that begin on Wednesday.
        (
            "20261130",
            "20261202",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,WE;WKST=WE",
        ),
        ("20261130", "20261203", "FREQ=DAILY;INTERVAL=10", "FREQ=DAILY;INTERVAL=10"),
        ("20261130", "20261201", "FREQ=DAILY;BYDAY=MO,TU", "FREQ=DAILY;BYDAY=TU,WE"),
        ("20260105", "20260112", "FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=12"),
        ("20260131", "20260203", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYMONTHDAY=3"),
        ("20260126", "20260130", "FREQ=MONTHLY;BYMONTHDAY=-6", "FREQ=MONTHLY;BYMONTHDAY=-2"),
        ("20260101", "20251231", "FREQ=MONTHLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYMONTHDAY=-1"),
        (
            "20260112",
            "20260114",
            "FREQ=MONTHLY;BYDAY=2MO",
            "FREQ=MONTHLY;BYMONTHDAY=10,11,12,13,14,15,16;BYDAY=WE",
        ),
        (
            "20260130",
            "20260202",
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=MONTHLY;BYMONTHDAY=-4,-3,-2,-1,1,2,3;BYDAY=MO",
        ),
        ("20260601", "20260915", "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=9;BYMONTHDAY=15"),
        ("20260101", "20260115", "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=15"),
        # 45 days after the middle of January is not always the first of March.
        ("20270115", "20270301", "FREQ=YEARLY", "FREQ=YEARLY;BYYEARDAY=60"),
        ("20261201", "20270301", "FREQ=YEARLY", "FREQ=YEARLY;BYYEARDAY=60"),
        ("20261130", "20261202", "FREQ=WEEKLY;COUNT=3", "FREQ=WEEKLY;COUNT=3;BYDAY=WE"),
        (
            "20261130",
            "20261202",
            "FREQ=WEEKLY;UNTIL=20261214",
            "FREQ=WEEKLY;UNTIL=20261216;BYDAY=WE",
        ),
    ],
)
def test_a_rule_of_the_start_becomes_one_of_the_due(
    start: str, due: str, rule: str, taken: str
) -> None:
    calendar = read(f"DTSTART:{start}", f"DUE:{due}", f"RRULE:{rule}")

    [only] = calendar.tasks
    assert only.task["due_date"] == date.fromisoformat(due).isoformat()
    assert only.task["recurrence"] == taken
    first = date.fromisoformat(start)
    days = (date.fromisoformat(due) - first).days
    assert follow(only.task, 20) == expect(first, rule, days, 20)
    assert [(each.line, each.what) for each in calendar.report] == [
        (5, "DTSTART"),
        (7, "RRULE"),
    ][: 1 + (taken != rule)]


@pytest.mark.parametrize(
    ("start", "due", "rule"),
    [
        ("20260127", "20260130", "FREQ=MONTHLY"),
        ("20260130", "20260202", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
        ("20260101", "20260108", "FREQ=DAILY;BYMONTH=1"),
        ("20260105", "20260301", "FREQ=YEARLY;BYWEEKNO=2"),
        ("20260101", "20260401", "FREQ=YEARLY;BYMONTH=1,2;BYMONTHDAY=1"),
        # What five years have in common: the fourth Monday is the last day of February in 2033.
        ("20270125", "20270126", "FREQ=MONTHLY;BYDAY=4MO"),
        ("20270222", "20270223", "FREQ=YEARLY;BYMONTH=2;BYDAY=4MO"),
        ("20270125", "20270126", "FREQ=MONTHLY;INTERVAL=12;BYDAY=4MO"),
    ],
)
def test_a_rule_that_no_rule_of_the_due_says_is_left_out_and_reported(
    start: str, due: str, rule: str
) -> None:
    calendar = read(f"DTSTART:{start}", f"DUE:{due}", f"RRULE:{rule}")

    [only] = calendar.tasks
    assert only.task == {"title": "Title", "due_date": date.fromisoformat(due).isoformat()}
    assert [(each.line, each.what) for each in calendar.report] == [(5, "DTSTART"), (7, "RRULE")]


RULES = st.builds(
    lambda frequency, interval, part: f"FREQ={frequency};INTERVAL={interval}{part}",
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.sampled_from([1, 1, 1, 2, 3, 12]),
    st.sampled_from(
        [
            *("", "", ";BYDAY=MO", ";BYDAY=TU,TH", ";BYMONTHDAY=1", ";BYMONTHDAY=-1", ";WKST=SU"),
            *(";BYMONTH=2", ";BYMONTH=1,6,11", ";BYMONTHDAY=28,29", ";BYMONTHDAY=13;BYDAY=FR"),
            *(";BYDAY=1MO", ";BYDAY=-1SU", ";BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ";BYYEARDAY=100"),
            *(";BYMONTH=3;BYDAY=2TU", ";BYWEEKNO=20", ";BYYEARDAY=-1,1", ";BYMONTHDAY=-5,-10"),
        ]
    ),
)


@given(st.dates(date(2024, 1, 1), date(2029, 1, 1)), st.integers(-40, 400), RULES)
def test_every_due_is_as_far_from_its_start_or_the_report_says_why(
    start: date, days: int, rule: str
) -> None:
    due = start + timedelta(days=days)
    calendar = read(f"DTSTART:{start:%Y%m%d}", f"DUE:{due:%Y%m%d}", f"RRULE:{rule}")

    [only] = calendar.tasks
    assert only.task["due_date"] == due.isoformat()
    if "recurrence" not in only.task:
        assert "RRULE" in [each.what for each in calendar.report]
        return
    # Ours repeats a month or a year after the due date, where a start that fits its rule repeats.
    if expect(start - timedelta(days=1), rule.replace("INTERVAL=1;", ""), 0, 1) == [start]:
        assert follow(only.task, 15) == expect(start, rule, days, 15)


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, -1, -2, -3, -4, -5])
@pytest.mark.parametrize("days", [1, 3, 7, -1, -3])
@pytest.mark.parametrize("parts", ["", "INTERVAL=2;", "INTERVAL=3;"])
def test_a_weekday_of_months_that_is_moved_holds_for_a_hundred_years(
    nth: int, days: int, parts: str
) -> None:
    rule = f"FREQ=MONTHLY;{parts}BYDAY={nth}MO"
    start = expect(date(2026, 12, 31), rule, 0, 1)[0]
    calendar = read(
        f"DTSTART:{start:%Y%m%d}", f"DUE:{start + timedelta(days=days):%Y%m%d}", f"RRULE:{rule}"
    )

    [only] = calendar.tasks
    assert [each.what for each in calendar.report] == ["DTSTART", "RRULE"]
    if "recurrence" in only.task:
        assert follow(only.task, 500) == expect(start, rule, days, 500)


@pytest.mark.parametrize(
    ("due", "zone", "reported"),
    [
        ("DUE:20270115T090000Z", "Europe/Berlin", []),
        ("DUE;TZID=America/New_York:20270115T040000", "Europe/Berlin", ["DUE"]),
        ("DUE;TZID=Europe/Berlin:20270115T100000", "Europe/Berlin", []),
    ],
)
def test_a_series_follows_the_clock_of_its_start(due: str, zone: str, reported: list[str]) -> None:
    calendar = read("DTSTART;TZID=Europe/Berlin:20270115T080000", due, "RRULE:FREQ=DAILY")

    [only] = calendar.tasks
    assert only.task["due_at"] == "2027-01-15T09:00:00Z"
    assert only.task["due_zone"] == zone
    assert [each.what for each in calendar.report] == ["DTSTART", *reported]


def test_the_last_instant_bounds_the_start_by_its_own_clock() -> None:
    rule = "FREQ=WEEKLY;UNTIL=20271018T070000Z"
    calendar = read(
        "DTSTART;TZID=Europe/Berlin:20270927T090000",
        "DUE;TZID=America/New_York:20270927T170000",
        f"RRULE:{rule}",
    )

    # The last start is on 18 October at nine in Berlin; its due 14 hours later.
    [only] = calendar.tasks
    assert only.task["recurrence"] == "FREQ=WEEKLY;UNTIL=20271018T210000Z;BYDAY=MO"
    assert [each.line for each in calendar.report] == [5, 6, 7]


def test_a_local_last_instant_is_one_of_the_start() -> None:
    calendar = read(
        "DTSTART;TZID=Asia/Tokyo:20270927T090000",
        "DUE;TZID=Asia/Tokyo:20270929T090000",
        "RRULE:FREQ=WEEKLY;UNTIL=20271018T090000;",
    )

    [only] = calendar.tasks
    assert only.task["recurrence"] == "FREQ=WEEKLY;UNTIL=20271020T000000Z;BYDAY=WE"


def test_a_start_late_in_the_evening_of_another_zone_counts_by_its_own_day() -> None:
    calendar = read(
        "DTSTART;TZID=America/New_York:20261130T230000",
        "DUE;TZID=Europe/Berlin:20261201T060000",
        "RRULE:FREQ=WEEKLY;BYDAY=MO",
    )

    assert calendar.tasks[0].task["recurrence"] == "FREQ=WEEKLY;BYDAY=TU"


@pytest.mark.parametrize(
    "rule", ["FREQ=WEEKLY;UNTIL=99991231", "FREQ=WEEKLY;UNTIL=99991231T000000Z"]
)
def test_an_end_beyond_the_calendar_costs_the_rule_alone(rule: str) -> None:
    calendar = read("DTSTART:20261130", "DUE:20261202", f"RRULE:{rule}")

    assert "recurrence" not in calendar.tasks[0].task
    assert [each.what for each in calendar.report] == ["DTSTART", "RRULE"]


def test_a_refused_rule_is_checked_once_for_a_file() -> None:
    ticks = iter(range(1000))
    rules = Rules(TimeBudget(5, clock=lambda: float(next(ticks))))
    report: list[Skipped] = []
    clock = Clock(Zones([], TimeBudget(1)), BERLIN, report)
    due = Moment(date(2027, 1, 1))
    never = Property(7, "RRULE", {}, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")

    for _ in range(100):
        assert rules.read(never, due, due, clock) is None

    assert {each.why for each in report} == {
        "never occurs, because no day matches all parts; remove one"
    }


def test_a_file_whose_rules_take_too_long_loses_rules_and_nothing_else() -> None:
    ticks = iter(range(1000))
    rules = Rules(TimeBudget(5, clock=lambda: float(next(ticks))))
    report: list[Skipped] = []
    clock = Clock(Zones([], TimeBudget(1)), BERLIN, report)
    due = Moment(date(2027, 1, 1))

    taken = [
        rules.read(Property(n, "RRULE", {}, f"FREQ=DAILY;INTERVAL={n}"), due, due, clock)
        for n in range(1, 10)
    ]

    assert taken[0] == "FREQ=DAILY"
    assert taken[-1] is None
    assert report[-1] == Skipped(
        9, "RRULE", "the rules and zones of this file take too long to check"
    )
