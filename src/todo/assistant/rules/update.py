"""Rules for other changes of tasks: title, priority, tags, list and reminders."""

import re
from typing import Any

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import Line, is_quotation, unquote
from todo.assistant.rules.task_match import Match, TaskIndex
from todo.quickadd.marks import ListNames

_RENAME = re.compile(
    r"(?:rename|retitle|change the (?:title|name) of|change the wording of|reword) (?P<x>\S.*)"
)
_CHANGE = re.compile(r"(?:change|turn|replace) (?P<x>\S.*)")
_TO = re.compile(r" (?:to|into|as|with|in to) ")
_LEVELS = {
    "high": "high", "highest": "high", "top": "high", "urgent": "high", "important": "high",
    "critical": "high", "p1": "high", "medium": "medium", "normal": "medium", "p2": "medium",
    "middle": "medium", "low": "low", "lowest": "low", "p3": "low", "unimportant": "low",
    "none": "none", "no": "none", "p4": "none",
}  # fmt: skip
_LEVEL = rf"(?P<level>{'|'.join(sorted(_LEVELS, key=len, reverse=True))})"
# "the bread is low" and "put the heating on low" do not set a priority.
_CLEAR = r"(?P<level>urgent|important|critical|unimportant|p[1-4])"
_VERY = r"(?:(?:now|very|really|super|most|quite|pretty|not) )?"
_PRIORITY = (
    re.compile(
        rf"(?:set|change|put|raise|lower|make|update) (?:the )?priority (?:of|for|on) (?P<x>\S.*?)"
        rf" (?:to|as) {_LEVEL}(?: priority)?"
    ),
    re.compile(
        rf"(?:make|set|mark|flag|give|put|bump) (?P<x>\S.*?) (?:(?:to|as|at|a|is) ){{0,3}}{_LEVEL}"
        r" (?:priority|prio)"
    ),
    re.compile(rf"(?:make|set|mark|flag|give|put|bump) (?P<x>\S.*?) (?:(?:to|as|at) )?{_CLEAR}"),
    re.compile(rf"(?:set|mark|flag|bump) (?P<x>\S.*?) (?:to|as|at) {_LEVEL}"),
    re.compile(
        rf"(?P<x>\S.*?) (?:is|are|has|have|got|became|becomes) {_VERY}(?:a )?{_LEVEL}"
        r" (?:priority|prio)"
    ),
    re.compile(rf"(?P<x>\S.*?) (?:is|are|got|became|becomes) {_VERY}{_CLEAR}"),
    re.compile(rf"(?P<x>\S.*?)[:,]? (?:priority|prio):? {_LEVEL}"),
)
_STATED = _PRIORITY[4:6]
"""Patterns whose subject may be a person: "Tom is a high priority"."""
# The subject is a task: "Tom is low priority", without an article.
_IS_FIELD = re.compile(rf" (?:is|has) {_LEVEL} (?:priority|prio)\Z")
_TAG = r"(?P<tag>[#@+]?[^\W_][\w/&.'-]{0,60}|[" + "\ufffc" + r"]+)"
_ADD_TAG = (
    re.compile(rf"(?:tag|label) (?P<x>\S.*?) (?:with|as) (?:the (?:tag|label) )?{_TAG}"),
    re.compile(
        rf"(?:add|put|attach|set) (?:the |a )?(?:tag|label) {_TAG} (?:to|on) (?P<x>\S.*)"
        rf"|(?:add|put|attach) (?=[#@]){_TAG.replace('tag', 'sign')} (?:to|on) (?P<y>\S.*)"
    ),
)
_REMOVE_TAG = (
    re.compile(
        rf"(?:remove|delete|drop|take) (?:the )?(?:(?:tag|label) {_TAG}"
        rf"|{_TAG.replace('tag', 'sign')} (?:tag|label)) (?:from|off|of) (?P<x>\S.*)"
    ),
    re.compile(rf"untag (?P<x>\S.*?) (?:from |with |as )?(?=[#@]){_TAG}"),
)
_MOVE = re.compile(
    r"(?:move|transfer|file|shift|reassign) (?P<x>\S.*?) (?:to|into|in|onto|under)"
    r" (?:(?:the|my|our) )?(?:list )?(?P<list>\S.{0,60}?)(?: list)?"
    # "put the slides on the shelf" names no list.
    r"|put (?P<y>\S.*?) (?:on|in|into|onto) (?:(?:the|my|our) )?(?P<of>\S.{0,60}?) list"
)
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "five": 5, "ten": 10, "fifteen": 15,
    "twenty": 20, "thirty": 30,
}  # fmt: skip
_MINUTES = {"minute": 1, "min": 1, "hour": 60, "hr": 60, "day": 1440, "week": 10_080}
_TIME = rf"(?:(?:{'|'.join(_NUMBERS)}|\d{{1,3}}) ?(?:{'|'.join(_MINUTES)})s?|half an hour)"
_LENGTH = re.compile(r"(?P<number>[a-z]+|\d+) ?(?P<unit>[a-z]+?)s?")
_REMINDER = re.compile(
    r"(?:remind me|set (?:me )?a reminder) (?:(?:about|of|to|for) )?(?P<x>\S.*?),?"
    rf" (?P<after>{_TIME}) (?:before|beforehand|earlier|in advance|ahead)"
    rf"|remind me (?P<first>{_TIME}) before (?P<y>\S.*)"
)
_MAX_SPLITS = 6


