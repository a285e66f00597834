"""Lines of the report: each says what became of a line of the file, and is true."""

from zoneinfo import ZoneInfo

import pytest

from todo.transfer.ical.reader import Calendar, read_calendar

BERLIN = ZoneInfo("Europe/Berlin")
START = "DTSTART;TZID=Europe/Berlin:20270115T090000"


def read(*lines: str, around: str = "") -> Calendar:
    """The calendar of one task; the first of the lines is the fourth of the file."""
    head = ["BEGIN:VTODO", "UID:1", "SUMMARY:Call \\, then write"]
    return read_calendar("\r\n".join([*head, *lines, "END:VTODO", around]).encode(), BERLIN)


def report(*lines: str, around: str = "") -> list[tuple[str, str]]:
    """Reported lines, except those about DTSTART."""
    calendar = read(*lines, around=around)
    return [(each.what, each.why) for each in calendar.report if each.what != "DTSTART"]


@pytest.mark.parametrize(
    ("rule", "reasons"),
    [
        ("BYHOUR=14", ["BYHOUR: all occurrences are at the time of the first, not 14:00:00"]),
        (
            "BYHOUR=9;BYMINUTE=30",
            ["BYHOUR: all occurrences are at the time of the first, not 09:30:00"],
        ),
        ("BYHOUR=9;BYMINUTE=0;BYSECOND=0", []),
    ],
)
def test_a_time_of_a_rule_is_reported_unless_it_is_that_of_the_start(
    rule: str, reasons: list[str]
) -> None:
    due = START.replace("DTSTART", "DUE")

    assert report(START, due, f"RRULE:FREQ=DAILY;{rule}") == [("RRULE", each) for each in reasons]


def test_a_time_in_the_rule_of_a_day_is_reported() -> None:
    found = report("DUE;VALUE=DATE:20270115", "RRULE:FREQ=DAILY;BYHOUR=9")

    assert [what for what, _ in found] == ["RRULE"]


@pytest.mark.parametrize(
    ("line", "is_reported"),
    [
        ("DESCRIPTION:Call \\, then write", False),
        ("SUMMARY:Call \\, then write", False),
        ("LOCATION:Call \\, then write", True),
        ("ATTACH:Call , then write", True),
        ("DESCRIPTION:else", True),
    ],
)
def test_an_alarm_may_repeat_the_title_where_titles_are(line: str, *, is_reported: bool) -> None:
    alarm = ["BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT5M", line, "END:VALARM"]

    found = report("DUE:20270115T090000Z", *alarm)

    assert [what for what, _ in found] == ([line.partition(":")[0]] if is_reported else [])


def test_a_second_alarm_at_the_same_time_is_reported() -> None:
    alarm = ["BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM"]

    found = report("DUE:20270115T090000Z", *alarm, *alarm)

    assert found == [("VALARM", "duplicates an alarm at the same time; imported once")]


@pytest.mark.parametrize(
    ("uid", "series"), [("1", "the series itself is imported"), ("2", "no series has its UID")]
)
def test_a_changed_instance_says_whether_its_series_is_taken(uid: str, series: str) -> None:
    instance = f"BEGIN:VTODO\nUID:{uid}\nRECURRENCE-ID:20270115T090000Z\nSUMMARY:x\nEND:VTODO"

    for text in (f"{instance}\nBEGIN:VTODO\nUID:1\nSUMMARY:y\nEND:VTODO",):
        calendar = read_calendar(text.encode(), BERLIN)
        assert [each.task["title"] for each in calendar.tasks] == ["y"]
        [only] = calendar.report
        assert only.why == f"is a changed instance of a series; {series}"


def test_a_start_is_the_due_where_its_duration_is_refused() -> None:
    calendar = read(START, "DURATION:P1X")

    assert [(each.what, each.why) for each in calendar.report] == [
        ("DTSTART", "tasks have no start; imported as the due date"),
        ("DURATION", "'P1X' is not a duration such as -PT15M"),
    ]


@pytest.mark.parametrize(
    ("kind", "is_parent"),
    [("X-PART-OF", True), ("NEW", True), ("CHILD", False), ("DEPENDS-ON", False)],
)
def test_an_unknown_relation_is_that_to_a_parent(kind: str, *, is_parent: bool) -> None:
    parent = "BEGIN:VTODO\nUID:2\nSUMMARY:parent\nEND:VTODO"

    calendar = read(f"RELATED-TO;RELTYPE={kind}:2", around=parent)

    [child] = [each for each in calendar.tasks if each.uid == "1"]
    assert child.parent_uid == ("2" if is_parent else None)
    assert bool(calendar.report) is not is_parent


@pytest.mark.parametrize(
    ("tzid", "due_at"),
    [
        ("Office/Cuba", "2027-07-01T03:00:00Z"),
        # Who writes such names means the zone at their end.
        ("/example.org/20270101/Europe/Berlin", "2027-07-01T07:00:00Z"),
        ("Office/Europe/Berlin", "2027-07-01T07:00:00Z"),
    ],
)
def test_a_description_counts_more_than_one_word_at_the_end_of_a_name(
    tzid: str, due_at: str
) -> None:
    zone = f"""BEGIN:VTIMEZONE
TZID:{tzid}
BEGIN:STANDARD
DTSTART:20000101T000000
TZOFFSETFROM:+0600
TZOFFSETTO:+0600
END:STANDARD
END:VTIMEZONE"""

    [only] = read(f"DUE;TZID={tzid}:20270701T090000", around=zone).tasks

    assert only.task["due_at"] == due_at


@pytest.mark.parametrize(
    ("start", "length", "is_reported"),
    [
        (START, "PT48H", True),
        (START, "P1DT12H", True),
        (START, "P2D", False),
        (START, "PT8H", False),
        ("DTSTART:20270115T090000Z", "PT48H", False),
        ("DTSTART;TZID=Asia/Tokyo:20270115T090000", "PT48H", False),
    ],
)
def test_exact_hours_that_a_series_cannot_keep_are_reported(
    start: str, length: str, *, is_reported: bool
) -> None:
    found = report(start, f"DURATION:{length}", "RRULE:FREQ=DAILY")

    assert [what for what, _ in found] == (["DURATION"] if is_reported else [])
    assert report(start, f"DURATION:{length}") == []
