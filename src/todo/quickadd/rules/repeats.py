"""Recognizer of recurrences, such as `every other friday` or `daily`."""

from dataclasses import replace
from typing import Final

from todo.quickadd.rules import week_days
from todo.quickadd.rules.month_days import find_month_days
from todo.quickadd.rules.patterns import (
    ADVERBS,
    EVERY,
    LAST_DAY,
    Repeat,
    find_interval,
    find_pattern,
    find_unit,
    is_adverb,
)
from todo.quickadd.rules.qualifiers import qualified, qualify
from todo.quickadd.rules.week_days import find_day_set, find_timetable, find_weekdays
from todo.quickadd.times import durations
from todo.quickadd.times.clock import PLURAL_PARTS
from todo.quickadd.times.durations import find_duration
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.vocabulary import (
    BEFORE_ANOTHER_DAY,
    MONTHS,
    ORDINALS,
    PLURAL_WEEKDAYS,
    TENS,
    WEAK_WEEKDAYS,
    WEEKDAYS,
)
from todo.schedule.rule import MAX_INTERVAL, Frequency, Rule, read_rule

_FIRST_MONTHS, _LAST_MONTHS = (1, 4, 7, 10), (3, 6, 9, 12)
_OF_EVERY = frozenset({*EVERY, "monthly"})
_A = frozenset({"a", "an", "per"})
# "at least once a week" is not once a week.
_BEFORE_ONCE = frozenset({"least", "more", "most", "than"})
_PARTS = frozenset(PLURAL_PARTS)
# "the Fridays" are a family or a band.
_BEFORE_NAME = frozenset({"the", "these", "those", "my", "our"})
COMPLETION: Final = (
    "after completion", "from completion", "after completing", "after it is done",
    "after it ' s done", "when done", "when completed", "after done",
)  # fmt: skip
COMPLETION_STARTS: Final = frozenset(words.split()[0] for words in COMPLETION)
STARTS: Final = frozenset({
    *EVERY, *ADVERBS, *ORDINALS, *TENS, *durations.STARTS, *week_days.STARTS, "at", "end", "last",
    "on", "once", "recur", "the",
})  # fmt: skip
_COMPLETION_WORDS = frozenset(words.split()[-1] for words in COMPLETION)


def find_repeat(line: Line, at: int) -> Match[Repeat] | None:
    """Find a recurrence that starts at a token."""
    found = _find_any(line, at)
    if found is None or not line.ends(found.end):
        return None
    repeat, end = found
    if repeat.rule.interval > MAX_INTERVAL:
        return None
    try:
        rule = read_rule(str(repeat.rule))
    except ValueError:
        return None
    return Match(replace(repeat, rule=rule), end)


def _find_any(line: Line, at: int) -> Match[Repeat] | None:
    word = line.words[at]
    if word in EVERY:
        return _find_every(line, at + 1)
    if word in ADVERBS:
        return _find_adverb(line, at)
    if word == "once":
        return _find_once(line, at + 1) if line.words[at - 1] not in _BEFORE_ONCE else None
    if word == "recur" and line.is_attached(at + 1, ":"):
        return _find_taskwarrior(line, at + 2)
    of_every = _find_of_every(line, at) if line.has_any(_OF_EVERY) else None
    if of_every is None and line.has_any(_COMPLETION_WORDS):
        of_every = _find_after_completion(line, at)
    return of_every or _find_plural(line, at)


def _find_every(line: Line, at: int) -> Match[Repeat] | None:
    """Find the pattern after `every` and `every!`."""
    is_from_completion = line.is_attached(at, "!")
    start = at + is_from_completion
    found = find_pattern(line, start)
    if found is None:
        return None
    repeat = Repeat(found.value, "completion" if is_from_completion else "schedule")
    return qualify(line, Match(repeat, found.end), start)


def _find_adverb(line: Line, at: int) -> Match[Repeat] | None:
    """Find a recurrence such as `daily`, `weekly on friday` or `weekly once`."""
    if line.words[at - 1] in {"a", *_BEFORE_NAME}:
        return None
    rule, end = ADVERBS[line.words[at]], line.skip(at + 1, "once")
    days = find_weekdays(line, end) if rule.frequency is Frequency.WEEKLY else None
    if days is not None and len(days.value.by_day) > 1:
        # Several days belong to the recurrence, as in "weekly mon/thu".
        return qualified(line, Match(replace(rule, by_day=days.value.by_day), days.end))
    found = qualified(line, Match(rule, end))
    has_days = found.value.rule != rule or _is_weekday(line, end)
    return found if has_days or is_adverb(line, end) else None


def _find_once(line: Line, at: int) -> Match[Repeat] | None:
    """Find the rest of a phrase such as `once a month`, `once every 2 weeks` or `once weekly`."""
    start = line.skip(at, "in")
    word = line.words[start]
    if word in ADVERBS:
        return qualified(line, Match(ADVERBS[word], start + 1))
    if word in EVERY:
        found = find_pattern(line, start + 1)
    elif word in _A:
        found = find_unit(line, start + 1)
    else:
        found = find_interval(line, start) if start > at else None
    return None if found is None else qualified(line, found)


