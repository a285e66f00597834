"""The assembly of a task from what was found in its text."""

from dataclasses import replace
from datetime import date, datetime

from todo.quickadd.bounds import Bound
from todo.quickadd.clock import Clock, DayPart
from todo.quickadd.due import Due, instant_of
from todo.quickadd.first_due import end_rule, find_first_due, find_last_day
from todo.quickadd.line import Line
from todo.quickadd.present import Present
from todo.quickadd.questions import ask_due, ask_end, ask_past, ask_several, settle_days
from todo.quickadd.reminders import MAX_MINUTES, MIN_MINUTES, Reminder
from todo.quickadd.repeats import Repeat
from todo.quickadd.result import Kind, Question, Span
from todo.quickadd.scan import Found
from todo.schedule.rule import Rule
from todo.schedule.series import Basis


class Assembly:
    """The fields of a task that depend on each other.

    The day is the first one, or the first behind `due` or `by`; a time of day in another place of
    the text goes with it. Bounds belong to a recurrence; without one, a start is the due. What is
    not used stays in the title.

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

    def __init__(self, line: Line, found: list[Found], present: Present) -> None:
        self.reminders: list[int] = []
        self.spans: list[Span] = []
        self.questions: list[Question] = []
        self._line = line
        self._present = present
        self._add_recurrence(found)
        if self.rule is None:
            self._add_due(_find_dues(found, starts=True))
        self._add_reminders(found)
        self.spans.sort(key=lambda span: span.start)

    def _use(self, found: Found, kind: Kind) -> None:
        self.spans.append(Span(found.start, found.end, kind))

    def _add_recurrence(self, found: list[Found]) -> None:
        """Add the first recurrence, its bounds and its first due, if it ever occurs."""
        place = next((each for each in found if isinstance(each.value, Repeat)), None)
        if place is None or not isinstance(place.value, Repeat):
            return
        repeat = place.value
        bounds = choose_bounds(found)
        starts = [bound.start.day for _, bound in bounds if bound.start is not None]
        dues = _find_dues(found, starts=False)
        if any(due.days or due.instant for _, due in dues):
            self._add_due(dues, repeat.part)
        elif not self._add_first_due(repeat, dues, starts):
            return
        if self.due is None:
            # There is a question which due is meant.
            self._use(place, "recurrence")
            return
        first = self.due.date() if isinstance(self.due, datetime) else self.due
        self.rule = end_rule(repeat.rule, [bound for _, bound in bounds], first)
        is_from_completion = any(bound.from_completion for _, bound in bounds)
        self.basis = "completion" if is_from_completion else repeat.basis
        for each in (place, *(bound_place for bound_place, _ in bounds)):
            self._use(each, "recurrence")
        last = find_last_day(self.rule)
        if last is not None and last < first:
            self.questions.append(ask_end(place.start, place.end, first, last))

    def _add_first_due(
        self, repeat: Repeat, dues: list[tuple[Found, Due]], starts: list[date]
    ) -> bool:
        """Add the first due of a recurrence; return whether it ever occurs."""
        clock, part, places = _find_time(dues, repeat.part)
        settled = _settle_clock(clock, part)
        start = starts[0] if starts else None
        self.due = find_first_due(repeat.rule, settled, start, self._present)
        if self.due is None:
            return False
        for place in places:
            self._use(place, "due")
        return True

    def _add_due(self, dues: list[tuple[Found, Due]], part: DayPart | None = None) -> None:
        dated = [each for each in dues if each[1].days or each[1].instant]
        chosen = next((each for each in dated if each[1].is_deadline), None)
        chosen = chosen or (dated[0] if dated else None)
        if chosen is None:
            self._add_time(dues)
            return
        place, due = chosen
        self._use(place, "due")
        if self._ask_alternative(chosen, dated):
            return
        if due.instant is not None:
            self.due = due.instant
        else:
            clock, part, places = due.clock, due.part or part, [place]
            if clock is None and due.part is None:
                clock, part, places = _find_time(dues, part)
            self._add_day(place, due, clock, part)
            for each in places:
                if each is not place:
                    self._use(each, "due")
        self._ask_if_over(place)

    def _add_day(self, place: Found, due: Due, clock: Clock | None, part: DayPart | None) -> None:
        texts = [self._text(start, end) for _, start, end in due.days]
        day = settle_days([day for day, _, _ in due.days], texts)
        if isinstance(day, Question):
            self.questions.append(replace(day, start=place.start, end=place.end))
            return
        self.due = day
        settled = _settle_clock(clock, part)
        if settled is None:
            return
        at = instant_of(day, settled, self._present)
        if clock is not None or at > self._present.now:
            # The evening that is over still is today.
            self.due = at

    def _add_time(self, dues: list[tuple[Found, Due]]) -> None:
        """Add a time without a day: today, or tomorrow when it has passed."""
        clock, part, places = _find_time(dues, None)
        settled = _settle_clock(clock, part)
        if settled is None:
            return
        today = self._present.today
        due = instant_of(today, settled, self._present)
        if due <= self._present.now:
            tomorrow = date.fromordinal(today.toordinal() + 1)
            due = instant_of(tomorrow, settled, self._present)
        self.due = due
        for place in places:
            self._use(place, "due")

    def _ask_alternative(self, chosen: tuple[Found, Due], dated: list[tuple[Found, Due]]) -> bool:
        """Ask when the text has two days with `or` between them."""
        following = dated.index(chosen) + 1
        if following == len(dated):
            return False
        place, other = chosen[0], dated[following][0]
        text = self._line.text
        if text[place.end : other.start].strip().lower() != "or":
            return False
        texts = [text[place.start : place.end], text[other.start : other.end]]
        self.questions.append(ask_several(place.start, other.end, texts))
        return True

    def _ask_if_over(self, place: Found) -> None:
        present = self._present
        over = (
            self.due <= present.now
            if isinstance(self.due, datetime)
            else self.due is not None and self.due < present.today
        )
        if over and self.due is not None:
            self.questions.append(ask_past(place.start, place.end, self.due, present))

    def _add_reminders(self, found: list[Found]) -> None:
        for each in found:
            if not isinstance(each.value, Reminder):
                continue
            if self.due is not None:
                minutes = each.value.minutes(self.due, self._present)
                if MIN_MINUTES <= minutes <= MAX_MINUTES:
                    self.reminders.append(minutes)
                    self._use(each, "reminder")
            elif not each.value.is_at_due and not self.questions:
                self._use(each, "reminder")
                self.questions.append(ask_due(each.start, each.end))

    def _text(self, start: int, end: int) -> str:
        line = self._line
        return line.text[line[start].start : line[end - 1].end]


def _find_dues(found: list[Found], *, starts: bool) -> list[tuple[Found, Due]]:
    """Return the dues of a text, and with `starts` the starts of a recurrence as well."""
    dues = []
    for each in found:
        if isinstance(each.value, Due):
            dues.append((each, each.value))
        elif starts and isinstance(each.value, Bound) and each.value.start is not None:
            dues.append((each, Due(days=((each.value.start, 0, 1),))))
    return dues


def choose_bounds(found: list[Found]) -> list[tuple[Found, Bound]]:
    """Return the first bound of each kind: start, end and basis."""
    chosen: dict[str, tuple[Found, Bound]] = {}
    for each in found:
        if isinstance(each.value, Bound):
            chosen.setdefault(each.value.kind, (each, each.value))
    return list(chosen.values())


def _find_time(
    dues: list[tuple[Found, Due]], part: DayPart | None
) -> tuple[Clock | None, DayPart | None, list[Found]]:
    """Return the first time of day that has no day, the part of the day, and their places."""
    clock: Clock | None = None
    places = []
    for place, due in dues:
        if due.days or due.instant is not None:
            continue
        if (due.clock is not None and clock is None) or (due.part is not None and part is None):
            clock, part = clock or due.clock, part or due.part
            places.append(place)
    return clock, part, places


def _settle_clock(clock: Clock | None, part: DayPart | None) -> Clock | None:
    if clock is not None:
        return clock.settle(part)
    return None if part is None else Clock(part.value)
