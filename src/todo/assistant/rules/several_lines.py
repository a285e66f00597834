"""Rules for several lines: tasks with bullets, or below a heading such as "add to shopping:".

Every word of a heading must denote the list, due date, priority or tag of the tasks below it. A
heading with other words prevents a decision, because it may mean anything: "these are done:".
"""

import re
from dataclasses import dataclass

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import QUOTED, make_line
from todo.assistant.rules.new_task import parse_line, remove_marks
from todo.quickadd.marks import ListNames
from todo.quickadd.result import MAX_TEXT, QuickAdd

_BULLET = re.compile(r"(?:(?:[-*\u2022\u2013]|\d{1,2}[.)])\s+(?:\[ ?\]\s+)?|\[ ?\]\s+)(?=\S)")
# A ticked task is completed and not added.
_TICKED = re.compile(r"(?:\S{1,3}\s+)?\[[xX\u2713\u2714]\]\s")
MAX_LINES = 50
"""Maximum number of tasks in one message; a longer message is rejected as a whole."""
_MAX_HEADING = 120
_VERB = re.compile(
    r"(?:(?:add|create|enter|insert|save|put|make|new|note down|jot down|write down|take down)\b"
    r"|remind me(?: to)?\b)(?: me\b)?",
    re.IGNORECASE,
)
_TO = re.compile(r" to\Z", re.IGNORECASE)
_LEVEL = re.compile(
    r"\b(?:with )?(?:an? )?(?:(?P<level>high|top|medium|normal|low)(?:est)?[ -](?:priority|prio)"
    r"|(?P<urgent>urgent|important))\b",
    re.IGNORECASE,
)
_LEVELS = {"medium": "!medium", "normal": "!medium", "low": "!low"}
_TAG = re.compile(
    r"(?:\b(?:tagged|labell?ed)(?: with| as)?|\bwith (?:the )?(?:tag|label)) [#@]?"
    r"(?P<tag>[^\W_][\w-]*)",
    re.IGNORECASE,
)
_NOUNS = re.compile(
    r"\b(?:\d{1,2} (?=tasks|items|things|to-?dos))?(?:these|this|the following|following|new|more"
    r"|some|all|tasks?|to-?dos?|to do|items?|things|reminders?|entries|chores)\b(?! list\b)",
    re.IGNORECASE,
)
_ANY_LIST = re.compile(
    r"(?:\A|\b(?:to|on|onto|in|into|for) )(?:(?:my|the|our|a) )?"
    r"(?:(?:to-?do|to do|tasks?) )?list\b",
    re.IGNORECASE,
)
_OF_LIST = re.compile(
    r"(?:(?:to|on|onto|in|into|under|at|for) )?(?:(?:my|the|our) )?#?(?P<list>[^\W_].*?)"
    r"(?P<noun> list)?",
    re.IGNORECASE,
)
_BEFORE_DUE = re.compile(r"(?:(?:due|for|on|by|at|from|until) ?)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Heading:
    """Properties that a heading gives to the tasks below it.

    Attributes:
        marks: Kind and quick-add text of each property.
        unknown_list: Name of a list to which the user cannot add tasks.
    """

    marks: tuple[tuple[str, str], ...] = ()
    unknown_list: str | None = None


def decide_lines(message: str, context: RuleContext) -> Decision | None:
    """Return the addition of several lines that have bullets or a suitable heading, or None."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) <= 1:
        return None
    has_heading = _BULLET.match(lines[0]) is None
    items = lines[has_heading:]
    bullets = [_BULLET.match(item) for item in items]
    is_list = all(bullets) or (has_heading and lines[0].endswith(":"))
    if not is_list or any(_TICKED.match(line) for line in lines):
        return None
    heading = _read_heading(lines[0], context) if has_heading else _Heading()
    if heading is None:
        return None
    if heading.unknown_list is not None:
        return Decision("help", "unknown-list", fields={"list": heading.unknown_list})
    if len(items) > MAX_LINES:
        return Decision("help", "too-many-lines", fields={"lines": len(items)})
    texts = [
        _mark(item[found.end() :] if found else item, heading, context)
        for item, found in zip(items, bullets, strict=True)
    ]
    known = [text for text in texts if text is not None]
    return Decision("add", "\n".join(known)) if len(known) == len(texts) else None


def _read_heading(text: str, context: RuleContext) -> _Heading | None:
    """Return the properties in a heading; None if it has other words."""
    line = make_line(text.rstrip(": "))
    if len(text) > _MAX_HEADING or line.is_question or QUOTED in line.folded:
        return None
    verb = _VERB.match(line.text)
    rest = line.text if verb is None else _TO.sub("", line.text[verb.end() :])
    marks: list[tuple[str, str]] = []
    level = _LEVEL.search(rest)
    if level is not None:
        marks.append(("priority", _LEVELS.get((level["level"] or "").lower(), "!high")))
        rest = _without(rest, level)
    tag = _TAG.search(rest)
    if tag is not None:
        marks.append(("tag", f"@{tag['tag']}"))
        rest = _without(rest, tag)
    rest = " ".join(_NOUNS.sub(" ", rest).split()).strip(" ,")
    rest = _ANY_LIST.sub("", rest, count=1).strip(" ,")
    return _read_rest(rest, marks, context)


def _read_rest(rest: str, marks: list[tuple[str, str]], context: RuleContext) -> _Heading | None:
    """Parse the rest of a heading: a list, a due date, or both in any order."""
    words = rest.split()
    for at in range(len(words) + 1):
        for first, second in ((words[:at], words[at:]), (words[at:], words[:at])):
            found = _read_parts(" ".join(first).strip(" ,"), " ".join(second).strip(" ,"), context)
            if found is not None:
                return _Heading((*marks, *found))
    listed = _OF_LIST.fullmatch(rest)
    is_unknown = listed is not None and listed["noun"] is not None
    return _Heading(unknown_list=listed["list"]) if listed is not None and is_unknown else None


def _read_parts(place: str, due: str, context: RuleContext) -> tuple[tuple[str, str], ...] | None:
    """Return the marks for the words of a list and of a due date; None for other words."""
    marks: list[tuple[str, str]] = []
    if place:
        listed = _OF_LIST.fullmatch(place)
        known = None if listed is None else ListNames(context.list_names).find(listed["list"])
        if known is None or '"' in known:
            return None
        marks.append(("list", f'#"{known}"'))
    if due:
        plain = _BEFORE_DUE.sub("", due, count=1) if _BEFORE_DUE.match(due) else due
        read = parse_line(plain, context)
        if read is None or read.title or read.questions or not _has("due", read):
            return None
        marks.append(("due", plain))
    return tuple(marks)


def _mark(text: str, heading: _Heading, context: RuleContext) -> str | None:
    """Return a line with the marks of its heading, unless it has its own; None if unclear."""
    for kind, mark in heading.marks:
        read = parse_line(text, context)
        marked = f"{text} {mark}"
        both = parse_line(marked, context)
        if read is None or both is None:
            return None
        if kind != "tag" and _has(kind, read):
            continue
        if both.title != read.title or both.questions:
            return None
        text = marked
    return remove_marks(text, context) if len(text) <= MAX_TEXT else None


def _has(kind: str, read: QuickAdd) -> bool:
    kinds = {"due", "recurrence"} if kind == "due" else {kind}
    return any(span.kind in kinds for span in read.spans)


def _without(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()].rstrip()} {text[found.end() :].lstrip()}".strip()
