"""Recognizer of a due date: a day, a time of day, or both, in one position of the text."""

from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from todo.quickadd.days import any_day
from todo.quickadd.days.any_day import find_day
from todo.quickadd.days.counted import is_counted_from
from todo.quickadd.days.model import Day, NamedDay, Reference
from todo.quickadd.days.offsets import find_offset
from todo.quickadd.days.present import Present, next_day_of_month
from todo.quickadd.days.taskwarrior import find_taskwarrior_due
from todo.quickadd.doubts.impossible_days import ask_midnight, find_impossible_date
from todo.quickadd.doubts.questions import ask_number, ask_part, ask_several, render_day
from todo.quickadd.result import Question
from todo.quickadd.rules.patterns import EVERY
from todo.quickadd.times import clock, day_parts
from todo.quickadd.times.clock import Clock, Confidence, DayPart, find_clock
from todo.quickadd.times.day_parts import find_day_end, find_day_part, find_opening
from todo.quickadd.times.durations import APPROXIMATELY
from todo.quickadd.times.hours import AT, Beside, is_hour
from todo.quickadd.times.instants import find_iso
from todo.quickadd.tokens.line import CONTENT, Line, Match
from todo.quickadd.vocabulary import CARDINALS, DISTANT_DAYS, WEEKDAYS

_BEFORE_DAY = frozenset({"on", "by", "before", "for"})
_BEFORE_CLOCK = frozenset({"at", "@", "by", "before", "after", "for"})
_DAYS = frozenset({*DISTANT_DAYS, *WEEKDAYS})
_LENGTHS = frozenset({*CARDINALS, "a", "an", "half"})
STARTS: Final = frozenset({
    *_BEFORE_DAY, *_BEFORE_CLOCK, *APPROXIMATELY, *any_day.STARTS, *clock.STARTS, *day_parts.STARTS,
    "due",
})  # fmt: skip
_EDGES = frozenset({"end", "start", "beginning"})
_MAX_PARTS = 5
_HOURS, _HALF_OF_HOURS = 24, 12
_AFTER_NUMBER = frozenset(
    {"and", "at", "by", "every", "for", "or", "remind", "to", "until", "with"}
)
"""Words that may follow `friday 15`, unlike the noun in `friday 15 boxes`."""
_AFTER_LAST = frozenset({
    "daily", "each", "ev", "every", "monthly", "quarterly", "remind", "reminder", "starting",
    "until", "weekly", "yearly",
})  # fmt: skip
"""Words that may follow a due date at the end of the title."""


class Due(NamedTuple):
    """Due date in one position of the text.

    Attributes:
        days: Days in the text; two must agree.
        is_deadline: Whether it follows `due` or `by`.
        question: Question about an ambiguous part, or None.
    """

    days: tuple[NamedDay, ...] = ()
    clock: Clock | None = None
    part: DayPart | None = None
    instant: datetime | None = None
    is_deadline: bool = False
    question: Question | None = None

    @property
    def is_dated(self) -> bool:
        """Whether the due date has a day, even an ambiguous one."""
        return bool(self.days) or self.instant is not None or self.question is not None

    @property
    def confidence(self) -> Confidence:
        """Confidence of the due date, derived from its parts."""
        confidences = [named.day.confidence for named in self.days]
        confidences += [] if self.clock is None else [self.clock.confidence]
        sure = self.part is not None or self.instant is not None or len(confidences) > 1
        return Confidence.ANYWHERE if sure else max(confidences, default=Confidence.NEVER_ALONE)


def find_due(line: Line, at: int, present: Present) -> Match[Due] | None:
    """Find a due date that starts at a token, with the preposition before it."""
    preposition, start = _find_preposition(line, at)
    if is_counted_from(line, start):
        return _ask_length(line, start, present)
    several = _find_several(line, start)
    if several is not None:
        return several
    found = _find_parts(line, start, present, preposition)
    is_lunchtime = preposition == "at" and line.words[start] == "lunchtime"
    if found is None and (preposition == "after" or is_lunchtime):
        # Here the preposition is part of the time: "after an hour", "at lunchtime".
        found = _find_parts(line, start - 1, present, "")
    if found is None:
        return _find_impossible(line, at, start, present)
    due, end = found
    if preposition in APPROXIMATELY and _is_topic(line, start, due):
        return None
    is_named = line.words[at] == "due"
    if not _is_sure(line, Match(due, end), at, "due" if is_named else preposition):
        return None
    question = ask_midnight(line, at, end, due.days, due.clock, present) or due.question
    is_deadline = is_named or preposition == "by"
    return Match(due._replace(is_deadline=is_deadline, question=question), end)


