"""Parsing of a text that is only a due or only a recurrence."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from todo.quickadd.parser import parse_due, parse_quick_add, parse_recurrence
from todo.quickadd.result import MAX_TEXT

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)  # a Sunday, 10:00 in Berlin


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("tomorrow", date(2026, 11, 30)),
        ("sun", date(2026, 12, 6)),
        ("next friday", date(2026, 12, 4)),
        ("2027-03-15", date(2027, 3, 15)),
        ("2019-03-15", date(2019, 3, 15)),
        ("by friday", date(2026, 12, 4)),
        ("tomorrow 17:00", datetime(2026, 11, 30, 17, 0, tzinfo=BERLIN)),
        ("2027-03-15T17:00", datetime(2027, 3, 15, 17, 0, tzinfo=BERLIN)),
        ("2027-03-15 17:00", datetime(2027, 3, 15, 17, 0, tzinfo=BERLIN)),
        ("2027-03-15T17:00:30Z", datetime(2027, 3, 15, 17, 0, 30, tzinfo=UTC)),
        ("2027-03-15T17:00:00.5-05:00", datetime(2027, 3, 15, 22, 0, tzinfo=UTC)),
        ("in 1 day 2 hours", datetime(2026, 11, 30, 12, 0, tzinfo=BERLIN)),
        ("in 3 weeks' time", date(2026, 12, 20)),
        ("within the next hour", datetime(2026, 11, 29, 11, 0, tzinfo=BERLIN)),
        ("the last day of march", date(2027, 3, 31)),
        ("tomorrow 8 in the evening", datetime(2026, 11, 30, 20, 0, tzinfo=BERLIN)),
        ("in 2 hours", datetime(2026, 11, 29, 12, 0, tzinfo=BERLIN)),
    ],
)
def test_a_whole_text_is_a_due(text: str, due: date) -> None:
    found = parse_due(text, NOW, BERLIN)
    assert found == due
    assert not isinstance(found, datetime) or found.tzinfo is BERLIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "yesterday",
        "5",
        "2027-02-30",
        "call tomorrow",
        "every day",
        "tomorrow p1",
        "!30m",
    ],
)
def test_a_text_that_is_not_a_due_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"; (write|add)\b"):
        parse_due(text, NOW, BERLIN)


def test_a_due_with_two_meanings_is_refused_with_both() -> None:
    with pytest.raises(ValueError, match="3/4 can be 3 April 2027 or 4 March 2027; write"):
        parse_due("3/4", NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "recurrence"),
    [
        ("every day", ("FREQ=DAILY", "schedule")),
        ("every! 3 days", ("FREQ=DAILY;INTERVAL=3", "completion")),
        ("3 days after completion", ("FREQ=DAILY;INTERVAL=3", "completion")),
        ("every monday until 2027-01-31", ("FREQ=WEEKLY;UNTIL=20270131;BYDAY=MO", "schedule")),
        ("FREQ=WEEKLY;BYDAY=FR", ("FREQ=WEEKLY;BYDAY=FR", "schedule")),
        ("rrule:freq=weekly;byday=fr,mo", ("FREQ=WEEKLY;BYDAY=MO,FR", "schedule")),
        ("RRULE:FREQ=DAILY after completion", ("FREQ=DAILY", "completion")),
    ],
)
def test_a_whole_text_is_a_recurrence(text: str, recurrence: tuple[str, str]) -> None:
    assert parse_recurrence(text, NOW, BERLIN) == recurrence


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not a recurrence"),
        ("tomorrow", "not a recurrence"),
        ("gym every day", "not a recurrence"),
        ("every hour", "not a recurrence"),
        ("every day at 9", "no time of day"),
        ("every morning", "no time of day"),
        ("every day starting tomorrow", "no start; write its first day in the due date"),
        ("every day until 3/4", "3 April 2027 or 4 March 2027"),
        ("FREQ=HOURLY", "HOURLY"),
    ],
)
def test_a_text_that_is_not_a_recurrence_is_refused_with_its_cause(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        parse_recurrence(text, NOW, BERLIN)


def test_a_longer_text_is_refused() -> None:
    parse_quick_add("x" * MAX_TEXT, NOW, BERLIN)
    for parse in (parse_quick_add, parse_due, parse_recurrence):
        with pytest.raises(ValueError, match="at most 1,000 characters; shorten"):
            parse("x" * (MAX_TEXT + 1), NOW, BERLIN)
