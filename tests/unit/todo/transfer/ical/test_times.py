"""Durations and alarms of calendar files: days by the calendar, times of both kinds, and limits."""

from zoneinfo import ZoneInfo

import pytest

from todo.core.domain import NewTask
from todo.transfer.ical.reader import Calendar, read_calendar

BERLIN = ZoneInfo("Europe/Berlin")


def read(*lines: str, zone: ZoneInfo = BERLIN) -> Calendar:
    """The calendar of one task; the first of the lines is the fifth of the file."""
    head = ["BEGIN:VCALENDAR", "BEGIN:VTODO", "UID:1", "SUMMARY:Title"]
    text = "\r\n".join([*head, *lines, "END:VTODO", "END:VCALENDAR"])
    return read_calendar(text.encode(), zone)


def task(calendar: Calendar) -> NewTask:
    [only] = calendar.tasks
    return only.task


def alarm(trigger: str) -> tuple[str, ...]:
    return ("BEGIN:VALARM", "ACTION:DISPLAY", trigger, "END:VALARM")


@pytest.mark.parametrize(
    ("start", "length", "due_at"),
    [
        # New York changes on 14 March and 7 November 2027, at two o'clock.
        ("20270313T180000", "P1D", "2027-03-14T22:00:00Z"),
        ("20270313T180000", "PT24H", "2027-03-14T23:00:00Z"),
        ("20270313T180000", "P0DT24H", "2027-03-14T23:00:00Z"),
        ("20270310T180000", "P1W", "2027-03-17T22:00:00Z"),
        ("20271106T180000", "P1D", "2027-11-07T23:00:00Z"),
        ("20271106T180000", "PT24H", "2027-11-07T22:00:00Z"),
        ("20271105T180000", "P2DT30M", "2027-11-07T23:30:00Z"),
        # The day first, which leads into the gap: as if the clock had not been put forward yet.
        ("20270313T023000", "P1D", "2027-03-14T07:30:00Z"),
        ("20270313T023000", "P1DT1H", "2027-03-14T08:30:00Z"),
        ("20270315T180000", "-P1D", "2027-03-14T22:00:00Z"),
        ("20270314T180000", "-P1D", "2027-03-13T23:00:00Z"),
    ],
)
def test_a_duration_of_days_is_by_the_clock_on_the_wall(
    start: str, length: str, due_at: str
) -> None:
    found = task(read(f"DTSTART;TZID=America/New_York:{start}", f"DURATION:{length}"))

    assert found == {"title": "Title", "due_at": due_at, "due_zone": "America/New_York"}


def test_in_utc_a_day_has_always_24_hours() -> None:
    found = task(read("DTSTART:20270327T080000Z", "DURATION:P1D"))

    assert found["due_at"] == "2027-03-28T08:00:00Z"


@pytest.mark.parametrize(
    ("due", "trigger", "minutes"),
    [
        ("20270314T180000", "-P1D", 23 * 60),
        ("20270314T180000", "-PT24H", 24 * 60),
        ("20270317T180000", "-P1W", 7 * 24 * 60 - 60),
        ("20271107T180000", "-P1D", 25 * 60),
        ("20271107T180000", "-P1DT15M", 25 * 60 + 15),
        ("20271106T180000", "P1D", -25 * 60),
        ("20270601T180000", "-P1D", 24 * 60),
    ],
)
def test_an_alarm_days_before_is_at_the_same_time_of_day(
    due: str, trigger: str, minutes: int
) -> None:
    calendar = read(f"DUE;TZID=America/New_York:{due}", *alarm(f"TRIGGER:{trigger}"))

    if minutes < -24 * 60:
        assert [each.what for each in calendar.report] == ["TRIGGER"]
    else:
        assert calendar.report == []
        assert task(calendar)["reminders"] == [minutes]


def test_in_a_series_a_day_before_is_24_hours_and_reported_where_the_clocks_change() -> None:
    rule = ("RRULE:FREQ=DAILY", *alarm("TRIGGER:-P1D"))
    changing = read("DUE;TZID=America/New_York:20270314T180000", *rule)
    usual = read("DUE;TZID=America/New_York:20270614T180000", *rule)

    assert task(changing)["reminders"] == task(usual)["reminders"] == [1440]
    assert [(each.line, each.what) for each in changing.report] == [(9, "TRIGGER")]
    assert usual.report == []


MIXED = [
    # Start, due, trigger, minutes; the account is in St. John's, 3:30 behind UTC.
    ("DTSTART:20261210T123000Z", "DUE:20261212", "-PT15M", 39 * 60 + 15),
    ("DTSTART;TZID=Asia/Tokyo:20261210T090000", "DUE:20261212", "PT0S", 51 * 60 + 30),
    ("DTSTART;TZID=Asia/Tokyo:20261210T090000", "DUE:20261212", "-P1D", 75 * 60 + 30),
    ("DTSTART:20261210", "DUE:20261212T120000Z", "-PT15M", 56 * 60 + 45),
    ("DTSTART:20261210", "DUE;TZID=Asia/Tokyo:20261212T090000", "-P1D", 68 * 60 + 30),
    ("DTSTART:20261210", "DUE;TZID=Asia/Tokyo:20261212T090000", "PT9H", 35 * 60 + 30),
    ("DTSTART:20261210", "DUE:20261212", "-PT15M", 48 * 60 + 15),
    ("DTSTART:20261210T120000Z", "DUE:20261212T120000Z", "-PT15M", 48 * 60 + 15),
    ("DTSTART:20261210T123000", "DUE:20261212", "-PT30M", 36 * 60),
]


