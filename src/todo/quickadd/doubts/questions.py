"""Questions about a due date that is ambiguous or in the past."""

import itertools
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from todo.quickadd.days.model import Day, NamedDay, Reference
from todo.quickadd.days.present import Present, next_date
from todo.quickadd.result import Question
from todo.quickadd.tokens.line import Line
from todo.quickadd.vocabulary import MONTH_NAMES, WEEKDAY_NAMES

_WEEK = 7


def render_day(day: date) -> str:
    """Return a day as an unambiguous text."""
    return f"{day.day} {MONTH_NAMES[day.month - 1]} {day.year}"


def days_ahead(days: Sequence[date], present: Present) -> list[date]:
    """Return the days that are not in the past, which are offered as choices."""
    return [day for day in days if day >= present.today]


def _plain(text: str) -> str:
    return " ".join(text.split())


def settle_days(line: Line, days: Sequence[NamedDay], present: Present) -> date | Question:
    """Return the day that one or two recognized days mean together, or a question.

    A weekday confirms a date, or chooses between the two meanings of an ambiguous date.
    """
    start, end = line[days[0].start].start, line[days[-1].end - 1].end
    meant = [_possible(named.day) for named in days]
    if len(days) == 1:
        return (
            meant[0][0] if len(meant[0]) == 1 else _ask_order(start, end, line, meant[0], present)
        )
    checks = [named.day for named in days if named.day.reference is Reference.WEEKDAY]
    dates = [
        day
        for named in days
        if named.day.reference is not Reference.WEEKDAY
        for day in _possible(named.day)
    ]
    if len(checks) == 1:
        weekday = checks[0].day.weekday()
        fitting = [day for day in dates if day.weekday() == weekday]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            return _ask_order(start, end, line, fitting, present)
        if any(named.day.reference is Reference.ABSOLUTE for named in days):
            return _ask_weekday(start, end, weekday, dates[0], present)
    elif meant[0] == meant[1] and len(meant[0]) == 1:
        return meant[0][0]
    texts = [line.text[line[each.start].start : line[each.end - 1].end] for each in days]
    is_ahead = [max(possible) >= present.today for possible in meant]
    return ask_several(start, end, texts, is_ahead)


def _possible(day: Day) -> list[date]:
    return [day.day] if day.other is None else [day.day, day.other]


def _ask_order(start: int, end: int, line: Line, days: list[date], present: Present) -> Question:
    choices = tuple(render_day(day) for day in days_ahead(days, present))
    message = (
        f"{line.text[start:end]} can be {' or '.join(map(render_day, days))}; "
        "write the month as a word, or the date as YYYY-MM-DD"
    )
    return Question(start, end, "ambiguous-date", message, choices)


def _ask_weekday(start: int, end: int, weekday: int, day: date, present: Present) -> Question:
    message = (
        f"{render_day(day)} is a {WEEKDAY_NAMES[day.weekday()]}, not a {WEEKDAY_NAMES[weekday]}; "
        "correct the date or the weekday"
    )
    # The nearest such weekday, at most three days away, unless it is in the past.
    nearest = day + timedelta(days=(weekday - day.weekday() + 3) % _WEEK - 3)
    nearest += timedelta(days=_WEEK if nearest < present.today else 0)
    choices = tuple(render_day(each) for each in days_ahead([day, nearest], present))
    return Question(start, end, "weekday-mismatch", message, choices)


def ask_several(start: int, end: int, texts: Sequence[str], is_ahead: Sequence[bool]) -> Question:
    """Return the question about which of several due dates is meant; past ones are not offered."""
    plain = [_plain(text) for text in texts]
    choices = tuple(itertools.compress(plain, is_ahead))
    message = f"{' and '.join(plain)} are different due dates; write one of them"
    return Question(start, end, "several-dues", message, choices)


def ask_number(start: int, end: int, text: str, choices: tuple[str, ...]) -> Question:
    """Return the question about whether a number is an hour or a day of the month."""
    message = (
        f"{text} can be {' or '.join(choices)}; write at before an hour, or the month of a day"
    )
    return Question(start, end, "ambiguous-date", message, choices)


def ask_unclear(start: int, end: int, text: str, choices: Sequence[str]) -> Question:
    """Return the question for a due date that is impossible or unclear."""
    remedy = " or ".join(choices) or "a date that is not over"
    message = f"{_plain(text)} is ambiguous; write {remedy}"
    return Question(start, end, "ambiguous-date", message, tuple(choices))


def ask_part(start: int, end: int, text: str, choices: tuple[str, ...]) -> Question:
    """Return the question for a text that is only partly understood."""
    message = (
        f"{_plain(text)} is not understood; write it in another way, or put it in quotation marks"
    )
    return Question(start, end, "ambiguous-date", message, choices)


def ask_unclear_end(start: int, end: int, text: str, choices: tuple[str, ...]) -> Question:
    """Return the question for the end of a recurrence that is not a day."""
    example = choices[0] if choices else "until 31 March 2027"
    message = f"{_plain(text)} does not name the last day; write a date, such as {example}"
    return Question(start, end, "ambiguous-date", message, choices)


def ask_past(start: int, end: int, due: date | datetime, present: Present) -> Question:
    """Return the question for a due date in the past."""
    if isinstance(due, datetime):
        said, again = f"{render_day(due.date())} {due:%H:%M}", f"tomorrow at {due:%H:%M}"
        following = next_date(present.today, due.month, due.day)
        if due.date() < present.today and following is not None and following > present.today:
            again = f"{render_day(following)} at {due:%H:%M}"
    else:
        following = next_date(present.today, due.month, due.day)
        said, again = render_day(due), render_day(following or present.today)
    message = (
        f"{said} is in the past; write a time in the future, or put the text in quotation marks"
    )
    return Question(start, end, "past-due", message, (again,))


def ask_due(start: int, end: int) -> Question:
    """Return the question for a reminder without a due date."""
    message = "a reminder needs a due date; add one, such as tomorrow 17:00, or remove the reminder"
    return Question(start, end, "no-due", message)


def ask_end(start: int, end: int, first: date, last: date) -> Question:
    """Return the question for a recurrence that ends before it starts."""
    message = (
        f"the recurrence would end on {render_day(last)}, before its first due on "
        f"{render_day(first)}; write a later end or an earlier start"
    )
    return Question(start, end, "ends-before-start", message)