def _is_weekday(line: Line, at: int) -> bool:
    """Return whether a weekday or a date, the first due date, follows `weekly`."""
    word = line.words[at]
    if word in MONTHS:
        return line.has_number(at + 1)
    return word in WEEKDAYS and (word not in WEAK_WEEKDAYS or line.is_last(at + 1))


def _find_taskwarrior(line: Line, at: int) -> Match[Repeat] | None:
    """Find the rest of a phrase such as `recur:weekly` or `recur:2weeks`."""
    if line.words[at] in ADVERBS:
        return Match(Repeat(ADVERBS[line.words[at]]), at + 1)
    found = find_pattern(line, at)
    return None if found is None else Match(Repeat(found.value), found.end)


def _find_of_every(line: Line, at: int) -> Match[Repeat] | None:
    """Find a recurrence such as `on the 1st of every month` or `the last friday each month`."""
    start = line.skip(at, "on")
    days = _find_end(line, start) or find_month_days(line, line.skip(start, "the"))
    if days is None or days.value.frequency is not Frequency.MONTHLY:
        return None
    end = line.skip(days.end, "of")
    if line.words[end] in EVERY:
        found = _find_units(line, end + 1)
    elif line.words[days.end] == "monthly" and (days.value.by_day or is_adverb(line, days.end + 1)):
        found = Match(ADVERBS["monthly"], days.end + 1)
    else:
        return None
    if found is None or found.value.frequency is not Frequency.MONTHLY:
        return None
    if line.words[found.end - 1] == "quarter":
        is_last = {number < 0 for number in days.value.by_month_day or _places(days.value)}
        if len(is_last) > 1 or found.value.interval > 3:  # noqa: PLR2004 - months
            return None
        months = _LAST_MONTHS if True in is_last else _FIRST_MONTHS
        return qualified(line, Match(replace(days.value, by_month=months), found.end))
    return qualified(line, Match(replace(days.value, interval=found.value.interval), found.end))


def _places(rule: Rule) -> tuple[int, ...]:
    return rule.by_set_pos or tuple(place for place, _ in rule.by_day)


def _find_end(line: Line, at: int) -> Match[Rule] | None:
    """Find the `end` of `end of every month`."""
    end = line.skip(at, "at")
    end = line.skip(end, "the")
    is_end = line.words[end] == "end" and line.words[end + 1] == "of"
    return Match(LAST_DAY, end + 1) if is_end else None


def _find_units(line: Line, at: int) -> Match[Rule] | None:
    """Find a period such as `month`, `other month` or `second month`."""
    if line.words[at] == "other":
        found = find_unit(line, at + 1)
        return found and Match(replace(found.value, interval=2 * found.value.interval), found.end)
    return find_unit(line, at) or find_interval(line, at)


def _find_after_completion(line: Line, at: int) -> Match[Repeat] | None:
    """Find a recurrence such as `3 days after completion`."""
    found = find_duration(line, at)
    if found is None or found.value.minutes:
        return None
    end = find_completion(line, found.end)
    months, days = found.value.months, found.value.days
    if end < 0 or (months and days):
        return None
    rule = Rule(Frequency.DAILY, days) if days else Rule(Frequency.MONTHLY, months)
    if days and days % 7 == 0:
        rule = Rule(Frequency.WEEKLY, days // 7)
    if months and months % 12 == 0:
        rule = Rule(Frequency.YEARLY, months // 12)
    return Match(Repeat(rule, "completion"), end)


def _find_plural(line: Line, at: int) -> Match[Repeat] | None:
    """Find a recurrence such as `on mondays and fridays` or `weekdays at 9`."""
    has_on = line.words[at] == "on"
    start = at + has_on
    word = line.words[start]
    if line.words[at - 1] in _BEFORE_NAME or line.words[start - 1] in BEFORE_ANOTHER_DAY:
        return None
    is_plural = word in PLURAL_WEEKDAYS or word in {"weekdays", "weekends"}
    if not is_plural and find_timetable(line, start) is None:
        return _find_plural_part(line, start, has_on=has_on) if line.has_any(_PARTS) else None
    found = find_pattern(line, start)
    if found is None or not (has_on or is_adverb(line, found.end)):
        return None
    return qualified(line, found)


def _find_plural_part(line: Line, at: int, *, has_on: bool) -> Match[Repeat] | None:
    """Find a recurrence such as `weekday mornings` or `mon and wed evenings`."""
    days = find_day_set(line, at) or find_weekdays(line, at)
    if days is None or line.words[days.end] not in PLURAL_PARTS:
        return None
    if line.text[line[days.end].start].isupper():
        # "Friday Nights" is a name.
        return None
    found = qualified(line, days)
    is_end = is_adverb(line, found.end) or line.words[found.end] == "with"
    return found if has_on or is_end else None


def find_completion(line: Line, at: int) -> int:
    """Return the index of the token after `after completion`, or -1."""
    if line.words[at] not in COMPLETION_STARTS:
        return -1
    return max(line.phrase(at, words) for words in COMPLETION)
