"""Parser of quick add: turns one line of English into the fields of a task.

The grammar is deterministic and handwritten. Literal parts and one-word marks are removed first.
The rest is scanned once from left to right (`scan.py`), and the recognized parts are assembled
(`assembly.py`). Only whole words match, and words with another common meaning (`sun`, `may`, `3/4`)
count only next to another part of a due date.
"""

from collections.abc import Collection
from datetime import date, datetime, tzinfo

from todo.core.domain import RecurrenceFrom
from todo.quickadd.assembly import assemble
from todo.quickadd.days.present import Present, make_present
from todo.quickadd.doubts.questions import settle_days
from todo.quickadd.literals import find_literals
from todo.quickadd.marks import collect_marks
from todo.quickadd.result import MAX_TEXT, Question, QuickAdd, Span
from todo.quickadd.rules.bounds import Bound, End, FromCompletion, Start, UnclearEnd, Until
from todo.quickadd.rules.first_due import end_after, end_on, find_first_day
from todo.quickadd.rules.patterns import Repeat
from todo.quickadd.rules.repeats import COMPLETION
from todo.quickadd.scan import scan
from todo.quickadd.title import render_title
from todo.quickadd.tokens.line import Line
from todo.schedule.rule import Rule, read_rule


def parse_quick_add(
    text: str, now: datetime, zone: tzinfo, list_names: Collection[str] = ()
) -> QuickAdd:
    """Parse a line of at most 1,000 characters into a task's fields, or raise a ValueError."""
    _check_length(text)
    literals = list(find_literals(text))
    marks = collect_marks(text, list_names, literals)
    line = Line(text, sorted([*literals, *((span.start, span.end) for span in marks.spans)]))
    present = make_present(now, zone)
    made = assemble(line, list(scan(line, present)), present)
    removed = sorted([*marks.spans, *made.spans], key=lambda span: span.start)
    escapes = [start for start, _ in literals if text[start] == "\\"]
    spans = [*removed, *(Span(start, end, "literal") for start, end in literals)]
    return QuickAdd(
        title=render_title(text, [(span.start, span.end) for span in removed], escapes),
        due_date=None if isinstance(made.due, datetime) else made.due,
        due_at=made.due if isinstance(made.due, datetime) else None,
        recurrence=None if made.rule is None else str(made.rule),
        recurrence_from=made.basis,
        priority=marks.priority,
        tags=marks.tags,
        list_name=marks.list_name,
        reminders=tuple(dict.fromkeys(made.reminders)),
        spans=tuple(sorted(spans, key=lambda span: span.start)),
        questions=tuple(made.questions),
    )


def parse_due(text: str, now: datetime, zone: tzinfo) -> date | datetime:
    """Parse a whole text as a due date, even a past one, or raise a ValueError with a remedy."""
    found = parse_quick_add(text, now, zone)
    for question in found.questions:
        if question.code != "past-due":
            raise ValueError(question.message)
    due = found.due_at or found.due_date
    if due is None or found.title or any(span.kind != "due" for span in found.spans):
        raise ValueError(
            "not a due date; write, for example, tomorrow 17:00, next friday or 2027-03-15"
        )
    return due


def parse_recurrence(text: str, now: datetime, zone: tzinfo) -> tuple[str, RecurrenceFrom]:
    """Parse a whole text as a recurrence; return its RRULE and the basis of the next due date.

    Raises:
        ValueError: The text is not a recurrence; the message includes a remedy.
    """
    _check_length(text)
    if "freq=" in text.casefold():
        return _read_rrule(text)
    line, present = Line(text), make_present(now, zone)
    found = list(scan(line, present))
    repeats = [each.value for each in found if isinstance(each.value, Repeat)]
    bounds = [each.value for each in found if isinstance(each.value, Bound)]
    if len(repeats) != 1 or render_title(text, [(each.start, each.end) for each in found], []):
        raise ValueError(
            "not a recurrence; write, for example, every 2 weeks on friday or FREQ=WEEKLY;BYDAY=FR"
        )
    if repeats[0].part is not None or len(bounds) + 1 < len(found):
        raise ValueError("a recurrence has no time of day; write the time in the due date")
    return _read_words(repeats[0], bounds, line, present)


def _read_words(
    repeat: Repeat, bounds: list[Bound], line: Line, present: Present
) -> tuple[str, RecurrenceFrom]:
    basis, rule = repeat.basis, repeat.rule
    for bound in bounds:
        match bound:
            case Start():
                raise ValueError("a recurrence has no start; write its first day in the due date")
            case FromCompletion():
                basis = "completion"
            case end if rule.until is None and rule.count is None:
                rule = _end(rule, end, line, present)
    return str(rule), basis


def _end(rule: Rule, end: End, line: Line, present: Present) -> Rule:
    match end:
        case UnclearEnd(question):
            raise ValueError(question.message)
        case Until(days, clock):
            until = settle_days(line, days, present)
            if not isinstance(until, Question):
                return end_on(rule, until, clock)
            raise ValueError(until.message)
        case _:
            return end_after(rule, end, find_first_day(rule, present.today) or present.today)


def _read_rrule(text: str) -> tuple[str, RecurrenceFrom]:
    plain = " ".join(text.split())
    for words in COMPLETION:
        if plain.casefold().endswith(f" {words}"):
            return str(read_rule(plain[: -len(words)])), "completion"
    return str(read_rule(plain)), "schedule"


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT:,} characters; shorten the text")
