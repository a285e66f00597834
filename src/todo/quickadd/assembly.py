"""Assembly of a task from the recognized parts of its text.

The due date has the first day in the text, or the first after `due` or `by`, and a time from
anywhere in the text. Bounds belong to a recurrence; without one, the day after `starting` is the
due date. Unused parts stay in the title.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from todo.core.domain import RecurrenceFrom
from todo.quickadd.days.model import NamedDay
from todo.quickadd.days.present import Present
from todo.quickadd.doubts.alternatives import ask_alternatives, ask_clauses, ask_last, ask_range
from todo.quickadd.doubts.questions import (
    ask_due,
    ask_end,
    ask_part,
    ask_past,
    ask_unclear,
    settle_days,
)
from todo.quickadd.doubts.unread import ask_unread
from todo.quickadd.due import Due
from todo.quickadd.nouns import is_before_noun, is_purpose, keep_nouns, keep_topics
from todo.quickadd.ranges import Range
from todo.quickadd.reminders import MAX_MINUTES, MIN_MINUTES, Reminder
from todo.quickadd.result import Kind, Question, Span
from todo.quickadd.rules.bounds import End, FromCompletion, Start, UnclearEnd, Until
from todo.quickadd.rules.first_due import end_after, end_on, find_first_due, has_day
from todo.quickadd.rules.patterns import Repeat
from todo.quickadd.scan import Found
from todo.quickadd.times.clock import Clock, DayPart, Meridiem
from todo.quickadd.times.instants import instant_of
from todo.quickadd.tokens.line import Line
from todo.schedule.rule import Rule

T = TypeVar("T")

_IN_THE_EVENING = frozenset({"cocktails", "dinner", "drinks", "supper"})
_DINNER_HOURS = range(5, 10)


@dataclass(frozen=True, slots=True)
class Assembled:
    """Fields of a task that depend on each other.

    The due date is a day or an instant in the user's zone; reminders are in minutes before it.
    """

    due: date | datetime | None = None
    rule: Rule | None = None
    basis: RecurrenceFrom = "schedule"
    reminders: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    questions: tuple[Question, ...] = ()


class _Placed(NamedTuple, Generic[T]):
    """Recognized part of the text, and its value."""

    place: Found
    value: T


class _Time(NamedTuple):
    """Time of day or part of the day, and the recognized parts that name it."""

    clock: Clock | None
    part: DayPart | None
    places: tuple[Found, ...] = ()

    def settle(self) -> Clock | None:
        if self.clock is not None:
            return self.clock.settle(self.part)
        return None if self.part is None else Clock(self.part.value)


@dataclass(frozen=True, slots=True)
class _Parts:
    line: Line
    present: Present
    repeats: tuple[_Placed[Repeat], ...]
    dues: tuple[_Placed[Due], ...]
    starts: tuple[_Placed[Start], ...]
    ends: tuple[_Placed[End], ...]
    completions: tuple[_Placed[FromCompletion], ...]
    ranges: tuple[_Placed[Range], ...]

    def settle(self, days: Sequence[NamedDay]) -> date | Question:
        """Return the day that the named days mean together, or a question."""
        return settle_days(self.line, days, self.present)


def assemble(line: Line, found: Sequence[Found], present: Present) -> Assembled:
    """Combine the recognized parts of a text, in order, into the fields of a task."""
    found = keep_topics(line, found)
    made = _schedule(_sort(line, found, present), found)
    made = _add_reminders(made, _choose(found, Reminder), present)
    spans = tuple(sorted(made.spans, key=lambda span: span.start))
    has_time = isinstance(made.due, datetime)
    unread = None if made.questions else ask_unread(line, spans, has_time=has_time)
    questions = made.questions if unread is None else (*made.questions, unread)
    return replace(made, spans=spans, questions=questions)


def _sort(line: Line, found: Sequence[Found], present: Present) -> _Parts:
    ranges = [each for each in _choose(found, Range) if each.value.days]
    return _Parts(
        line,
        present,
        repeats=_choose(found, Repeat),
        dues=_choose(found, Due),
        starts=_choose(found, Start),
        ends=tuple(_Placed(each, each.value) for each in found if isinstance(each.value, End)),
        completions=_choose(found, FromCompletion),
        ranges=tuple(ranges),
    )


def _schedule(parts: _Parts, found: Sequence[Found]) -> Assembled:
    question = ask_alternatives(parts.line, parts.dues, parts.present)
    if question is not None:
        return Assembled(questions=(question,))
    parts = replace(parts, dues=tuple(keep_nouns(parts.line, parts.dues, found)))
    series = _schedule_series(parts, parts.repeats[0]) if parts.repeats else None
    if series is not None:
        return series
    starts = [_as_due(start) for start in parts.starts if start.value.is_due]
    dues = sorted([*parts.dues, *starts], key=lambda due: due.place.start)
    return _schedule_once(replace(parts, dues=tuple(dues)), None)


def _schedule_series(parts: _Parts, placed: _Placed[Repeat]) -> Assembled | None:
    """Return a recurrence and its first due date; None if it never occurs."""
    if parts.ranges:
        # A range in a recurrence is unclear: "every day from monday to friday".
        start, end = parts.ranges[0].place.start, parts.ranges[0].place.end
        return Assembled(questions=(ask_part(start, end, parts.line.text[start:end], ()),))
    place, repeat = placed
    parts = replace(parts, dues=tuple(due for due in parts.dues if _fits(due.value, repeat.rule)))
    starts, ends, completions = parts.starts[:1], parts.ends[:1], parts.completions[:1]
    if any(due.is_dated for _, due in parts.dues):
        starts = ()
        made: Assembled | None = _schedule_once(parts, repeat.part)
    else:
        made = _find_first_due(parts, repeat)
    if made is None:
        return None
    places = [each.place for bounds in (starts, ends, completions) for each in bounds]
    made = replace(made, spans=(*made.spans, *_spans("recurrence", place, *places)))
    if made.due is None:
        # A question must be answered first.
        return made
    first = made.due.date() if isinstance(made.due, datetime) else made.due
    rule, questions = _end(parts, repeat.rule, first)
    basis: RecurrenceFrom = "completion" if completions else repeat.basis
    return replace(made, rule=rule, basis=basis, questions=(*made.questions, *questions))


def _find_first_due(parts: _Parts, repeat: Repeat) -> Assembled | None:
    """Return the first due date of a recurrence, or a question; None if it never occurs."""
    day: date | None = None
    if parts.starts:
        start = parts.settle(parts.starts[0].value.days)
        if isinstance(start, Question):
            return Assembled(questions=(start,))
        day = start
    time = _add_evening(parts.line, _find_time(parts, repeat.part))
    due = find_first_due(repeat.rule, time.settle(), day, parts.present)
    if due is None:
        return None
    question = _ask_if_beside(parts, repeat.rule, time, due)
    questions = () if question is None else (question,)
    return Assembled(due, spans=_spans("due", *time.places), questions=questions)


def _ask_if_beside(parts: _Parts, rule: Rule, time: _Time, due: date | datetime) -> Question | None:
    """Return the question for a time that is not on a day of the recurrence, or None."""
    clock = time.settle()
    if clock is None or clock.is_on_its_day or not isinstance(due, datetime):
        return None
    if has_day(rule, due.date()):
        return None
    place = next(each for each in time.places if _has_clock(each))
    text = parts.line.text[place.start : place.end]
    return ask_unclear(place.start, place.end, text, [f"at {due:%H:%M}"])


def _end(parts: _Parts, rule: Rule, first: date) -> tuple[Rule, tuple[Question, ...]]:
    """Return a rule with the end in the text, if any, and questions about that."""
    if not parts.ends:
        return rule, ()
    place, end = parts.ends[0]
    if isinstance(end, UnclearEnd):
        return rule, (end.question,)
    if not isinstance(end, Until):
        return end_after(rule, end, first), ()
    until = parts.settle(end.days)
    if isinstance(until, Question):
        return rule, (until,)
    questions = (ask_end(place.start, place.end, first, until),) if until < first else ()
    return end_on(rule, until, end.clock), questions


def _schedule_once(parts: _Parts, part: DayPart | None) -> Assembled:
    """Return the due date in the text, or questions; `part` is the recurrence's part of the day."""
    dated = [each for each in parts.dues if each.value.is_dated]
    if not dated:
        return _schedule_time(parts)
    question = ask_clauses(parts.line, dated)
    if question is not None:
        return Assembled(questions=(question,))
    chosen = next((each for each in dated if each.value.is_deadline), None)
    if chosen is None:
        chosen, question = _choose_first(parts.line, dated)
    asked = () if question is None else (question,)
    made = _schedule_chosen(parts, chosen, part)
    return replace(made, questions=(*asked, *made.questions))


