"""Questions: a due that has more than one meaning, or is over."""

from datetime import date, datetime, timedelta

from todo.quickadd.day import Day, Way
from todo.quickadd.present import Present, next_date
from todo.quickadd.result import Question
from todo.quickadd.vocabulary import MONTH_NAMES, WEEKDAY_NAMES

_WEEK = 7


def render_day(day: date) -> str:
    """Return a day as a text with one meaning."""
    return f"{day.day} {MONTH_NAMES[day.month - 1]} {day.year}"


def settle_days(days: list[Day], texts: list[str]) -> date | Question:
    """Return the day that one or two days mean together, or a question without its place.

    Args:
        days: The days; a weekday checks a date, or decides between the two that a date can be.
        texts: The text of each.
    """
    first = days[0]
    if len(days) == 1:
        return first.day if first.other is None else _ask_order(first.day, first.other, texts[0])
    checks = [day for day in days if day.way is Way.WEEKDAY]
    others = [day for day in days if day.way is not Way.WEEKDAY]
    if len(checks) == 1:
        meant = [day for day in (others[0].day, others[0].other) if day is not None]
        fitting = [day for day in meant if day.weekday() == checks[0].day.weekday()]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            return _ask_order(fitting[0], fitting[1], texts[days.index(others[0])])
        if others[0].way is Way.DATE:
            return _ask_weekday(checks[0].day.weekday(), meant[0])
    elif first.day == days[1].day and first.other is None and days[1].other is None:
        return first.day
    return ask_several(0, 0, texts)


def _ask_order(day: date, other: date, text: str) -> Question:
    message = (
        f"{text} can be {render_day(day)} or {render_day(other)}; "
        "write the month as a word, or the date as YYYY-MM-DD"
    )
    return Question(0, 0, "ambiguous-date", message, (render_day(day), render_day(other)))


def _ask_weekday(weekday: int, day: date) -> Question:
    message = (
        f"{render_day(day)} is a {WEEKDAY_NAMES[day.weekday()]}, not a {WEEKDAY_NAMES[weekday]}; "
        "correct the date or the weekday"
    )
    # The nearest one: at most three days before or after.
    nearest = day + timedelta(days=(weekday - day.weekday() + 3) % _WEEK - 3)
    return Question(0, 0, "weekday-mismatch", message, (render_day(day), render_day(nearest)))


def ask_several(start: int, end: int, texts: list[str]) -> Question:
    """Return the question which of several days is meant."""
    message = f"{' and '.join(texts)} are different days; write one of them"
    return Question(start, end, "several-dues", message, tuple(texts))


def ask_past(start: int, end: int, due: date | datetime, present: Present) -> Question:
    """Return the question what a due that is over should be."""
    if isinstance(due, datetime):
        said, again = f"{render_day(due.date())} {due:%H:%M}", f"tomorrow at {due:%H:%M}"
    else:
        following = next_date(present.today, due.month, due.day)
        said, again = render_day(due), render_day(following or present.today)
    message = f"{said} is over; write a time in the future, or put the text in quotation marks"
    return Question(start, end, "past-due", message, (again,))


def ask_due(start: int, end: int) -> Question:
    """Return the question for the due that a reminder needs."""
    message = "a reminder needs a due; add one, such as tomorrow 17:00, or remove the reminder"
    return Question(start, end, "no-due", message)


def ask_end(start: int, end: int, first: date, last: date) -> Question:
    """Return the question for a recurrence that ends before it starts."""
    message = (
        f"the recurrence would end on {render_day(last)}, before its first due on "
        f"{render_day(first)}; write a later end or an earlier start"
    )
    return Question(start, end, "ends-before-start", message)
