"""The assembly of a task from what was found in its text."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

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
from todo.quickadd.times.clock import Clock, DayPart
from todo.quickadd.times.instants import instant_of
from todo.quickadd.tokens.line import Line
from todo.schedule.rule import Rule
from todo.schedule.series import Basis

T = TypeVar("T")


class _Placed(NamedTuple, Generic[T]):
    """A meaning, and the part of the text that has it."""

    place: Found
    value: T


class _Time(NamedTuple):
    """A time of day, or a part of the day, and the parts of the text that name it."""

    clock: Clock | None
    part: DayPart | None
    places: list[Found]

    def settle(self) -> Clock | None:
        if self.clock is not None:
            return self.clock.settle(self.part)
        return None if self.part is None else Clock(self.part.value)


class Assembly:
    """The fields of a task that depend on each other.

    The day is the first one, or the first behind `due` or `by`; a time of day in another place of
    the text goes with it. Bounds belong to a recurrence; without one, `starting` names the due.
    What is not used stays in the title.

    Attributes:
        due: A day, an instant in the zone of the user, or None.
        rule: The rule, or None.
        basis: What the next due is counted from.
        reminders: Minutes before the due.
        spans: The parts of the text that gave these, in order.
        questions: What must be clear first.
    """

    due: date | datetime | None = None
    rule: Rule | None = None
    basis: Basis = "schedule"

    def __init__(self, line: Line, found: Sequence[Found], present: Present) -> None:
        self.reminders: list[int] = []
        self.spans: list[Span] = []
        self.questions: list[Question] = []
        self._line = line
        self._present = present
        found = keep_topics(line, found)
        self._dues = _choose(found, Due)
        self._starts = _choose(found, Start)
        self._ends = [_Placed(each, each.value) for each in found if isinstance(each.value, End)]
        self._completions = _choose(found, FromCompletion)
        self._ranges = [
            (each, each.value)
            for each in found
            if isinstance(each.value, Range) and each.value.days
        ]
        question = ask_alternatives(line, self._dues, present)
        self._dues = keep_nouns(line, self._dues, found)
        if question is not None:
            self.questions.append(question)
        elif not self._add_recurrence(_choose(found, Repeat)):
            starts = [start for start in self._starts if start.value.is_due]
            self._dues = sorted(
                [*self._dues, *map(_as_due, starts)], key=lambda due: due.place.start
            )
            self._add_due(None)
        self._add_reminders(_choose(found, Reminder))
        self.spans.sort(key=lambda span: span.start)
        has_time = isinstance(self.due, datetime)
        unread = None if self.questions else ask_unread(line, self.spans, has_time=has_time)
        if unread is not None:
            self.questions.append(unread)

    def _use(self, kind: Kind, *places: Found) -> None:
        self.spans += [Span(place.start, place.end, kind) for place in places]

    def _settle(self, days: Sequence[NamedDay]) -> date | None:
        """Return the day that these name together, or None with a question."""
        day = settle_days(self._line, days, self._present)
        if isinstance(day, Question):
            self.questions.append(day)
            return None
        return day

    def _add_recurrence(self, repeats: list[_Placed[Repeat]]) -> bool:
        """Add the first recurrence and its first due; return whether there is one that occurs."""
        if not repeats:
            return False
        if self._ranges:
            # "every day from monday to friday"
            start, end = self._ranges[0][0].start, self._ranges[0][0].end
            self.questions.append(ask_part(start, end, self._line.text[start:end], ()))
            return True
        place, repeat = repeats[0]
        self._dues = [due for due in self._dues if _fits(due.value, repeat.rule)]
        starts, ends, completions = self._starts[:1], self._ends[:1], self._completions[:1]
        if any(due.is_dated for _, due in self._dues):
            starts = []
            self._add_due(repeat.part)
        elif not self._add_first_due(repeat, starts):
            return False
        places = [each.place for bounds in (starts, ends, completions) for each in bounds]
        self._use("recurrence", place, *places)
        if self.due is None:
            # There is a question first.
            return True
        first = self.due.date() if isinstance(self.due, datetime) else self.due
        self.rule = self._end(repeat.rule, ends, first)
        self.basis = "completion" if completions else repeat.basis
        return True

    def _add_first_due(self, repeat: Repeat, starts: list[_Placed[Start]]) -> bool:
        """Add the first due of a recurrence; return whether it ever occurs."""
        day = None
        if starts:
            day = self._settle(starts[0].value.days)
            if day is None:
                return True
        time = self._find_time(repeat.part)
        self.due = find_first_due(repeat.rule, time.settle(), day, self._present)
        if self.due is None:
            return False
        self._use("due", *time.places)
        self._ask_if_beside(repeat.rule, time)
        return True

    def _ask_if_beside(self, rule: Rule, time: _Time) -> None:
        """Ask for another time if this one is on a day that the recurrence does not have."""
        clock, due = time.settle(), self.due
        if clock is None or clock.is_on_its_day or not isinstance(due, datetime):
            return
        if not has_day(rule, due.date()):
            place = next(each for each in time.places if _has_clock(each))
            text = self._line.text[place.start : place.end]
            choices = [f"at {due:%H:%M}"]
            self.questions.append(ask_unclear(place.start, place.end, text, choices))

    def _end(self, rule: Rule, ends: list[_Placed[End]], first: date) -> Rule:
        if not ends:
            return rule
        place, end = ends[0]
        if isinstance(end, UnclearEnd):
            self.questions.append(end.question)
            return rule
        if not isinstance(end, Until):
            return end_after(rule, end, first)
        until = self._settle(end.days)
        if until is None:
            return rule
        if until < first:
            self.questions.append(ask_end(place.start, place.end, first, until))
        return end_on(rule, until, end.clock)

    def _add_due(self, part: DayPart | None) -> None:
        """Add the due that the text names; the part of the day is that of a recurrence."""
        dated = [each for each in self._dues if each.value.is_dated]
        if not dated:
            self._add_time()
            return
        clauses = ask_clauses(self._line, dated)
        if clauses is not None:
            self.questions.append(clauses)
            return
        chosen = next((each for each in dated if each.value.is_deadline), self._first(dated))
        self._use("due", chosen.place)
        due = chosen.value
        if due.question is not None:
            self.questions.append(due.question)
            return
        self.due = due.instant
        if due.instant is None:
            time = _Time(due.clock, due.part or part, [])
            if due.clock is None and due.part is None:
                time = self._find_time(part)
            self._add_day(due.days, time)
        self._ask_if_over(chosen.place)

    def _first(self, dated: list[_Placed[Due]]) -> _Placed[Due]:
        """Return the first due, but not the day of a noun before `on` and another day."""
        dated = [due for due in dated if not is_purpose(self._line, due.value, due.place)] or dated
        first = dated[0]
        if not is_before_noun(self._line, first.value, first.place):
            return first
        text = self._line.text.lower()
        on = (each for each in dated[1:] if text.startswith("on ", each.place.start))
        chosen = next(on, first)
        if chosen is first:
            question = ask_last(self._line, dated)
            self.questions += [] if question is None else [question]
        return chosen

    def _add_day(self, days: Sequence[NamedDay], time: _Time) -> None:
        day = self._settle(days)
        self._use("due", *time.places)
        clock = time.settle()
        if day is None or clock is None:
            self.due = day
            return
        at = instant_of(day, clock, self._present)
        # An evening that is over still is today.
        self.due = at if time.clock is not None or at > self._present.now else day

    def _add_time(self) -> None:
        """Add a time without a day: today, or tomorrow when it has passed."""
        time = self._find_time(None)
        clock = time.settle()
        if clock is None:
            return
        until = [place for place, end in self._ends if isinstance(end, Until)]
        if until and not self._ranges:
            # "until friday 5pm"
            start, end = until[0].start, time.places[0].end
            text, at = self._line.text, time.places[0].start
            if until[0].end <= at and not text[until[0].end : at].strip(" ,"):
                self.questions.append(ask_part(start, end, text[start:end], ()))
                return
        if self._ranges:
            self.questions.append(ask_range(self._line, self._ranges[0]))
            return
        self.due = instant_of(self._present.today, clock, self._present)
        if self.due <= self._present.now:
            tomorrow = self._present.today + timedelta(days=1)
            self.due = instant_of(tomorrow, clock, self._present)
        self._use("due", *time.places)

    def _find_time(self, part: DayPart | None) -> _Time:
        """Return the first time of day that has no day, and the part of the day."""
        time = _Time(None, part, [])
        for place, due in self._dues:
            is_free = not due.is_dated
            adds_clock = due.clock is not None and time.clock is None
            if is_free and (adds_clock or (due.part is not None and time.part is None)):
                places = [*time.places, place]
                time = _Time(time.clock or due.clock, time.part or due.part, places)
        return time

    def _ask_if_over(self, place: Found) -> None:
        due, present = self.due, self._present
        if due is None:
            return
        is_over = due <= present.now if isinstance(due, datetime) else due < present.today
        if is_over:
            self.questions.append(ask_past(place.start, place.end, due, present))

    def _add_reminders(self, reminders: list[_Placed[Reminder]]) -> None:
        for place, reminder in reminders:
            if self.due is not None:
                minutes = reminder.minutes(self.due, self._present)
                if MIN_MINUTES <= minutes <= MAX_MINUTES:
                    self.reminders.append(minutes)
                    self._use("reminder", place)
            elif not reminder.is_at_due and not self.questions:
                self._use("reminder", place)
                self.questions.append(ask_due(place.start, place.end))


def _has_clock(found: Found) -> bool:
    return isinstance(found.value, Due) and found.value.clock is not None


def _choose(found: Sequence[Found], kind: type[T]) -> list[_Placed[T]]:
    return [_Placed(each, each.value) for each in found if isinstance(each.value, kind)]


def _fits(due: Due, rule: Rule) -> bool:
    """Return whether a rule has the day of a due, if it names its days.

    In `monday report every friday` the other day is a part of the title.
    """
    if due.instant is not None:
        return has_day(rule, due.instant.date())
    return not due.days or any(has_day(rule, named.day.day) for named in due.days)


def _as_due(start: _Placed[Start]) -> _Placed[Due]:
    return _Placed(start.place, Due(days=start.value.days))