def _schedule_chosen(parts: _Parts, chosen: _Placed[Due], part: DayPart | None) -> Assembled:
    place, due = chosen
    spans = _spans("due", place)
    if due.question is not None:
        return Assembled(spans=spans, questions=(due.question,))
    found: date | datetime | Question
    if due.instant is not None:
        found = due.instant
    else:
        has_time = due.clock is not None or due.part is not None
        time = _Time(due.clock, due.part or part) if has_time else _find_time(parts, part)
        time = _add_evening(parts.line, time)
        spans += _spans("due", *time.places)
        found = _at(parts, due.days, time)
    if isinstance(found, Question):
        return Assembled(spans=spans, questions=(found,))
    now, today = parts.present.now, parts.present.today
    is_over = found <= now if isinstance(found, datetime) else found < today
    questions = (ask_past(place.start, place.end, found, parts.present),) if is_over else ()
    return Assembled(found, spans=spans, questions=questions)


def _choose_first(
    line: Line, dated: Sequence[_Placed[Due]]
) -> tuple[_Placed[Due], Question | None]:
    """Return the first due date, unless its day belongs to a noun and another follows `on`."""
    dated = [due for due in dated if not is_purpose(line, due.value, due.place)] or dated
    first = dated[0]
    if not is_before_noun(line, first.value, first.place):
        return first, None
    text = line.text.lower()
    on = (each for each in dated[1:] if text.startswith("on ", each.place.start))
    chosen = next(on, first)
    return chosen, ask_last(line, dated) if chosen is first else None