def _find_several(line: Line, at: int) -> Match[Due] | None:
    """Find `thu/fri`, which can mean each of the days or one of them."""
    ends = [at + 1] if line.words[at] in _DAYS else []
    while ends and line.is_attached(ends[-1], "/") and line.words[ends[-1] + 1] in _DAYS:
        ends.append(ends[-1] + 2)
    if len(ends) < 2 or not line.ends(ends[-1]):  # noqa: PLR2004 - several
        return None
    start, end = line[at].start, line[ends[-1] - 1].end
    names = [line[each - 1] for each in ends]
    texts = [line.text[name.start : name.end] for name in names]
    question = ask_several(start, end, texts, [True] * len(texts))
    if all(name.text in WEEKDAYS for name in names):
        every = f"every {line.text[start:end]}"
        question = replace(question, choices=(every, *question.choices))
    return Match(Due(question=question), ends[-1])


def _find_preposition(line: Line, at: int) -> tuple[str, int]:
    """Return the preposition before a due date, which can be empty, and the token after it."""
    start = at
    if line.words[at] == "due":
        start += 1 + line.is_attached(at + 1, ":")
    preposition = line.words[start]
    if preposition in _BEFORE_DAY or preposition in _BEFORE_CLOCK:
        start += 1
        start = line.skip_any(start, APPROXIMATELY)
    elif preposition in APPROXIMATELY:
        start += 1
    elif start == at:
        preposition = ""
    if preposition == "at" and line.words[line.skip(start, "the")] in _EDGES:
        # "at the end of the month" is a day.
        preposition = "on"
    return preposition, start


def _is_topic(line: Line, at: int, due: Due) -> bool:
    """Return whether a topic follows `about`, as in `about friday`, but not in `about 5pm`."""
    if not due.days or due.days[0].start != at:
        return False
    is_length = line.has_number(at) or line.words[at] in _LENGTHS
    return not is_length or due.days[0].day.reference is not Reference.RELATIVE


def _ask_length(line: Line, at: int, present: Present) -> Match[Due] | None:
    """Return a question for `24 hours before 3 october 6:50`; without a time, it is only text."""
    found = _find_parts(line, at, present, "")
    if found is None or not found.value.days or found.value.clock is None:
        return None
    start, end = line[at - 2].start, line[found.end - 1].end
    return Match(Due(question=ask_part(start, end, line.text[start:end], ())), found.end)


def _find_impossible(line: Line, at: int, start: int, present: Present) -> Match[Due] | None:
    """Find a day that does not exist, but not the number of a noun (`june 31 people`)."""
    found = find_impossible_date(line, start, present)
    if found is not None and line.is_first(start) and line.is_last(found.end):
        # A text that consists only of such a day is a title.
        return None
    is_counted = start == at and found is not None and line.has_word(found.end)
    if found is None or is_counted or line.words[at - 1] in EVERY:
        return None
    return Match(Due(question=found.value), found.end)


def _is_sure(line: Line, found: Match[Due], at: int, preposition: str) -> bool:
    due, end = found
    is_last = line.is_last(end) or line.words[end] in _AFTER_LAST
    if preposition == "for" and not is_last:
        return False
    if preposition in {"after", *AT} and due.days and due.clock is None:
        # "after 2 days" means "in 2 days".
        return line.words[due.days[0].start] == "after" and is_last
    if preposition and preposition not in APPROXIMATELY:
        return due.confidence > Confidence.NEVER_ALONE or preposition in AT
    is_first = line.is_first(at)
    return {
        Confidence.NEVER_ALONE: False,
        Confidence.WHOLE_TEXT: is_first and is_last,
        Confidence.AT_END: is_last,
        Confidence.AT_EDGE: is_first or is_last,
        Confidence.ANYWHERE: True,
    }[due.confidence]


def _find_parts(line: Line, at: int, present: Present, preposition: str) -> Match[Due] | None:
    opening = find_opening(line, at)
    if opening is not None:
        rest = _find_rest(line, opening.end, present, "")
        if rest is not None and (rest.value.days or rest.value.part is not None):
            return Match(rest.value._replace(part=rest.value.part or opening.value), rest.end)
        if preposition == "by" and opening.value is None:
            today = NamedDay(Day(present.today, Reference.RELATIVE), at, opening.end)
            return Match(Due(days=(today,)), opening.end)
    return _find_rest(line, at, present, preposition)


