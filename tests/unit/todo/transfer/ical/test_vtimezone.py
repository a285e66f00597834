"""Zones that a file describes: the clocks of each, compared with those that have a name."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.machine_clock import CLOCK
from todo.core.time_budget import TimeBudget
from todo.schedule.due import at_wall_time
from todo.transfer.ical.parser import Component, Property
from todo.transfer.ical.reader import read_calendar
from todo.transfer.ical.vtimezone import DescribedZone, UnreadableZoneError

HOUR = timedelta(hours=1)


def describe(*parts: str) -> Component:
    """A description of `STANDARD +0200 +0100 DTSTART=…` and more properties in one string each."""
    zone = Component(1, "VTIMEZONE", [Property(2, "TZID", {}, "Odd")])
    for line, part in enumerate(parts, 3):
        name, before, after, *more = part.split()
        given = [("TZOFFSETFROM", before), ("TZOFFSETTO", after)]
        given += [(each.partition("=")[0], each.partition("=")[2]) for each in more]
        properties = [Property(line, key, {}, value) for key, value in given]
        zone.components.append(Component(line, name, properties))
    return zone


def build(*parts: str, budget_s: float = 60.0) -> DescribedZone:
    return DescribedZone(describe(*parts), TimeBudget(budget_s))


BERLIN = (
    "STANDARD +0200 +0100 DTSTART=19961027T030000 RRULE=FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
    "DAYLIGHT +0100 +0200 DTSTART=19810329T020000 RRULE=FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
)
# As programs write them: with ends, days of the month, two rules of one kind, changes one by one.
ZONES = {
    "Europe/Berlin": BERLIN,
    "America/New_York": (
        "DAYLIGHT -0500 -0400 DTSTART=20070311T020000 RRULE=FREQ=YEARLY;BYMONTH=3;BYDAY=2SU",
        "STANDARD -0400 -0500 DTSTART=20071104T020000 RRULE=FREQ=YEARLY;BYMONTH=11;BYDAY=1SU",
        (
            "DAYLIGHT -0500 -0400 DTSTART=19870405T020000"
            " RRULE=FREQ=YEARLY;BYMONTH=4;BYDAY=SU;BYMONTHDAY=1,2,3,4,5,6,7;UNTIL=20060402T070000Z"
        ),
        (
            "STANDARD -0400 -0500 DTSTART=19871025T020000"
            " RRULE=FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;UNTIL=20061029T060000Z"
        ),
    ),
    "Australia/Lord_Howe": (
        "STANDARD +1100 +1030 DTSTART=20080406T020000 RRULE=FREQ=YEARLY;BYMONTH=4;BYDAY=1SU",
        "DAYLIGHT +1030 +1100 DTSTART=20081005T020000 RRULE=FREQ=YEARLY;BYMONTH=10;BYDAY=1SU",
    ),
    "Asia/Tokyo": ("STANDARD +0900 +0900 DTSTART=19510908T010000",),
    "Pacific/Apia": (
        "STANDARD -1100 -1100 DTSTART=19700101T000000",
        "DAYLIGHT -1100 -1000 DTSTART=20100926T000000 RDATE=20110924T030000",
        "STANDARD -1000 -1100 DTSTART=20110402T040000",
        "DAYLIGHT -1000 +1400 DTSTART=20111230T000000",
        (
            "STANDARD +1400 +1300 DTSTART=20120401T040000"
            " RRULE=FREQ=YEARLY;BYMONTH=4;BYDAY=1SU;UNTIL=20210403T140000Z"
        ),
        (
            "DAYLIGHT +1300 +1400 DTSTART=20120930T030000"
            " RRULE=FREQ=YEARLY;BYMONTH=9;BYDAY=-1SU;COUNT=9"
        ),
    ),
}


def hours(first: int, last: int, step: timedelta) -> Iterator[datetime]:
    moment = datetime(first, 1, 1, 0, 10, tzinfo=UTC)
    while moment.year <= last:
        yield moment
        moment += step


@pytest.mark.parametrize("name", ZONES)
def test_a_description_gives_the_clocks_of_the_zone_that_it_describes(name: str) -> None:
    described, named = build(*ZONES[name]), ZoneInfo(name)

    # Not a divisor of a day: every hour comes up.
    for moment in hours(2010, 2023, timedelta(hours=67)):
        wall = moment.replace(tzinfo=None)
        assert at_wall_time(wall.date(), wall.time(), described) == at_wall_time(
            wall.date(), wall.time(), named
        ), wall
        assert moment.astimezone(described).replace(tzinfo=None) == moment.astimezone(
            named
        ).replace(tzinfo=None), moment


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_the_hours_around_a_change_are_read_as_named_zones_read_them(name: str) -> None:
    described, named = build(*ZONES[name]), ZoneInfo(name)

    for moment in hours(2100, 2100, HOUR / 2):
        if moment.month in {3, 4, 10, 11} and (moment.day < 8 or moment.day > 24):
            wall = moment.replace(tzinfo=None)
            found = at_wall_time(wall.date(), wall.time(), described)
            assert found == at_wall_time(wall.date(), wall.time(), named), wall


def test_before_the_first_change_the_offset_is_that_which_it_ends() -> None:
    zone = build("DAYLIGHT +0123 +0200 DTSTART=20200101T000000")

    assert datetime(2019, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=1, minutes=23)
    assert datetime(2020, 1, 1, 12, tzinfo=zone).utcoffset() == 2 * HOUR
    assert datetime(2019, 1, 1, tzinfo=UTC).astimezone(zone).hour == 1


def test_a_rule_that_occurs_every_40_years_is_followed() -> None:
    rule = "RRULE=FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"
    zone = build(
        f"DAYLIGHT +0100 +0200 DTSTART=18040229T000000 {rule}",
        "STANDARD +0200 +0100 DTSTART=18040501T000000 RRULE=FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1",
    )

    # The 29th of February is a Monday in 1892 and in 1904 (and between them there is no other one).
    assert datetime(1904, 3, 1, tzinfo=zone).utcoffset() == 2 * HOUR
    assert datetime(1903, 3, 1, tzinfo=zone).utcoffset() == HOUR


@pytest.mark.parametrize(
    "more",
    [
        *("INTERVAL=0", "INTERVAL=-1", "INTERVAL=x", "BYDAY=-99SU", "BYDAY=54SU", "BYDAY=0SU"),
        *("BYDAY=XX", "BYMONTH=13", "BYMONTH=0", "BYMONTHDAY=32", "BYMONTHDAY=0", "BYYEARDAY=367"),
        *("BYSETPOS=367;BYDAY=MO", "BYWEEKNO=54", "COUNT=0", "COUNT=101", "COUNT=-1", "UNTIL=x"),
        *("UNTIL=20261301", "UNTIL=99991231T235960Z", "WKST=XX", "BYHOUR=24", "BYMINUTE=0"),
        *("BYMONTH=2;BYMONTHDAY=30", "BYEASTER=0", "FREQ=YEARLY", "=", "COUNT=2;UNTIL=20301231"),
        *("BYMONTHDAY=31;BYMONTH=4,6,9,11", "BYMONTHDAY=31;BYYEARDAY=1"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_at_once(more: str) -> None:
    started = CLOCK.now()

    with pytest.raises(UnreadableZoneError, match=r"^line 3: RRULE: "):
        build(f"STANDARD +0200 +0100 DTSTART=20001029T030000 RRULE=FREQ=YEARLY;{more}")

    assert CLOCK.now() - started < 1


@pytest.mark.parametrize(
    "part",
    [
        *(
            "STANDARD +0200 +2400 DTSTART=20001029T030000",
            "STANDARD x +0100 DTSTART=20001029T030000",
        ),
        *("STANDARD +0260 +0100 DTSTART=20001029T030000", "STANDARD +02 +0100 DTSTART=20001029"),
        *("STANDARD +0200 +0100", "STANDARD +0200 +0100 DTSTART=20001329T030000"),
        *("STANDARD +0200 +0100 DTSTART=20001029T250000", "STANDARD +0200 +0100 DTSTART=x"),
        "STANDARD +0200 +0100 DTSTART=20001029T030000 RDATE=20001029T030000,x",
        "STANDARD +0200 +0100 DTSTART=20001029T030000 EXDATE=20011028T030000",
        "STANDARD +0200 +0100 DTSTART=20001029T030000 RRULE=FREQ=DAILY",
        "STANDARD +0200 +0100 DTSTART=20001029T030000 RRULE=FREQ=SECONDLY;INTERVAL=1",
        "OTHER +0200 +0100 DTSTART=20001029T030000",
    ],
)
def test_a_part_that_makes_no_sense_is_refused(part: str) -> None:
    with pytest.raises(UnreadableZoneError):
        build(part)


@pytest.mark.parametrize("start", ["00010101T000000", "16010101T000000", "99991231T235959"])
def test_the_ends_of_the_calendar_are_no_obstacle(start: str) -> None:
    zone = build(f"STANDARD -2359 +2359 DTSTART={start} RRULE=FREQ=YEARLY", BERLIN[1])

    for year in (1900, 2027, 9998):
        assert datetime(year, 6, 1, tzinfo=zone).utcoffset() is not None
        assert datetime(year, 6, 1, tzinfo=UTC).astimezone(zone).year == year


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(UnreadableZoneError, match="more than 1000"):
        build(*1001 * BERLIN[:1])


def test_a_description_without_parts_is_refused() -> None:
    with pytest.raises(UnreadableZoneError, match="STANDARD and DAYLIGHT are missing"):
        build()


def test_a_spent_budget_ends_the_search_for_changes() -> None:
    zone = build(*BERLIN)
    costly = [
        f"STANDARD +0200 +0100 DTSTART=18{n:02}1029T030000 RRULE=FREQ=YEARLY;BYDAY=MO;BYMONTHDAY=13"
        for n in range(90)
    ]

    assert zone.utcoffset(datetime(2027, 6, 1)) == 2 * HOUR  # noqa: DTZ001 - a wall time
    with pytest.raises(UnreadableZoneError, match="too long"):
        build(*costly, budget_s=0.0001)


def test_too_many_rules_are_refused() -> None:
    with pytest.raises(UnreadableZoneError, match="more than 1000 times RRULE"):
        build(" ".join([BERLIN[0], *1000 * ["RRULE=FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"]]))


def test_lookups_spend_the_budget_and_a_known_one_does_not() -> None:
    ticks = iter(range(100_000))
    zone = DescribedZone(describe(*BERLIN), TimeBudget(1000, clock=lambda: float(next(ticks))))
    known = datetime(2027, 6, 1)  # noqa: DTZ001 - a wall time
    for _ in range(5000):
        assert zone.utcoffset(known) == 2 * HOUR

    others = (known + timedelta(days=day) for day in range(5000))
    with pytest.raises(UnreadableZoneError, match="too long"):
        list(map(zone.utcoffset, others))
    with pytest.raises(UnreadableZoneError, match="too long"):
        next(others).replace(tzinfo=UTC).astimezone(zone)


def test_many_rules_that_rarely_occur_are_looked_up_in_little_time() -> None:
    rare = [
        f"STANDARD +0100 +0200 DTSTART=1970{n % 12 + 1:02}{n % 28 + 1:02}T{n % 24:02}0000"
        " RRULE=FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"
        for n in range(500)
    ]
    zone = build(*rare)
    assert zone.utcoffset(datetime(2027, 1, 1)) == 2 * HOUR  # noqa: DTZ001 - a wall time
    started = CLOCK.now()

    for day in range(100):
        assert zone.utcoffset(datetime(2027, 1, 1) + timedelta(days=day)) == 2 * HOUR  # noqa: DTZ001

    assert CLOCK.now() - started < 1


def test_a_zone_whose_name_has_a_comma_is_found() -> None:
    text = r"""BEGIN:VTIMEZONE
