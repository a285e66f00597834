"""Days of rules, compared with plain counting and dateutil."""

import itertools
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.unit.todo.schedule.reference import occurs, scan
from todo.schedule.days import find_next
from todo.schedule.rule import WEEKDAYS, Frequency, Rule, read_rule
from todo.schedule.series import next_due, normalize, parse_rule

DAY = timedelta(days=1)

bounded = settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])

# The days around month ends and leap days, and any others.
days = st.dates(date(2000, 1, 1), date(2050, 12, 31)) | st.builds(
    lambda year, month, back: date(year, month, monthrange(year, month)[1]) - back * DAY,
    st.integers(2000, 2050),
    st.integers(1, 12),
    st.integers(0, 3),
)
weekdays = st.sampled_from(WEEKDAYS)


def signed(most: int) -> st.SearchStrategy[str]:
    return listed((st.integers(1, most) | st.integers(-most, -1)).map(str))


def listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=4).map(",".join)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Rules that the reader takes; not all of them occur."""
    frequency = draw(st.sampled_from(Frequency))
    nths = st.sampled_from(["", "1", "2", "-1", "5"])
    optional = {
        "BYMONTH": listed(st.integers(1, 12).map(str)),
        "BYMONTHDAY": signed(31),
        "BYDAY": listed(weekdays),
    }
    if frequency is Frequency.WEEKLY:
        del optional["BYMONTHDAY"]
    elif frequency is not Frequency.DAILY:
        optional["BYDAY"] = listed(st.builds(str.__add__, nths, weekdays))
    if frequency is Frequency.YEARLY:
        optional |= {"BYWEEKNO": signed(53), "BYYEARDAY": signed(366)}
    names = draw(st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True))
    if "BYWEEKNO" in names:
        optional["BYDAY"] = listed(weekdays)
    if names != ["BYMONTH"] and names and draw(st.booleans()):
        names.append("BYSETPOS")
        optional["BYSETPOS"] = listed(st.sampled_from(["1", "2", "-1", "-2", "10"]))
    parts = [f"FREQ={frequency}", *(f"{name}={draw(optional[name])}" for name in names)]
    parts.append(f"INTERVAL={draw(st.sampled_from([1, 1, 1, 2, 3, 4, 7, 12, 100]))}")
    parts.append(f"WKST={draw(weekdays)}")
    return ";".join(draw(st.permutations(parts)))


def begin(text: str, day: date) -> Rule:
    return normalize(parse_rule(text), due_date=day, due_at=None, due_zone=None, basis="schedule")


def begin_or_drop(text: str, day: date) -> Rule:
    """The rule of a series that begins on a day; an example without one does not count."""
    try:
        return begin(text, day)
    except ValueError as error:
        assume("never occurs" not in str(error))
        raise


def count_on(rule: Rule, day: date, most: int, *, completed: date | None = None) -> list[date]:
    """The days of the next instances, each from the text of the one before."""
    found: list[date] = []
    while len(found) < most:
        following = next_due(
            parse_rule(str(rule)),
            due_date=day,
            due_at=None,
            due_zone=None,
            basis="schedule" if completed is None else "completion",
            completed_at=datetime.combine(completed or day, time(12), UTC),
            account_zone=UTC,
        )
        if following is None:
            break
        assert following.due_date is not None
        rule, day = following.rule, following.due_date
        found.append(day)
    return found


@bounded
@given(texts())
def test_a_rule_comes_back_from_its_text(text: str) -> None:
    rule = read_rule(text)

    assert read_rule(f"RRULE:{rule}") == rule


FRAGMENTS = (
    "FREQ= = ; , DAILY YEARLY ;BYDAY= MO -1 +5 0 ;COUNT= ;UNTIL= 20260101 T000000Z ;BYSETPOS="
)
fragments = st.sampled_from([*FRAGMENTS.split(" "), ";BYHOUR=", "RRULE:", "\n", "٣", "\ud800"])


@bounded
@given(st.lists(fragments, max_size=12).map("".join) | st.text(max_size=40))
@example("FREQ=\u2028")
@example('FREQ="\\\x85\n')
def test_any_text_is_a_rule_or_an_error_of_one_line(text: str) -> None:
    try:
        parse_rule(text)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - no error is right as well


@bounded
@given(texts(), days)
@example("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", date(2096, 1, 1))
@example("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31", date(2026, 1, 31))
@example("FREQ=YEARLY;BYWEEKNO=53,-53;BYDAY=MO,SU", date(2026, 1, 1))
@example("FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,SA", date(2026, 1, 3))
def test_the_next_day_is_the_first_that_plain_counting_finds(text: str, day: date) -> None:
    rule = begin_or_drop(text, day)

    found = find_next(rule, day)

    assert found is not None
    assert found > day
    assert occurs(rule, day, found)
    # Counting takes long: of a wait of many years, the last two.
    assert list(scan(rule, day, max(day + DAY, found - 731 * DAY), found - DAY)) == []


@bounded
@given(texts(), days)
@example("FREQ=DAILY;INTERVAL=7;BYDAY=TU", date(2026, 1, 5))
def test_what_is_refused_does_not_occur(text: str, day: date) -> None:
    rule = read_rule(text)
    assume(rule.by_day or rule.by_month_day or rule.by_year_day)
    try:
        begin(text, day)
    except ValueError as error:
        assert "never occurs" in str(error)  # noqa: PT017 - another error would be a mistake
        assert list(scan(rule, day, day + DAY, day + 1461 * DAY)) == []


@bounded
@given(texts(), days)
def test_dateutil_finds_the_same_days(text: str, day: date) -> None:
    rule = begin_or_drop(text, day)
    # To dateutil, MO,1MO means a Monday that is the first; to RFC 5545 it means both.
    assume(len({bool(nth) for nth, _ in rule.by_day}) < 2)
    # The first week's set begins at the start to dateutil, and with the week to RFC 5545.
    assume(rule.frequency is not Frequency.WEEKLY or not rule.by_set_pos)
    # To dateutil, the first week of a year has no days of December when it is counted backward.
    assume(not any(week < -51 for week in rule.by_week_no))

    judge = rrulestr(str(rule), dtstart=datetime.combine(day, time()))
    theirs = (each.date() for each in judge.xafter(datetime.combine(day, time()), count=4))
    # Nothing further away than 50 years is looked for.
    near = list(itertools.takewhile(lambda each: each.year < day.year + 50, theirs))

    assert count_on(rule, day, len(near)) == near


@bounded
@given(st.sampled_from(Frequency), st.integers(1, 12), days, st.integers(1, 6))
def test_count_is_the_number_of_instances(
    frequency: Frequency, interval: int, day: date, count: int
) -> None:
    endless = f"FREQ={frequency};INTERVAL={interval}"

    counted = count_on(begin(f"{endless};COUNT={count}", day), day, 99)

    assert counted == count_on(begin(endless, day), day, count - 1)


@bounded
@given(st.sampled_from(Frequency), days, st.integers(-5, 40))
def test_until_is_the_last_day_that_may_be(frequency: Frequency, day: date, rest: int) -> None:
    until = day + rest * DAY
    endless = count_on(begin(f"FREQ={frequency}", day), day, 50)

    bounded_by = count_on(begin(f"FREQ={frequency};UNTIL={until:%Y%m%d}", day), day, 50)

    assert bounded_by == [each for each in endless if each <= until]


@bounded
@given(days, st.sampled_from([Frequency.MONTHLY, Frequency.YEARLY]))
def test_a_schedule_keeps_the_day_of_the_month(day: date, frequency: Frequency) -> None:
    found = count_on(begin(f"FREQ={frequency}", day), day, 12)

    assert {each.day for each in found} == {day.day}
    months = {(each.year, each.month) for each in found}
    for each in scan(Rule(Frequency.DAILY), day, day + DAY, found[-1]):
        if each.day == day.day and (frequency is Frequency.MONTHLY or each.month == day.month):
            assert (each.year, each.month) in months


@bounded
@given(days, days, st.integers(1, 30))
def test_from_completion_a_month_is_a_month(due: date, completed: date, interval: int) -> None:
    rule = parse_rule(f"FREQ=MONTHLY;INTERVAL={interval}")

    [found] = count_on(rule, due, 1, completed=completed)

    months = 12 * (found.year - completed.year) + found.month - completed.month
    last = monthrange(found.year, found.month)[1]
    assert (months, found.day) == (interval, min(completed.day, last))


@bounded
@given(texts(), days, days)
def test_from_completion_every_rule_goes_on(text: str, due: date, completed: date) -> None:
    try:
        rule = parse_rule(text)
    except ValueError:
        assume(False)  # noqa: FBT003
        raise

    [found] = count_on(rule, due, 1, completed=completed)

    assert found > completed


def test_a_rule_that_is_never_met_ends_the_search_and_not_the_process() -> None:
    with pytest.raises(ValueError, match="never occurs after 2026-01-01"):
        find_next(read_rule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), date(2026, 1, 1))
