"""Rules for new due dates: "move the dentist to friday", "postpone the slides by two days".

A due date counts only if quick add parses all of it; the words before it must name a task.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import Line
from todo.assistant.rules.task_match import EVERY_TASK, Match, TaskIndex
from todo.quickadd.moves import parse_new_due

_MOVE = (
    r"(?:move|push|postpone|reschedule|re-schedule|shift|delay|defer|snooze|put off|bump"
    r"|set|do|schedule|put|change(?= .* to )|make(?= .* due ))"
)
# Such as "move x to friday", "do x tomorrow instead", "push x back to", "set the due date of x to".
_TO = re.compile(rf"{_MOVE} (?:(?:the )?(?:due date|deadline|due|date) (?:of|for) )?(?P<x>\S.*)")
_AWAY = re.compile(
    r"(?:push|postpone|delay|defer|snooze|put off|push back|put back|push off) (?P<x>\S.*?)"
    r"(?: back| off| out)?(?: by| for)? (?P<due>(?:an?|one|two|three|four|five|six|seven|eight"
    r"|nine|ten"
    r"|another|\d{1,3}) ?(?:more )?(?:minute|min|hour|hr|h|day|d|week|wk|w|month|fortnight"
    r"|year)s?)"
)
_CLOSER = re.compile(
    r"(?:(?:bring|pull) (?P<x>\S.*?) forward|move (?P<y>\S.*?) up)(?: by)?"
    r" (?P<due>(?:an?|one|two|three|four|five|six|\d{1,3}) ?(?:minute|min|hour|hr|day|week"
    r"|month)s?)"
)
_IS_DUE = re.compile(
    r"(?P<x>\S.*?)(?:: ?| (?:is|are) (?:now |only |actually )?)"
    r"(?:due|needed|necessary|wanted|planned)(?: (?:any ?more|now))?"
    r"(?: (?:on|by|at|for|until|till|before))? (?P<due>\S.*)"
    # "not due on friday" does not set a due date.
    r"|(?P<z>\S.*?) (?:isn't|aren't|is not|are not) (?:now |only |actually )?"
    r"(?:(?:due|planned)(?: any ?more)? (?:until|till)"
    r"|(?:needed|necessary|wanted)(?: any ?more)? (?:until|till|before)) (?P<not_before>\S.*)"
    r"|(?P<y>\S.*?) (?:can|has to|have to|must|will have to) wait (?:until|till"
    r"|for) (?P<until>\S.*)"
)
_NO_DUE = re.compile(
    r"(?:remove|clear|delete|drop|unset|take away) (?:the )?(?:due date|deadline|due|date)"
    r" (?:from|of|for|on) (?P<x>\S.*)"
    # Without "any more", it describes the task and does not change it.
    r"|(?P<y>\S.*?) (?:has|have) no (?:due date|deadline) (?:any ?more|any longer|now)"
)
# A new day keeps the time of day anyway.
_SAME_TIME = re.compile(r",? (?:(?:at|with|for) )?(?:the )?same (?:time|hour)\Z")
_INSTEAD = re.compile(r"(?P<x>\S.*?),? instead")
_BEFORE_DUE = re.compile(
    r"(?:(?:forward|back|out|off|up|on|over|due|it) )?(?:to|until|till|for|on|by|at|onto) "
)
_ARROW = re.compile(r"(?P<x>\S.*?) ?(?:->|=>|\u2192) ?(?:(?:on|by|at|to|until) )?(?P<due>\S.*)")
# "do everything on friday" moves nothing.
_OF_ALL = re.compile(r"(?:move|push|postpone|reschedule|shift|delay|defer|snooze|put off|bump) ")
_ALL = re.compile(rf"everything|{EVERY_TASK}")
# "schedule a call with mom on friday" is an addition.
_NEW = re.compile(r"(?:set(?: up)?|do|schedule|put|make) (?:an?|another|one more|some|two|three)\b")
_LAST_WORDS = 7
_LONGEST_DUE = 60


def decide_reschedule(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the decision to move tasks to a new due date, or None."""
    end = len(_SAME_TIME.sub("", line.folded))
    line = replace(line, text=line.text[:end], folded=line.folded[:end])
    removed = _NO_DUE.fullmatch(line.folded)
    if removed is not None:
        if removed["x"]:
            return _decide(index.match(line.cut(removed)), "none")
        return _decide(index.match_subject(line.cut(removed, "y")), "none")
    for phrase, due in _find_distances(line):
        if _is_due(due, context):
            decision = _decide(_match(phrase, line, index), due)
            if decision is not None:
                return decision
    return _decide_to(line, context, index)


