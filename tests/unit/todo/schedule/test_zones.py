"""Properties of dues in all time zones."""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.todo.schedule.reference import instant
from todo.schedule.due import DueName, at_wall_time, day_bounds, fire_times
from todo.schedule.series import NextDue, next_due, normalize, parse_rule

DAY = timedelta(days=1)
ZONES = {
    name: ZoneInfo(name)
    for name in (
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",  # half an hour of daylight saving
        "Asia/Kathmandu",  # a quarter of an hour off, and no changes
        "Pacific/Apia",  # had daylight saving from September to April
        "America/Nuuk",  # puts the clocks forward just before midnight
    )
}


def changes(zone: ZoneInfo) -> Iterator[date]:
    """The days that are not 24 hours long; from 2012, when Apia had left out its day."""
    for number in range(25 * 52):
        first = date(2012, 1, 1) + number * 7 * DAY
        # Most weeks have none, and no zone takes a change back within one.
        if instant(first + 7 * DAY, time(), zone) - instant(first, time(), zone) != 7 * DAY:
            for day in (first + offset * DAY for offset in range(7)):
                if instant(day + DAY, time(), zone) - instant(day, time(), zone) != DAY:
                    yield day


CHANGES = {name: list(changes(zone)) for name, zone in ZONES.items()}

rules = st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=2",
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;BYDAY=SA,SU,MO",
        "FREQ=MONTHLY",
        "FREQ=MONTHLY;BYDAY=-1SU,2SU,1SU",
        "FREQ=YEARLY;BYMONTH=3,4,9,10,11",
    ]
)
clocks = st.builds(time, st.sampled_from([0, 1, 2, 3, 9, 22, 23]), st.integers(0, 59))
names = st.sampled_from(sorted(ZONES))


@st.composite
def walls(draw: st.DrawFn) -> tuple[str, date]:
    """A zone and a day, most often shortly before the clocks of the zone change."""
    name = draw(names)
    near = st.dates(date(2012, 1, 1), date(2036, 12, 31))
    if CHANGES[name]:
        before = st.integers(-2, 9).map(lambda days: days * DAY)
        near |= st.builds(date.__sub__, st.sampled_from(CHANGES[name]), before)
    return name, draw(near)


def instances(text: str, at: datetime, zone: ZoneInfo) -> Iterator[NextDue]:
    """Every next instance, each from the text of the one before."""
    rule = normalize(parse_rule(text), due_date=None, due_at=at, due_zone=zone, basis="schedule")
    while following := next_due(
        parse_rule(str(rule)),
        due_date=None,
        due_at=at,
        due_zone=zone,
        basis="schedule",
        completed_at=at,
        account_zone=zone,
    ):
        yield following
        assert following.due_at is not None
        rule, at = following.rule, following.due_at


def plain_days(text: str, day: date) -> Iterator[date]:
    """The days of the same series where no clock is involved."""
    rule = normalize(parse_rule(text), due_date=day, due_at=None, due_zone=None, basis="schedule")
    while following := next_due(
        rule,
        due_date=day,
        due_at=None,
        due_zone=None,
        basis="schedule",
        completed_at=datetime(2026, 1, 1, tzinfo=UTC),
        account_zone=UTC,
    ):
        assert following.due_date is not None
        rule, day = following.rule, following.due_date
        yield day


@given(walls(), clocks, rules)
@example(("America/Nuuk", date(2026, 3, 26)), time(23, 30), "FREQ=DAILY;INTERVAL=2")
@example(("Europe/Berlin", date(2026, 3, 22)), time(2, 30), "FREQ=WEEKLY")
@example(("Australia/Lord_Howe", date(2026, 10, 3)), time(2, 15), "FREQ=DAILY")
@example(("Pacific/Apia", date(2019, 9, 28)), time(3, 30), "FREQ=DAILY")
def test_every_instance_is_at_the_wall_time_of_the_first(
    wall: tuple[str, date], clock: time, text: str
) -> None:
    zone, day = ZONES[wall[0]], wall[1]
    begin = instant(day, clock, zone)
    if begin.astimezone(zone).time() != clock:
        # The first instance is an instant: what somebody meant by it is not known.
        begin, day = instant(day - DAY, clock, zone), day - DAY

    found = [each.due_at for each in itertools.islice(instances(text, begin, zone), 12)]

    assert found == [
        instant(each, clock, zone) for each in itertools.islice(plain_days(text, day), 12)
    ]


@given(walls(), clocks, rules)
def test_the_next_due_is_later(wall: tuple[str, date], clock: time, text: str) -> None:
    zone = ZONES[wall[0]]
    begin = at_wall_time(wall[1], clock, zone)

    found = [begin, *(each.due_at for each in itertools.islice(instances(text, begin, zone), 8))]

    assert all(one and other and one < other for one, other in itertools.pairwise(found))


@given(walls(), clocks)
def test_a_wall_time_is_the_first_instant_that_shows_it(
    wall: tuple[str, date], clock: time
) -> None:
    zone = ZONES[wall[0]]

    assert at_wall_time(wall[1], clock, zone) == instant(wall[1], clock, zone)


@given(walls(), clocks, st.sampled_from(["today", "tomorrow", "week", "month"]))
def test_a_window_begins_and_ends_with_days_of_the_zone(
    wall: tuple[str, date], clock: time, name: DueName
) -> None:
    zone, moment = ZONES[wall[0]], timedelta(microseconds=1)
    now = at_wall_time(wall[1], clock, zone)

    window = day_bounds(name, now, zone)

    for day, at in ((window.date_from, window.at_from), (window.date_to, window.at_to)):
        assert day is not None
        assert at is not None
        assert at.astimezone(zone).date() == day
        assert (at - moment).astimezone(zone).date() == day - DAY
    local = now.astimezone(zone).date()
    assert window.date_from == (local + DAY if name == "tomorrow" else local)


@given(walls(), clocks)
def test_a_reminder_of_a_day_shows_its_time_on_the_wall(
    wall: tuple[str, date], clock: time
) -> None:
    zone = ZONES[wall[0]]
    minutes = clock.hour * 60 + clock.minute

    [fires] = fire_times(wall[1], None, zone, [-minutes])

    assert fires == instant(wall[1], clock, zone)