@pytest.mark.parametrize(("start", "due", "trigger", "minutes"), MIXED)
def test_an_alarm_counts_from_a_start_of_another_type_than_the_due(
    start: str, due: str, trigger: str, minutes: int
) -> None:
    calendar = read(start, due, *alarm(f"TRIGGER:{trigger}"), zone=ZoneInfo("America/St_Johns"))

    assert task(calendar)["reminders"] == [minutes]
    assert [each.what for each in calendar.report] == ["DTSTART"]


@pytest.mark.parametrize(
    ("due", "trigger", "minutes"),
    [
        ("DUE:20261212", "TRIGGER;VALUE=DATE-TIME:20261211T153000Z", 12 * 60),
        ("DUE:20261212T153000Z", "TRIGGER;VALUE=DATE:20261212", 12 * 60),
        ("DUE:20261212", "TRIGGER;RELATED=END:-PT15H", 15 * 60),
    ],
)
def test_an_alarm_at_a_time_counts_from_a_due_of_another_type(
    due: str, trigger: str, minutes: int
) -> None:
    calendar = read(due, *alarm(trigger), zone=ZoneInfo("America/St_Johns"))

    assert calendar.report == []
    assert task(calendar)["reminders"] == [minutes]


DAY, INSTANT = "DTSTART:20270601", "DTSTART:20270601T090000Z"


@pytest.mark.parametrize("start", [DAY, INSTANT])
@pytest.mark.parametrize(
    "length",
    [
        *("P2912000D", "-P2912000D", "P999999999D", "P999999999W", "PT999999999H"),
        *("P99999999999999999999D", "-P400000W", "P1M", "P", "PT", "P1DT", "P1H", "1D", "P-1D", ""),
        *("P\N{ARABIC-INDIC DIGIT ONE}D", "P1.5D", "p", "PT1H1D"),
    ],
)
def test_a_duration_that_cannot_be_costs_itself(start: str, length: str) -> None:
    calendar = read(start, f"DURATION:{length}", "PRIORITY:1")

    assert task(calendar)["priority"] == "high"
    assert str(task(calendar).get("due_date", task(calendar).get("due_at")))[:10] == "2027-06-01"
    assert (6, "DURATION") in [(each.line, each.what) for each in calendar.report]


@pytest.mark.parametrize(
    ("start", "length"),
    [
        ("DTSTART:99981230", "P2D"),
        ("DTSTART:19000101", "-P1D"),
        ("DTSTART:99971231T235959Z", "PT1S"),
        ("DTSTART:19010101T000000Z", "-PT1S"),
        ("DTSTART;TZID=Pacific/Apia:99971230T000000", "P3D"),
    ],
)
def test_a_duration_that_leads_out_of_the_calendar_costs_itself(start: str, length: str) -> None:
    calendar = read(start, f"DURATION:{length}")

    assert {"due_date", "due_at"} & task(calendar).keys()
    assert (6, "DURATION") in [(each.line, each.what) for each in calendar.report]


@pytest.mark.parametrize(
    "due", ["DUE:20270601", "DUE:20270601T090000Z", "DUE:99981231", "DUE:19000101"]
)
@pytest.mark.parametrize(
    "trigger", ["-P2900000D", "P2900000D", "-P999999999W", "PT99999999999H", "P", "-PT", "x", ""]
)
def test_an_alarm_that_cannot_be_costs_itself(due: str, trigger: str) -> None:
    calendar = read(due, *alarm(f"TRIGGER:{trigger}"), "PRIORITY:1")

    assert task(calendar)["priority"] == "high"
    assert "reminders" not in task(calendar)
    assert [(each.line, each.what) for each in calendar.report] == [(8, "TRIGGER")]


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ("20261231T235960Z", "2026-12-31T23:59:59Z"),
        ("20260630T235960", "2026-06-30T21:59:59Z"),
        ("20261231T235961Z", None),
        ("20261231T240000Z", None),
        ("99980101T000000Z", None),
        ("19001231T235959Z", None),
    ],
)
def test_an_instant_is_one_that_a_task_can_have(due: str, expected: str | None) -> None:
    calendar = read(f"DUE:{due}")

    assert task(calendar).get("due_at") == expected
    assert [each.what for each in calendar.report] == ["DUE"] * (expected is None)


def test_a_length_of_a_day_that_is_not_whole_days_is_reported() -> None:
    calendar = read("DTSTART:20270601", "DURATION:P1DT12H")

    assert task(calendar)["due_date"] == "2027-06-02"
    assert [each.what for each in calendar.report] == ["DTSTART", "DURATION"]


def test_whatever_an_alarm_holds_beside_its_time_is_reported() -> None:
    inside = ("TRIGGER:-PT1M", "BEGIN:VLOCATION", "NAME:x", "END:VLOCATION", "END:VALARM")
    calendar = read("DUE:20270601T090000Z", *alarm("TRIGGER:-PT5M")[:3], *inside)

    assert task(calendar)["reminders"] == [5]
    assert [(each.line, each.what) for each in calendar.report] == [
        (9, "TRIGGER"),
        (10, "VLOCATION"),
    ]