def cut_due(line: Line, context: RuleContext) -> str | None:
    """Return the words of a new due date at the end of a message, regardless of the rest."""
    for _, due in _find_distances(line):
        if _is_due(due, context):
            return due
    for _, due in _split(_without_instead(line)[0], context):
        return due
    return None


def _find_distances(line: Line) -> Iterator[tuple[str, str]]:
    """Yield each possible phrase for the moved task, with the distance from its due date."""
    away = _AWAY.fullmatch(line.folded)
    if away is not None:
        yield line.cut(away), f"{_plain(away['due'])} later"
    closer = _CLOSER.fullmatch(line.folded)
    if closer is not None:
        yield line.cut(closer, "x" if closer["x"] else "y"), f"{_plain(closer['due'])} earlier"


def _plain(length: str) -> str:
    return length.replace("another", "one").replace("more ", "")


def _decide_to(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    stated = _IS_DUE.fullmatch(line.folded)
    if stated is not None:
        groups = (("x", "due"), ("y", "until"), ("z", "not_before"))
        group, due = next(pair for pair in groups if stated[pair[0]])
        if _is_due(line.cut(stated, due), context):
            return _decide(index.match_subject(line.cut(stated, group)), line.cut(stated, due))
    moved = None if _NEW.match(line.folded) else _TO.fullmatch(line.folded)
    text, says_instead = _without_instead(line)
    tries = [] if moved is None else [text[moved.start("x") :]]
    # "water the plants tomorrow instead" has no verb that moves a task.
    tries += [text] if says_instead else []
    for attempt in tries:
        for phrase, due in _split(attempt, context):
            decision = _decide(_match(phrase, line, index), due)
            if decision is not None:
                return decision
    arrow = _ARROW.fullmatch(line.folded)
    if arrow is not None and _is_due(line.cut(arrow, "due"), context):
        return _decide(index.match(line.cut(arrow)), line.cut(arrow, "due"))
    return None


def _match(phrase: str, line: Line, index: TaskIndex) -> Match:
    """Return the tasks of a phrase, which may denote all of the user's tasks."""
    if _OF_ALL.match(line.folded) and _ALL.fullmatch(phrase.lower()):
        return index.match(phrase) or Match(index.find_own())
    return index.match(phrase)


def _without_instead(line: Line) -> tuple[str, bool]:
    found = _INSTEAD.fullmatch(line.folded)
    return (line.text, False) if found is None else (line.cut(found), True)


def _split(text: str, context: RuleContext) -> Iterator[tuple[str, str]]:
    """Yield the ways to split a text into a phrase and a due date, longest due date first."""
    starts = [found.start() for found in re.finditer(r"\S+", text)][1:][-_LAST_WORDS:]
    for start in starts:
        rest = text[start:]
        joined = _BEFORE_DUE.match(rest.lower())
        due = rest if joined is None else rest[joined.end() :]
        if _is_due(due, context):
            yield text[:start].rstrip(" ,:"), due


def _is_due(text: str, context: RuleContext) -> bool:
    if not 0 < len(text) <= _LONGEST_DUE:
        return False
    try:
        parse_new_due(text, context.now, context.zone)
    except ValueError:
        return False
    return True


def _decide(match: Match, due: str) -> Decision | None:
    if match.found:
        return Decision("reschedule", due, match.found, affects_others=match.affects_others)
    if match.candidates:
        return Decision("reschedule", due, candidates=match.candidates)
    return None