def decide_update(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the change of title, priority, tags, list or reminders in a message, or None."""
    return (
        _decide_title(line, index)
        or _decide_priority(line, index)
        or _decide_tags(line, index)
        or _decide_list(line, context, index)
        or _decide_reminder(line, index)
    )


def cut_fields(line: Line, context: RuleContext) -> dict[str, Any]:
    """Return the fields that a message changes, regardless of its task; empty for none."""
    for pattern in _PRIORITY:
        found = pattern.fullmatch(line.folded)
        if found is not None:
            return {"priority": _LEVELS[found["level"]]}
    for name, patterns in (("add_tags", _ADD_TAG), ("remove_tags", _REMOVE_TAG)):
        for pattern in patterns:
            found = pattern.fullmatch(line.folded)
            if found is not None:
                return {name: [_cut_tag(line, found)]}
    moved = _find_move(line, context)
    if moved is not None:
        return {"list": moved[1]}
    renamed = _RENAME.fullmatch(line.folded)
    splits = [] if renamed is None else list(_TO.finditer(line.folded, renamed.start("x")))
    return {} if len(splits) != 1 else {"title": unquote(line.text[splits[0].end() :])}


def _decide_title(line: Line, index: TaskIndex) -> Decision | None:
    found = _RENAME.fullmatch(line.folded)
    is_quoted = found is None
    if found is None:
        # "change 'a' to 'b'": without quotation marks, "b" could be a due date.
        found = _CHANGE.fullmatch(line.folded)
    if found is None:
        return None
    start = found.start("x")
    splits = list(_TO.finditer(line.folded, start))[:_MAX_SPLITS]
    decisions = []
    for split in splits:
        old, new = line.text[start : split.start()].strip(), line.text[split.end() :].strip()
        if not new or (is_quoted and not (is_quotation(old) and is_quotation(new))):
            continue
        match = index.match(old)
        if match:
            decisions.append(_decide(match, {"title": unquote(new)}))
    if not decisions or any(each != decisions[0] for each in decisions):
        return None
    return decisions[0]


def _decide_priority(line: Line, index: TaskIndex) -> Decision | None:
    for pattern in _PRIORITY:
        found = pattern.fullmatch(line.folded)
        if found is not None and " not " not in line.folded:
            phrase = line.cut(found)
            is_said = pattern in _STATED and _IS_FIELD.search(line.folded) is None
            match = index.match_subject(phrase) if is_said else index.match(phrase)
            if match:
                return _decide(match, {"priority": _LEVELS[found["level"]]})
    return None


def _decide_tags(line: Line, index: TaskIndex) -> Decision | None:
    for name, patterns in (("add_tags", _ADD_TAG), ("remove_tags", _REMOVE_TAG)):
        for pattern in patterns:
            found = pattern.fullmatch(line.folded)
            if found is None:
                continue
            is_second = "y" in found.groupdict() and found["x"] is None
            match = index.match(line.cut(found, "y" if is_second else "x"))
            if match:
                return _decide(match, {name: [_cut_tag(line, found)]})
    return None


def _decide_list(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    moved = _find_move(line, context)
    if moved is None:
        return None
    phrase, name = moved
    match = index.match(phrase)
    return _decide(match, {"list": name}) if match else None


def _decide_reminder(line: Line, index: TaskIndex) -> Decision | None:
    """Return the reminder that a message adds to a task with a due time, or None."""
    found = _REMINDER.fullmatch(line.folded)
    if found is None:
        return None
    match = index.match(line.cut(found, "x" if found["x"] else "y"))
    fitting = match.found or match.candidates
    if len(match.found) > 1 or any(task.due is None or "T" not in task.due for task in fitting):
        # A reminder requires a due time.
        return None
    kept = [minutes for task in match.found for minutes in task.reminders]
    minutes = _read_minutes(found["after"] or found["first"])
    return _decide(match, {"reminders": sorted({*kept, minutes})}) if match else None


def _read_minutes(text: str) -> int:
    """Return the duration of "half an hour" or "2 days", in minutes."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        return _MINUTES["hour"] // 2
    number = found["number"]
    return (_NUMBERS.get(number) or int(number)) * _MINUTES[found["unit"]]


def _find_move(line: Line, context: RuleContext) -> tuple[str, str] | None:
    found = _MOVE.fullmatch(line.folded)
    if found is None:
        return None
    task, place = ("x", "list") if found["x"] else ("y", "of")
    name = ListNames(context.list_names).find(line.cut(found, place).strip("\"'"))
    return None if name is None else (line.cut(found, task), name)


def _cut_tag(line: Line, found: re.Match[str]) -> str:
    groups = found.groupdict()
    group = "tag" if groups.get("tag") else "sign"
    return unquote(line.cut(found, group)).lstrip("#@+")


def _decide(match: Match, fields: dict[str, Any]) -> Decision:
    if match.found:
        found, others = match.found, match.affects_others
        return Decision("update", tasks=found, fields=fields, affects_others=others)
    return Decision("update", fields=fields, candidates=match.candidates)