TZID:(UTC-08:00) Pacific Time (US\, Canada)
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:-0800
TZOFFSETTO:-0800
END:STANDARD
END:VTIMEZONE
BEGIN:VTODO
UID:1
SUMMARY:t
DUE;TZID="(UTC-08:00) Pacific Time (US, Canada)":20270701T090000
END:VTODO"""

    [only] = read_calendar(text.encode(), ZoneInfo("Europe/Berlin")).tasks

    assert only.task["due_at"] == "2027-07-01T17:00:00Z"


def test_a_zone_that_cannot_be_used_is_explained_where_it_is_used() -> None:
    text = """BEGIN:VTIMEZONE
TZID:Odd
BEGIN:STANDARD
DTSTART:20001029T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=0;BYMONTH=10
END:STANDARD
END:VTIMEZONE
BEGIN:VTODO
UID:1
SUMMARY:t
DUE;TZID=Odd:20270701T090000
END:VTODO"""

    calendar = read_calendar(text.encode(), ZoneInfo("Europe/Berlin"))

    [only] = calendar.tasks
    assert only.task["due_at"] == "2027-07-01T07:00:00Z"
    [(line, why)] = [(each.line, each.why) for each in calendar.report]
    assert line == 13
    assert why.startswith("TZID=Odd is described on line 1, not usable (line 7: RRULE: INTERVAL=")
    assert why.endswith(": read as a time of the account's zone")


def test_a_long_name_of_a_zone_costs_no_more_than_reading_it() -> None:
    tzid = "/" * 1_000_000
    text = f"BEGIN:VTODO\nUID:1\nSUMMARY:t\nDUE;TZID={tzid}:20270701T090000\nEND:VTODO"
    started = CLOCK.now()

    calendar = read_calendar(text.encode(), ZoneInfo("Europe/Berlin"))

    assert [each.what for each in calendar.report] == ["DUE"]
    assert CLOCK.now() - started < 10
