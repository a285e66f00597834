from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.quickadd.moves import NewDue, Shift, parse_new_due
from todo.quickadd.times.durations import Duration

BERLIN = ZoneInfo("Europe/Berlin")
# A Friday, ten in the morning in Berlin.
NOW = datetime(2027, 1, 8, 9, 0, tzinfo=UTC)
MONDAY = date(2027, 1, 11)


def read(text: str) -> NewDue | Shift:
    return parse_new_due(text, NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("monday", NewDue(day=MONDAY)),
        ("monday 9:00", NewDue(day=MONDAY, clock=time(9))),
        ("2027-01-11T09:00", NewDue(day=MONDAY, clock=time(9))),
        ("tonight", NewDue(day=NOW.date(), clock=time(20))),
        ("15:00", NewDue(next_day=NOW.date(), clock=time(15))),
        ("9:30", NewDue(next_day=NOW.date() + timedelta(days=1), clock=time(9, 30))),
        # The clocks of Berlin skip it.
        ("2027-03-28 02:30", NewDue(day=date(2027, 3, 28), clock=time(2, 30))),
        ("in 2 hours", NewDue(instant=NOW + timedelta(hours=2))),
        ("2 hours from now", NewDue(instant=NOW + timedelta(hours=2))),
        ("now + 2 hours", NewDue(instant=NOW + timedelta(hours=2))),
        ("2027-01-11T09:00Z", NewDue(instant=datetime(2027, 1, 11, 9, tzinfo=UTC))),
        ("monday 9:00 GMT", NewDue(instant=datetime(2027, 1, 11, 9, tzinfo=UTC))),
        ("15:00 GMT", NewDue(next_day=NOW.date(), clock=time(15), zone=UTC)),
        ("in 3 days", NewDue(day=MONDAY)),
        ("later today", NewDue(day=NOW.date())),
        ("1 hour later", Shift(Duration(minutes=60), is_earlier=False)),
        ("+ 1 week", Shift(Duration(days=7), is_earlier=False)),
        ("a month earlier", Shift(Duration(months=1), is_earlier=True)),
        ("-2h", Shift(Duration(minutes=120), is_earlier=True)),
    ],
)
def test_a_text_says_what_of_a_due_it_names(text: str, expected: NewDue | Shift) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "text", ["2 hours later tomorrow", "monday +1 hour", "1 day later, 2 hours earlier"]
)
def test_a_length_of_time_does_not_go_with_another_due(text: str) -> None:
    with pytest.raises(ValueError, match="must be the whole text"):
        read(text)


@pytest.mark.parametrize("text", ["", "later", "1 hour", "buy milk", "every day", "-", "+"])
def test_what_is_not_a_due_has_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="not a due date; write, for example"):
        read(text)


WORDS = st.sampled_from([
    *("1", "2", "9:00", "+", "-", "hour", "hours", "day", "week", "later", "earlier", "in", "at"),
    *("now", "monday", "today", "noon", "GMT", "2027-01-11", "T", "Z", "5pm", "tonight", "the"),
    *("evening", "+01:00", "midnight"),
])  # fmt: skip


@given(st.lists(WORDS, max_size=5).map(" ".join))
def test_every_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except ValueError:
        return
    if isinstance(found, NewDue):
        names_wall_time = found.day is not None or found.next_day is not None
        assert names_wall_time is (found.instant is None)
