"""Time windows in questions: "due today", "before friday", "between monday and friday"."""

import re
from datetime import date, timedelta
from typing import Any

from todo.assistant.rules.decision import RuleContext
from todo.quickadd.windows import Days, parse_window

_DUE = (
    (re.compile(r"\b(?:over ?due|late|missed|past due|behind)\b"), "overdue"),
    (
        re.compile(r"\b(?:for )?(?:today(?:'s)?|tonight|this (?:morning|afternoon|evening))\b"),
        "today",
    ),
    (re.compile(r"\b(?:for )?tomorrow(?:'s)?\b"), "tomorrow"),
    (
        re.compile(r"\b(?:for |in |during )?(?:the week|(?:the )?next (?:7|seven) days)\b"),
        "week",
    ),
    (re.compile(r"\b(?:without|with no|no) (?:a )?(?:due date|due|deadline|date)\b"), "none"),
)
_BETWEEN = re.compile(
    r"\b(?:between (?P<from>\S.*?) and|from (?P<since>\S.*?) (?:to|until|till|through))"
    r" (?P<to>\S.*)\Z"
)
_BOUND = re.compile(
    r"\b(?P<bound>before|earlier than|by|until|till|up to|no later than|after|later than|since|from"
    r"|starting) (?P<x>\S.*)\Z"
)
_ON_DAY = re.compile(r"\b(?:due |on |for |in )+(?P<x>\S.*)\Z")
# All days of the week or month. A search for `week` or `month` starts today.
_CALENDAR = re.compile(r"\b(?:for |in |during |due )*(?:this (?P<unit>week|month)|the month)\b")
_PERIOD = re.compile(
    r"\b(?:next|last|this) (?:week|month|year|weekend|monday|tuesday|wednesday|thursday|friday"
    r"|saturday|sunday)\b|\byesterday\b"
)
_SINCE = {"today": "today", "week": "this week"}
_LONGEST = 100
_DAY = timedelta(days=1)
_EXCLUDED = {
    **dict.fromkeys(("before", "earlier than"), ("due_to", -_DAY)),
    **dict.fromkeys(("after", "later than"), ("due_from", _DAY)),
}
"""Field and day offset for bounds that the window excludes, such as "before"."""
_STARTS = frozenset({"since", "from", "starting"})
_Window = dict[str, str]


def take_window(rest: str, fields: dict[str, Any], context: RuleContext) -> str:
    """Remove the time window of a question, and store it as fields; return the rest.

    A window that a search does not support, such as completion before a day, stays in the rest.
    """
    for find in (_find_bounds, _find_name, _find_calendar, _find_day):
        found = find(rest, context)
        if found is None:
            continue
        place, window = found
        made = _search_closed(window, context) if fields.get("status") == "completed" else window
        if made is None:
            return rest
        fields |= made
        return f"{rest[: place.start()].rstrip()} {rest[place.end() :].lstrip()}".strip()
    return rest


def _search_closed(window: _Window, context: RuleContext) -> _Window | None:
    """Return the fields for completion within the window; None if it does not last until now."""
    today = context.now.astimezone(context.zone).date()
    if "due" in window:
        since = _SINCE.get(window["due"])
    else:
        first = _read(window.get("due_from", ""), context)
        last = _read(window.get("due_to", today.isoformat()), context)
        is_until_now = first is not None and first[0] <= today and last and last[1] >= today
        since = window["due_from"] if is_until_now else None
    return None if since is None else {"updated_since": since}


def _find_bounds(rest: str, context: RuleContext) -> tuple[re.Match[str], _Window] | None:
    """Find bounds such as "before friday"; return the match, and the window as fields."""
    between = _BETWEEN.search(rest)
    if between is not None:
        first = _read(between["from"] or between["since"], context)
        last = _read(between["to"], context)
        if first and last and first[0] <= last[1]:
            days = {"due_from": first[0].isoformat(), "due_to": last[1].isoformat()}
            return between, days
    found = _BOUND.search(rest)
    days_of = None if found is None else _read(found["x"], context)
    if found is None or days_of is None:
        return None
    bound = found["bound"]
    if bound in _EXCLUDED:
        name, day = _EXCLUDED[bound]
        return found, {name: (days_of[name == "due_from"] + day).isoformat()}
    if bound == "from" and days_of[1] < context.now.astimezone(context.zone).date():
        # "from yesterday" denotes only that day.
        return found, dict.fromkeys(("due_from", "due_to"), found["x"])
    name = "due_from" if bound in _STARTS else "due_to"
    return found, {name: days_of[name == "due_to"].isoformat()}


def _find_name(rest: str, _context: RuleContext) -> tuple[re.Match[str], _Window] | None:
    """Find a window that searches know by name, such as "overdue"; return match and fields."""
    places = ((pattern.search(rest), due) for pattern, due in _DUE)
    return next(((found, {"due": due}) for found, due in places if found is not None), None)


def _find_calendar(rest: str, _context: RuleContext) -> tuple[re.Match[str], _Window] | None:
    found = _CALENDAR.search(rest)
    if found is None:
        return None
    return found, dict.fromkeys(("due_from", "due_to"), f"this {found['unit'] or 'month'}")


def _find_day(rest: str, context: RuleContext) -> tuple[re.Match[str], _Window] | None:
    """Find a day or a period; return the match, and the window as fields."""
    for pattern, group in ((_ON_DAY, "x"), (_PERIOD, 0)):
        found = pattern.search(rest)
        if found is not None and _read(found[group], context) is not None:
            return found, {"due_from": found[group], "due_to": found[group]}
    return None


def _read(text: str, context: RuleContext) -> tuple[date, date] | None:
    """Return the first and last day of a text; None for anything else, such as a time."""
    if len(text) > _LONGEST:
        return None
    try:
        window = parse_window(text, context.now, context.zone)
    except ValueError:
        return None
    return (window.first, window.last) if isinstance(window, Days) else None
