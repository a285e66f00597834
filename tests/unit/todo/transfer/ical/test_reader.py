from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.core.domain import NewTask
from todo.tasks.schemas import TaskCreate
from todo.transfer.ical.parser import Skipped
from todo.transfer.ical.reader import Calendar, read_calendar

BERLIN = ZoneInfo("Europe/Berlin")
SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "data").glob("*.ics"))]


def read(*lines: str) -> Calendar:
    """The calendar of one task; the first of the lines is the fifth of the file."""
    head = ["BEGIN:VCALENDAR", "BEGIN:VTODO", "UID:1", "SUMMARY:Title"]
    return read_calendar(
        "\r\n".join([*head, *lines, "END:VTODO", "END:VCALENDAR"]).encode(), BERLIN
    )


def task(*lines: str) -> NewTask:
    """Return the imported task, if nothing was skipped."""
    calendar = read(*lines)
    assert calendar.report == []
    [only] = calendar.tasks
    return only.task


@pytest.mark.parametrize(
    ("number", "priority"),
    [("0", None), ("1", "high"), ("4", "high"), ("5", "medium"), ("6", "low"), ("9", "low")],
)
def test_nine_priorities_are_three(number: str, priority: str | None) -> None:
    assert task(f"PRIORITY:{number}").get("priority") == priority


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ("DUE;VALUE=DATE:20260329", {"due_date": "2026-03-29"}),
        ("DUE:20260329", {"due_date": "2026-03-29"}),
        ("DUE:20260329T090000Z", {"due_at": "2026-03-29T09:00:00Z"}),
        (
            "DUE:20260329T090000",
            {"due_at": "2026-03-29T07:00:00Z", "due_zone": "Europe/Berlin"},
        ),
        (
            "DUE;TZID=Asia/Kathmandu:20260329T090000",
            {"due_at": "2026-03-29T03:15:00Z", "due_zone": "Asia/Kathmandu"},
        ),
        (
            "DUE;TZID=Eastern Standard Time:20260329T090000",
            {"due_at": "2026-03-29T13:00:00Z", "due_zone": "America/New_York"},
        ),
        (
            "DUE;TZID=tzone://Microsoft/Utc:20260329T090000",
            {"due_at": "2026-03-29T09:00:00Z", "due_zone": "UTC"},
        ),
        # What is in UTC is in UTC, whatever zone is named beside it.
        (
            "DUE;TZID=Europe/Berlin:20260329T090000Z",
            {"due_at": "2026-03-29T09:00:00Z", "due_zone": "Europe/Berlin"},
        ),
    ],
)
def test_a_due_stays_a_day_or_an_instant(due: str, expected: dict[str, str]) -> None:
    assert task(due) == {"title": "Title", **expected}


@pytest.mark.parametrize(
    "value",
    ["20260230", "20260101T250000", "20260101T09", "1_000101T000000", "today", "", "18991231"],
)
def test_a_due_that_cannot_be_is_reported_and_the_task_taken(value: str) -> None:
    calendar = read(f"DUE:{value}")

    assert [each.task for each in calendar.tasks] == [{"title": "Title"}]
    assert [(each.line, each.what) for each in calendar.report] == [(5, "DUE")]


@pytest.mark.parametrize(
    ("trigger", "minutes"),
    [
        ("TRIGGER:-PT15M", 15 + 60),
        ("TRIGGER;RELATED=START:-PT15M", 15 + 60),
        ("TRIGGER;RELATED=END:-P1DT1H", 25 * 60),
        ("TRIGGER;RELATED=END:PT0S", 0),
        ("TRIGGER;VALUE=DATE-TIME:20260329T060000Z", 120),
    ],
)
def test_an_alarm_is_minutes_before_the_due(trigger: str, minutes: int) -> None:
    calendar = read(
        "DTSTART:20260329T070000Z",
        "DUE:20260329T080000Z",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "DESCRIPTION:Title",
        trigger,
        "END:VALARM",
    )

    assert calendar.tasks[0].task["reminders"] == [minutes]
    assert [each.what for each in calendar.report] == ["DTSTART"]


def test_an_alarm_at_an_instant_counts_from_the_midnight_of_a_day() -> None:
    lines = ["BEGIN:VALARM", "ACTION:AUDIO", "TRIGGER:20260328T190000Z", "END:VALARM"]

    # Twenty o'clock, before a day that the clocks of Berlin begin in winter.
    assert task("DUE:20260329", *lines)["reminders"] == [240]


def test_a_rule_is_stored_as_the_series_needs_it() -> None:
    assert task("DUE:20260131", "RRULE:FREQ=MONTHLY")["recurrence"] == "FREQ=MONTHLY;BYMONTHDAY=31"


def test_a_wall_of_utc_stays_one_in_a_series() -> None:
    assert task("DUE:20260131T090000Z", "RRULE:FREQ=DAILY")["due_zone"] == "UTC"


@pytest.mark.parametrize(
    ("lines", "completed_at"),
    [
        (["STATUS:COMPLETED", "COMPLETED:20260101T120000Z"], "2026-01-01T12:00:00Z"),
        (["COMPLETED:20260101"], "2025-12-31T23:00:00Z"),
        (["STATUS:NEEDS-ACTION", "PERCENT-COMPLETE:0"], None),
    ],
)
def test_what_is_completed_has_its_time(lines: list[str], completed_at: str | None) -> None:
    calendar = read(*lines)

    assert calendar.report == []
    assert calendar.tasks[0].completed_at == completed_at
    assert calendar.tasks[0].is_completed is (completed_at is not None)


