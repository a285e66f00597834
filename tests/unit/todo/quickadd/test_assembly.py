"""Assembly of the parts of a text, and what remains in the title."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from todo.quickadd.parser import parse_quick_add
from todo.quickadd.result import QuickAdd, Span

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)  # a Sunday, 10:00 in Berlin
LISTS = ("Work", "Home Office")


def parse(text: str) -> QuickAdd:
    return parse_quick_add(text, NOW, BERLIN, LISTS)


def at(day: int, hour: int, minute: int = 0, month: int = 12) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "title", "due"),
    [
        # A time of day in another place goes with the day.
        ("tomorrow lunch with Bob at 1pm", "lunch with Bob", at(30, 13, month=11)),
        ("9am call Bob on friday", "call Bob", at(4, 9)),
        ("tomorrow at 9 call Bob", "call Bob", at(30, 9, month=11)),
        ("visit us at 9 places tomorrow", "visit us at 9 places", date(2026, 11, 30)),
        # The first day counts, or the one behind `by` and `due`.
        ("friday: prepare meeting about monday", "prepare meeting about monday", date(2026, 12, 4)),
        ("prepare friday meeting about monday", "prepare friday meeting about monday", None),
        ("read monday report by friday", "read monday report", date(2026, 12, 4)),
        ("friday: taxes (due 15 december)", "friday: taxes", date(2026, 12, 15)),
        # A range has no place in a due.
        ("vacation monday to friday", "vacation monday to friday", None),
        ("meeting tomorrow 3pm to 5pm", "meeting 3pm to 5pm", date(2026, 11, 30)),
        ("meeting 10:00-11:30 tomorrow", "meeting 10:00-11:30", date(2026, 11, 30)),
        # The end of nothing is a part of the title, a start is the due.
        ("extend offer until friday", "extend offer until friday", None),
        ("rent car for 3 weeks", "rent car for 3 weeks", None),
        ("new job starting monday", "new job", date(2026, 11, 30)),
        # Without a day it is today, or tomorrow when it has passed.
        ("call at 11", "call", at(29, 11, month=11)),
        ("call at 10:00", "call", at(30, 10, month=11)),
        ("call 8:00 PST", "call", at(29, 17, month=11)),
        ("this morning: call", "call", date(2026, 11, 29)),
        ("this evening at 12 call", "call", at(30, 0, month=11)),
    ],
)
def test_days_and_times_go_together(text: str, title: str, due: date | None) -> None:
    found = parse(text)
    assert (found.title, found.due_at or found.due_date) == (title, due)
    assert found.questions == ()


@pytest.mark.parametrize(
    ("text", "title", "recurrence", "due"),
    [
        ("monday report every friday", "monday report", "FREQ=WEEKLY;BYDAY=FR", (12, 4)),
        ("weekday report every weekend", "weekday report", "FREQ=WEEKLY;BYDAY=SA,SU", (11, 29)),
        (
            "pay every month on 15 december",
            "pay",
            "FREQ=MONTHLY;BYMONTH=12;BYMONTHDAY=15",
            (12, 15),
        ),
        ("pay every month 15 december", "pay", "FREQ=MONTHLY", (12, 15)),
        ("gym every friday starting 7 december", "gym", "FREQ=WEEKLY;BYDAY=FR", (12, 11)),
        ("gym every 2 weeks starting friday", "gym", "FREQ=WEEKLY;INTERVAL=2", (12, 4)),
        ("every 1st and 3rd monday sync", "sync", "FREQ=MONTHLY;BYDAY=1MO,3MO", (12, 7)),
        ("gym every mon-fri", "gym", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", (11, 30)),
        ("gym on tuesdays", "gym", "FREQ=WEEKLY;BYDAY=TU", (12, 1)),
        (
            "swim every day 5 times until friday",
            "swim until friday",
            "FREQ=DAILY;COUNT=5",
            (11, 29),
        ),
        ("take pill every 8 hours", "take pill every 8 hours", None, None),
        ("pay every 30 february", "pay every 30 february", None, None),
        ("prepare weekly report", "prepare weekly report", None, None),
        ("buy the daily", "buy the daily", None, None),
        ("every first and foremost", "every first and foremost", None, None),
    ],
)
def test_a_recurrence_has_its_own_days(
    text: str, title: str, recurrence: str | None, due: tuple[int, int] | None
) -> None:
    found = parse(text)
    assert found.title == title
    assert recurrence is None or found.recurrence == recurrence
    assert found.due_date == (due and date(2026, *due))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("remind me to call Bob tomorrow at 5pm", {"title": "call Bob", "reminders": (0,)}),
        ("remind me tomorrow at 9 to call Bob", {"title": "call Bob", "reminders": (0,)}),
        ("remind me tomorrow to call Bob", {"title": "call Bob", "reminders": (-540,)}),
        ("remind me every friday to call", {"title": "call", "recurrence": "FREQ=WEEKLY;BYDAY=FR"}),
        ("remind me to call Bob", {"title": "remind me to call Bob", "reminders": ()}),
        ("call friday, remind me the day before at 18:00", {"title": "call", "reminders": (360,)}),
        ("call friday !400d", {"title": "call !400d", "reminders": ()}),
    ],
)
def test_a_reminder_is_before_the_due(text: str, fields: dict[str, Any]) -> None:
    found = parse(text)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("p1 p2 call", {"title": "p2 call", "priority": "high"}),
        ("call #work #home-office", {"title": "call #home-office", "list_name": "Work"}),
        ("call @a @b @a", {"title": "call", "tags": ("a", "b")}),
        ('call #"new tag" p1.', {"title": "call.", "tags": ("new tag",), "priority": "high"}),
        ("mail a@b.com C# C++ #1 +1 ~5", {"title": "mail a@b.com C# C++ #1 +1 ~5", "tags": ()}),
    ],
)
def test_marks_are_whole_words(text: str, fields: dict[str, Any]) -> None:
    found = parse(text)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Call Anna, tomorrow, about the lease", "Call Anna, about the lease"),
        ("Call Anna (tomorrow, p1)", "Call Anna"),
        ("Call Anna (tomorrow p1) at home", "Call Anna at home"),
        ("fix main() tomorrow", "fix main()"),
        ("Pay rent tomorrow.", "Pay rent."),
        ("Tomorrow - call Anna", "call Anna"),
        ("Call Anna - tomorrow", "Call Anna"),
        ("tomorrow,call Anna", "call Anna"),
        ("  a   b  ", "a b"),
        ("today's news", "today's news"),
        ("today/later", "today/later"),
        ("https://example.com/2027-03-15#tag", "https://example.com/2027-03-15#tag"),
        ("say 'call tomorrow' twice", "say 'call tomorrow' twice"),
        ("\\tomorrow", "tomorrow"),
        ("tomorrow", ""),
    ],
)
def test_the_title_is_what_is_left(text: str, title: str) -> None:
    assert parse(text).title == title


def test_spans_are_the_recognized_parts_with_their_prepositions() -> None:
    text = 'écrire "p1" #work 🎉 on friday at 9, \\p2 every week !30m @x p3'
    parts = [(text[span.start : span.end], span.kind) for span in parse(text).spans]
    assert parts == [
        ('"p1"', "literal"),
        ("#work", "list"),
        ("on friday at 9", "due"),
        ("\\p2", "literal"),
        ("every week", "recurrence"),
        ("!30m", "reminder"),
        ("@x", "tag"),
        ("p3", "priority"),
    ]
    assert parse("call tomorrow").spans == (Span(5, 13, "due"),)


@pytest.mark.parametrize(
    ("text", "place", "code", "choices"),
    [
        ("call on 3/4 at 9", "3/4", "ambiguous-date", ("3 April 2027", "4 March 2027")),
        ("call thu 3/4", None, None, ()),
        ("call sat 3/4 at 9", None, None, ()),
        ("call thu 1/7", "thu 1/7", "ambiguous-date", ("1 July 2027", "7 January 2027")),
        (
            "call tomorrow\n\xa0friday",
            "tomorrow\n\xa0friday",
            "several-dues",
            ("tomorrow", "friday"),
        ),
        ("call sun 3/4 at 9", "sun 3/4", "weekday-mismatch", ("3 April 2027", "4 April 2027")),
        ("swim every day until 3/4", "3/4", "ambiguous-date", ("3 April 2027", "4 March 2027")),
        (
            "call tue 24 dec at 9",
            "tue 24 dec",
            "weekday-mismatch",
            ("24 December 2026", "22 December 2026"),
        ),
        ("call today or tomorrow", "today or tomorrow", "several-dues", ("today", "tomorrow")),
        (
            "move friday call to monday",
            "friday call to monday",
            "several-dues",
            ('"friday" call to monday', '"friday" call to "monday"'),
        ),
        (
            "call tomorrow 5pm or 6pm",
            "tomorrow 5pm or 6pm",
            "several-dues",
            ("tomorrow 5pm", "tomorrow 6pm"),
        ),
        ("call sat, sun or mon", "sat, sun or mon", "several-dues", ("sat", "sun", "mon")),
        ("call monday tuesday", "monday tuesday", "several-dues", ("monday", "tuesday")),
        ("call today at 8am", "today at 8am", "past-due", ("tomorrow at 08:00",)),
        (
            "call 5 june 2026 3pm",
            "5 june 2026 3pm",
            "past-due",
            ("5 June 2027 at 15:00",),
        ),
        ("call 15 march 2020", "15 march 2020", "past-due", ("15 March 2027",)),
        ("call remind me 5 min before", "remind me 5 min before", "no-due", ()),
        (
            "swim every day until 28 november 2026",
            "until 28 november 2026",
            "ends-before-start",
            (),
        ),
    ],
)
def test_a_question_names_its_place_and_texts_that_answer_it(
    text: str, place: str | None, code: str | None, choices: tuple[str, ...]
) -> None:
    questions = parse(text).questions
    if place is None:
        assert questions == ()
        return
    (question,) = questions
    assert text[question.start : question.end] == place
    assert (question.code, question.choices) == (code, choices)
    for choice in choices:
        assert parse(text.replace(place, choice)).questions == ()
