"""Properties of quick add for any text: of the grammar's words and marks, or any characters."""

import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from todo.quickadd.parser import parse_due, parse_quick_add, parse_recurrence
from todo.quickadd.result import MAX_TEXT, QuickAdd
from todo.schedule.due import EARLIEST, LATEST
from todo.schedule.rule import read_rule

ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")]
LISTS = ("Work", "Home Office", "May")
GRAMMAR = """
    a an and at after afternoon am april about around beginning between biweekly by call clock
    completion couple daily day days due each eighth end eom eow eoy ev evening every every! few
    fifth first for fortnight friday from half hour hours in january jan last later lunch mar march
    may me mid min minute minutes mon monday mondays month monthly months more morning next night
    ninth noon now o'clock of on one or other past pm project: quarter recur:weekly remind reminder
    sat saturday second starting sun sunday the third this three through times to today tomorrow
    tonight tuesday twelve twenty two until utc wed week weekday weekend weekly weeks with within
    work workday year yearly once twice times per thing cob eod close business lunchtime nite arvo
    mornings evenings that please sow due:5d due:som 0545 31-12-2026 roast due: due:friday until:
    p1 p5 !high !2 !!! !30m *1h #work #home-office #new @phone @5pm +shop +15min ~may ^x 0 1 2 3 12
    15 15th 1st 22nd 31 24 60 99 1030 2027 9998
    99999999 2027-03-15 2027-02-30 2027-03-15T17:00 2016-05-07T23:45:00.487+01:00 3/4 13/14 15/3
    1/2 15.3. 1.2 5pm 5:30pm 17:30 25:00 15h30 8h 1d, 2hr, 5min 3:15 1st, FREQ=DAILY
"""
WORDS = GRAMMAR.split()
MARKS = [
    *"\"'\\()[]{}<>,;:.!?/-+*#@~^_%&=|$",
    *"\u201c\u201d\u201e\u2019\u2013\u2014\u2026\u00ab\u00bb",
]
LETTERS = [
    *"xİßéŒж漢字",
    "e\u0301",
    "\u0301",
    "٣",
    "½",
    "🎉",
    "\u200d",
    "\u00a0",
    "\t",
    "\n",
    "\x00",
]


def make_texts(seed: int, count: int) -> Iterator[str]:
    """Texts of words with and without blanks between them, up to the greatest length."""
    choose = random.Random(seed)  # noqa: S311 - not for secrets
    for _ in range(count):
        pieces = []
        for _ in range(choose.choice((1, 2, 4, 8, 16, 40))):
            pieces.append(choose.choice(choose.choice((WORDS, WORDS, WORDS, MARKS, LETTERS))))
            pieces.append(" " * choose.choice((0, 1, 1, 1, 1, 2)))
        yield "".join(pieces)[:MAX_TEXT]


def make_moments(seed: int, count: int) -> Iterator[tuple[datetime, ZoneInfo]]:
    """Moments of a hundred years, some of them at the change of the clocks or of the year."""
    choose = random.Random(seed)  # noqa: S311 - not for secrets
    edges = [datetime(2027, 3, 28, 0, 59, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, tzinfo=UTC)]
    for _ in range(count):
        moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=choose.randrange(52_596_000))
        yield choose.choice((moment, moment, *edges)), choose.choice(ZONES)


def cut(text: str, found: QuickAdd) -> str:
    """Leave out what was recognized, apart from what is literal."""
    rest, at = "", 0
    for span in found.spans:
        if span.kind != "literal":
            rest += text[at : span.start]
            at = span.end
    return rest + text[at:]


def letters(text: str) -> str:
    """Leave out the blanks, and the marks that are between two parts of a text."""
    return "".join(char for char in text if char.isalnum())


def check(text: str, now: datetime, zone: ZoneInfo) -> None:
    found = parse_quick_add(text, now, zone, LISTS)
    assert found == parse_quick_add(text, now, zone, LISTS)

    ends = [0, *(span.end for span in found.spans)]
    for end, span in zip(ends, found.spans, strict=False):
        assert end <= span.start < span.end <= len(text)
    for question in found.questions:
        assert 0 <= question.start < question.end <= len(text)
        assert "; " in question.message
        assert question.message.isprintable()
    # The title has what is left, in the same order.
    assert letters(cut(text, found)) == letters(found.title)
    assert "  " not in found.title
    assert found.title == found.title.strip()

    assert found.due_date is None or found.due_at is None
    due = found.due_at or found.due_date
    if isinstance(due, datetime):
        assert due.tzinfo is zone
        assert EARLIEST <= due.astimezone(UTC).date() <= LATEST
    elif due is not None:
        assert EARLIEST <= due <= LATEST
    if found.recurrence is not None:
        assert str(read_rule(found.recurrence)) == found.recurrence
        assert due is not None
    assert not found.reminders or due is not None
    assert all(-24 * 60 <= minutes <= 366 * 24 * 60 for minutes in found.reminders)
    assert found.list_name is None or found.list_name in LISTS
    assert all(tag == tag.strip() and tag for tag in found.tags)


@pytest.mark.parametrize("seed", range(4))
def test_any_text_has_a_result_that_holds_together(seed: int) -> None:
    moments = make_moments(seed, 400)
    for text, (now, zone) in zip(make_texts(seed, 400), moments, strict=True):
        try:
            check(text, now, zone)
        except Exception as error:
            error.add_note(f"{text!r} at {now} in {zone}")
            raise


@pytest.mark.parametrize("parse", [parse_due, parse_recurrence])
def test_any_other_text_is_refused_in_one_line(parse: Callable[..., object]) -> None:
    refusals = []
    for text, (now, zone) in zip(make_texts(7, 500), make_moments(7, 500), strict=True):
        try:
            parse(text, now, zone)
        except ValueError as error:
            refusals.append(str(error))
    assert 300 < len(refusals) < 500
    assert all(refusal.isprintable() for refusal in refusals)


def test_every_character_is_kept_or_recognized() -> None:
    now = datetime(2026, 11, 29, 9, tzinfo=UTC)
    for first in range(0, 0x11000, 500):
        text = "".join(chr(code) for code in range(first, first + 500))
        check(text, now, ZONES[0])


@pytest.mark.parametrize(
    "piece",
    ["8h", "1/2", *WORDS[::5], *MARKS, "' ", '"a ', "1st, 2nd, ", "a\u0301", "at 9, ", "friday x "],
)
def test_twice_the_text_takes_about_twice_the_steps(piece: str) -> None:
    now = datetime(2026, 11, 29, 9, tzinfo=UTC)

    def count_calls(length: int) -> int:
        text = (f"{piece} " * MAX_TEXT)[:length]
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            parse_quick_add(text, now, ZONES[0], LISTS)
        finally:
            sys.setprofile(None)
        return calls

    # Calls, not time: the machine is busy. Twice would be linear, four times is quadratic.
    calls = count_calls(MAX_TEXT)
    assert calls < 3 * count_calls(MAX_TEXT // 2)
    assert calls < 200 * MAX_TEXT