def test_more_than_a_task_can_hold_is_cut_and_reported() -> None:
    tags = ",".join(f"tag{number}" for number in range(12))
    calendar = read(f"CATEGORIES:{tags}", f"CATEGORIES:{'x' * 60}", f"DESCRIPTION:{'y' * 10_001}")

    assert len(calendar.tasks[0].task["tags"]) == 10
    assert len(calendar.tasks[0].task["description"] or "") == 10_000
    assert [(each.line, each.what) for each in calendar.report] == [
        (5, "CATEGORIES"),
        (5, "CATEGORIES"),
        (6, "CATEGORIES"),
        (6, "CATEGORIES"),
        (7, "DESCRIPTION"),
    ]


def test_texts_are_cut_in_the_form_that_is_stored() -> None:
    # Two characters in Normalization Form C, and one before; and the other way round.
    two_forms = "u\N{COMBINING DIAERESIS},\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    calendar = read(f"CATEGORIES:{50 * chr(0x958)},{two_forms}")

    [only] = calendar.tasks
    assert [len(tag) for tag in only.task["tags"]] == [50, 1]
    TaskCreate.model_validate(only.task)
    assert [each.what for each in calendar.report] == ["CATEGORIES"]


def test_marks_beyond_a_limit_are_left_out_and_reported() -> None:
    marks = 29 * "\N{COMBINING DOT BELOW}"
    calendar = read(f"DESCRIPTION:a{marks * 2}b")

    [only] = calendar.tasks
    assert only.task["description"] == f"\N{LATIN SMALL LETTER A WITH DOT BELOW}{marks}b"
    why = "has more than 30 combining marks in a row; the others are removed"
    assert calendar.report == [Skipped(5, "DESCRIPTION", why)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_are_told_apart(encoding: str) -> None:
    text = "BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:ü\nSUMMARY:Ω\nEND:VTODO\nEND:VCALENDAR\n"

    calendar = read_calendar(text.encode(encoding), BERLIN)

    assert [(each.uid, each.task) for each in calendar.tasks] == [("ü", {"title": "Ω"})]
    assert [each.what for each in calendar.report] == ["encoding"] * (encoding[:5] != "utf-8")


@pytest.mark.parametrize("data", [b"", b"\r\n", b"no calendar at all\n"])
def test_what_is_no_calendar_is_said_to_be_none(data: bytes) -> None:
    calendar = read_calendar(data, BERLIN)

    assert calendar.tasks == []
    assert [each.line for each in calendar.report] == [1]


def test_parents_come_before_their_parts() -> None:
    parts = [
        f"BEGIN:VTODO\nUID:{number}\nSUMMARY:t\nRELATED-TO:{number + 1}\nEND:VTODO"
        for number in range(2000)
    ]

    calendar = read_calendar("\n".join(parts).encode(), BERLIN)

    uids = [str(number) for number in reversed(range(2000))]
    assert [each.uid for each in calendar.tasks] == uids
    # The last one's parent is not in the file.
    assert [each.parent_uid for each in calendar.tasks] == [None, *uids[:-1]]
    assert [(each.line, each.what) for each in calendar.report] == [(9996, "RELATED-TO")]


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=13", "FREQ=YEARLY;UNTIL=x", "x"]
)
def test_a_description_of_a_zone_that_makes_no_sense_is_not_followed(rule: str) -> None:
    zone = f"""BEGIN:VTIMEZONE
TZID:Odd
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0300
TZOFFSETTO:+0300
RRULE:{rule}
END:STANDARD
END:VTIMEZONE
BEGIN:VTODO
UID:1
SUMMARY:t
DUE;TZID=Odd:20260101T120000
END:VTODO"""

    calendar = read_calendar(zone.encode(), BERLIN)

    assert [each.task["due_zone"] for each in calendar.tasks] == ["Europe/Berlin"]
    assert [(each.line, each.what) for each in calendar.report] == [(13, "DUE")]


@given(
    st.sampled_from(SAMPLES),
    st.lists(
        st.tuples(
            st.integers(0, 3000),
            st.integers(0, 40),
            st.binary(max_size=4) | st.sampled_from([b"\n", b":", b";", b"=", b'"', b"\\", b"\0"]),
        ),
        max_size=8,
    ),
)
def test_damage_costs_what_it_hits_and_nothing_fails(
    data: bytes, damage: list[tuple[int, int, bytes]]
) -> None:
    for begin, length, instead in damage:
        data = data[:begin] + instead + data[begin + length :]

    calendar = read_calendar(data, BERLIN)

    for each in calendar.tasks:
        TaskCreate.model_validate(each.task)
    # Everything is on a line of the file, and in order.
    assert calendar.report == sorted(calendar.report)
    assert all(isinstance(each, Skipped) and each.line > 0 for each in calendar.report)


@pytest.mark.parametrize("fold", ["\r\n ", "\r\n\t", "\n "])
def test_a_fold_may_stand_within_a_name(fold: str) -> None:
    calendar = read(f"DESCR{fold}IPTION:one", f"PRIO{fold}RITY{fold}:1")

    assert calendar.report == []
    assert calendar.tasks[0].task == {"title": "Title", "description": "one", "priority": "high"}