def _at(parts: _Parts, days: Sequence[NamedDay], time: _Time) -> date | datetime | Question:
    """Return the due date on the given days at a time, or a question."""
    day, clock = parts.settle(days), time.settle()
    if isinstance(day, Question) or clock is None:
        return day
    at = instant_of(day, clock, parts.present)
    # An evening that has passed still means today.
    return at if time.clock is not None or at > parts.present.now else day


def _schedule_time(parts: _Parts) -> Assembled:
    """Return the due date of a time without a day: today, or tomorrow if it has passed."""
    time = _add_evening(parts.line, _find_time(parts, None))
    clock = time.settle()
    if clock is None:
        return Assembled()
    if parts.ranges:
        return Assembled(questions=(ask_range(parts.line, parts.ranges[0]),))
    question = _ask_until(parts, time)
    if question is not None:
        return Assembled(questions=(question,))
    present = parts.present
    due = instant_of(present.today, clock, present)
    if due <= present.now:
        due = instant_of(present.today + timedelta(days=1), clock, present)
    return Assembled(due, spans=_spans("due", *time.places))


def _ask_until(parts: _Parts, time: _Time) -> Question | None:
    """Return the question for `until friday 5pm` without a recurrence."""
    until = next((place for place, end in parts.ends if isinstance(end, Until)), None)
    at, text = time.places[0], parts.line.text
    if until is None or until.end > at.start or text[until.end : at.start].strip(" ,"):
        return None
    return ask_part(until.start, at.end, text[until.start : at.end], ())


def _find_time(parts: _Parts, part: DayPart | None) -> _Time:
    """Return the first time of day and part of the day that are named without a day."""
    time = _Time(None, part)
    for place, due in parts.dues:
        is_free = not due.is_dated
        adds_clock = due.clock is not None and time.clock is None
        if is_free and (adds_clock or (due.part is not None and time.part is None)):
            places = (*time.places, place)
            time = _Time(time.clock or due.clock, time.part or due.part, places)
    return time


def _add_evening(line: Line, time: _Time) -> _Time:
    """Return a time, in the evening if the text starts with a word such as `dinner`."""
    clock = time.clock
    if clock is None or time.part is not None or clock.meridiem is Meridiem.KNOWN:
        return time
    if line.words[0] not in _IN_THE_EVENING or clock.hour not in _DINNER_HOURS:
        return time
    return time._replace(part=DayPart.EVENING)


def _add_reminders(
    made: Assembled, reminders: Sequence[_Placed[Reminder]], present: Present
) -> Assembled:
    for place, reminder in reminders:
        spans = (*made.spans, *_spans("reminder", place))
        if made.due is not None:
            minutes = reminder.minutes(made.due, present)
            if MIN_MINUTES <= minutes <= MAX_MINUTES:
                made = replace(made, reminders=(*made.reminders, minutes), spans=spans)
        elif not reminder.is_at_due and not made.questions:
            made = replace(made, spans=spans, questions=(ask_due(place.start, place.end),))
    return made


def _spans(kind: Kind, *places: Found) -> tuple[Span, ...]:
    return tuple(Span(place.start, place.end, kind) for place in places)


def _has_clock(found: Found) -> bool:
    return isinstance(found.value, Due) and found.value.clock is not None


def _choose(found: Sequence[Found], kind: type[T]) -> tuple[_Placed[T], ...]:
    return tuple(_Placed(each, each.value) for each in found if isinstance(each.value, kind))


def _fits(due: Due, rule: Rule) -> bool:
    """Return whether the day of a due date matches a rule; it does not in `monday every friday`."""
    if due.instant is not None:
        return has_day(rule, due.instant.date())
    return not due.days or any(has_day(rule, named.day.day) for named in due.days)


def _as_due(start: _Placed[Start]) -> _Placed[Due]:
    return _Placed(start.place, Due(days=start.value.days))