def _find_rest(line: Line, at: int, present: Present, preposition: str) -> Match[Due] | None:
    instant = (
        find_iso(line, at, present)
        or find_taskwarrior_due(line, at, present)
        or find_offset(line, at, present)
    )
    if instant is not None and line.ends(instant.end):
        if isinstance(instant.value, datetime):
            return Match(Due(instant=instant.value), instant.end)
        day = Day(instant.value, Reference.RELATIVE)
        due, end = Due(days=(NamedDay(day, at, instant.end),)), instant.end
    else:
        due, end = Due(), at
    for _ in range(_MAX_PARTS):
        longer = _find_part(line, end, present, Match(due, at), preposition)
        if longer is None:
            break
        due, end = longer
        preposition = ""
    return Match(due, end) if end > at else None


def _find_part(
    line: Line, at: int, present: Present, known: Match[Due], preposition: str
) -> Match[Due] | None:
    """Find another part of a due date at a token, after a connecting word.

    `known` has the parts before it, and the token at which they start.
    """
    due, first = known
    is_next = at > first
    start = at + (is_next and line.words[at] == ",")
    part = find_day_part(line, start, has_day=bool(due.days)) if due.part is None else None
    if part is not None:
        return Match(due._replace(part=part.value), part.end)
    end = find_day_end(line, start) if due.days else -1
    if end > 0:
        return Match(due, end)
    if is_next and line.words[start] in _BEFORE_CLOCK | {"on", *APPROXIMATELY}:
        preposition, start = line.words[start], start + 1
        start = line.skip_any(start, APPROXIMATELY)
    if len(due.days) < 2 and preposition not in AT:  # noqa: PLR2004 - a day and its weekday
        day = find_day(line, start, present)
        if day is not None and _fits(line, day, due):
            days = (*due.days, NamedDay(day.value, start, day.end))
            return Match(due._replace(days=days, part=due.part or day.value.part), day.end)
    if is_next and not preposition:
        numbered = _find_number(line, start, due, present)
        if numbered is not None:
            return numbered
    if due.clock is None and preposition != "on":
        clock = find_clock(line, start, after_at=preposition in AT)
        beside = Beside(due.days, due.part is not None, preposition)
        if clock is not None and is_hour(line, clock, start, beside):
            return Match(due._replace(clock=clock.value), clock.end)
    return None


def _fits(line: Line, day: Match[Day], due: Due) -> bool:
    """Return whether a day can be a part of a due date that has other parts."""
    if not line.ends(day.end):
        return False
    if not due.days:
        return True
    first = due.days[0].day
    if day.value.confidence is Confidence.ANYWHERE or line.is_last(day.end):
        return True
    return first.reference is Reference.WEEKDAY and day.value.confidence is Confidence.AT_EDGE


def _find_number(line: Line, at: int, due: Due, present: Present) -> Match[Due] | None:
    """Find the number of `friday 26`, a day, or `friday 15`, which may be an hour."""
    named = due.days[-1] if due.days else None
    if named is None or named.end != at or due.clock:
        return None
    if named.day.reference is not Reference.WEEKDAY:
        return None
    number, end = line.number(at), at + 1
    clock = find_clock(line, line.skip_any(end, AT))
    has_clock = clock is not None and (
        clock.value.confidence > Confidence.NEVER_ALONE or line.words[end] in AT
    )
    is_alone = has_clock or line[end].kind not in CONTENT or line.words[end] in _AFTER_NUMBER
    day = next_day_of_month(present.today, number) if is_alone and line.ends(end) else None
    if day is None or len(due.days) > 1:
        return None
    if number >= _HOURS or has_clock:
        found = NamedDay(Day(day), at, end)
        return Match(due._replace(days=(*due.days, found)), end)
    if number <= _HALF_OF_HOURS and day.weekday() != named.day.day.weekday():
        return None
    start = line[named.start].start
    text = line.text[start : line[end - 1].end]
    weekday = line.text[start : line[named.end - 1].end]
    question = ask_number(
        start, line[end - 1].end, text, (f"{weekday} at {number}", render_day(day))
    )
    return Match(due._replace(question=question), end)
