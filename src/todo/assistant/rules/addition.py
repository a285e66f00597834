"""Rules for additions: "add …", "remind me to …", "don't let me forget to …", "buy eggs tomorrow".

The text of an addition is a line for quick add, which parses dates, tags and lists. The words after
the announcement are its title, even if they are a command: "add cancel the gym".
"""

import re

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import QUOTED, Line, fold
from todo.assistant.rules.new_task import (
    ASK_TITLE,
    ask_for_title,
    cut_end,
    decide_counted,
    is_read_only,
    make_addition,
    mark_list,
    mark_priority,
    parse_line,
)
from todo.assistant.rules.outcome import OUTCOMES, find_reported, is_report
from todo.assistant.rules.statement import is_statement, says_change
from todo.assistant.rules.task_match import TaskIndex
from todo.assistant.rules.vocabulary import (
    COMMANDS,
    ERRANDS,
    IDIOMS,
    MOTIONS,
    NOT_DUTIES,
    NOT_IN_TITLES,
    VERBS,
)
from todo.assistant.rules.words import split_words
from todo.quickadd.marks import ListNames

# Plurals count only before a colon or comma: in "add reminders app", the word is part of a name.
_NOUN = (
    r"(?:task|to-?do|to do|todo item|item|reminder|entry|note|chore"
    r"|(?:tasks|to-?dos|items|reminders|chores)(?=[:,]))"
)
_A = r"(?:(?:a|an|the|another|one|more|new|this|following|quick|my) )*"
_SAYS = (
    r"(?:(?: (?:that says|saying|called|named|titled|which says)\b)?:?(?= |\Z|" + QUOTED + r")"
    r"|:)(?: (?:for me to|to|that i (?:have|need) to|that i|about|for|of)\b)?"
)
# A property of a task, as in "add a tag", is not an addition.
_PART = re.compile(
    rf"(?:{_A}(?:tags?|labels?|priority|due date|deadline|due|description|comment|subtask"
    rf"|sub-task|lists?|project|folder|section)\b)"
    r"|\d+ (?:day|week|hour|minute|month)s? to\b"
)
_COMMAND = re.compile(
    rf"(?:add|create|insert|enter|log|save|record|append|put down|jot down|write down|note down"
    rf"|take down|set up|put|make|note|new|capture)\b:?(?: me\b)?"
    rf"(?P<noun> {_A}{_NOUN}{_SAYS})?:?,?(?P<x> *\S.*)"
)
# These verbs announce an addition only if a word for a task, or a list, follows.
_NEED_NOUN = ("make", "set up", "new", "note", "put", "save", "enter", "log", "record", "capture")
_ALONE = ("put down", "jot down", "write down", "note down", "take down")
_NO_TITLE = re.compile(
    rf"(?:add|create|(?:add|create|insert|enter|make|set|new)(?: me)? {_A}{_NOUN}|remind me):?"
)
_TASK_OF_LIST = re.compile(
    rf"(?:add|create|insert|make|put) {_A}{_NOUN} (?:to|on|in|for) (?:(?:my|the|our) )?"
    r"(?P<list>\S.{0,60}?)(?: list)?"
)
_LABEL = re.compile(
    r"(?:(?:new |next )?(?:task|todo|to-do|to do|item)|note to self|reminder|note)"
    r"(?: (?:to self))?(?:: ?| ?- )(?P<x>\S.*)"
)
_NOTED = re.compile(
    r"(?:(?:make a note|take a note|set (?:me )?(?:a|another) (?:reminder|alarm)"
    r"|create a reminder) (?:to|that|about|for)|note that)\b(?P<x> \S.*)"
)
_REMIND = re.compile(r"(?:please )?remind me(?P<x>\b.*)")
_REMIND_OF = re.compile(r" (?:about|of|that|to|:)(?= )|:")
_REMIND_WHAT = re.compile(r" (?:what|when|who|whom|how|why|where|which|if|whether)\b")
# The due date comes first: "in 20 minutes remind me to check the oven".
_DUE_FIRST = re.compile(
    r"(?P<due>\S.{0,40}?),? (?P<x>(?:remind me to|don't let me forget to|don't forget to"
    r"|(?:i|we) (?:need|have) to|i must|i've got to) \S.*)"
)
# "add a note to the passport task" and "a reminder for the dentist" are about a task.
_ABOUT_TASK = re.compile(
    r".*\b(?:notes? (?:to|for|about|on)|(?:reminders?|alarm) (?:to|for|about|on))"
)
# These change another task: "add high priority to the slides", "add cheese and complete the milk".
_TO_TASK = re.compile(
    r"(?P<thing>\S.*?) (?:to (?=the |my |our )|and (?:complete|delete|remove|move|rename|reopen"
    r"|postpone|reschedule) )(?P<x>\S.*)"
)
ANNOUNCING = frozenset({"add", "remember", "remind"})
"""First words of messages that only `decide_addition` can turn into an addition."""
_MEMORY = re.compile(r" *(?:when|how|where|why|who)\b")
_BEFORE_DUE = re.compile(
    r".*\b(?:(?:an?|one|two|three|four|five|six|ten|fifteen|twenty|thirty|\d{1,3})"
    r" (?:minute|min|hour|hr|day|week)s?|half an hour) (?:before|beforehand|earlier|in advance)"
)
_FORGET = re.compile(
    r"(?:(?:please )?(?:don't|do not|never) (?:let me )?forget"
    r"|(?:please )?(?:help me )?(?:to )?remember|(?:make|be) sure (?:that )?(?:i|to)\b"
    r"(?: (?:don't|do not) forget)?|i (?:must not|mustn't|can't|cannot|shouldn't) forget)"
    r"(?: (?:to|about|that)|:)?(?P<x> \S.*)"
)
_NEED = re.compile(
    r"(?:(?:i|we)(?:'ve|'d)? )?(?:(?:really|probably|also|still|just|definitely|urgently) )*"
    r"(?:(?:need|have|ought|got)(?P<to> to)|gotta|must|should|had better|better)\b"
    r"(?: (?:really|probably|also|still|definitely|better))*(?P<x> \S.*)"
)
_TO_REMEMBER = re.compile(r"(?:remember|not forget)(?: (?:that|to|about))?(?= )")
_OWN_DUTY = re.compile(
    r"(?:that )?i(?:'ve| have| need| must| should| ought| got| will|'ll)+(?: got)?(?: to)? (?=\S)"
)
_AS_TASK = re.compile(r"(?P<x>.*\S) as an? (?:new )?(?:task|todo|to-do|item|reminder)")
_TO_LIST = re.compile(
    r"(?P<x>.*\S),? (?:to|on|onto|in|into|under) (?P<own>(?:my|the|our) )?(?P<list>\S.{0,60}?)"
    r"(?P<noun> ?lists?)?"
)
_LIST_FIRST = re.compile(
    r"(?:to|on|onto|in|into|under) (?P<own>(?:my|the|our) )?(?P<list>[^:,]{1,60}?)(?P<noun> list)?"
    r" ?[:,] ?(?P<x>\S.*)"
)
_ANY_LIST = frozenset({
    "", "to-do", "todo", "to do", "task", "tasks", "todos", "to-dos", "things to do", "list",
    "inbox",
})  # fmt: skip
# "I need to drop the parcel off" is an addition, "I want to see my tasks" is not.
_REQUESTS = COMMANDS - frozenset({"drop", "move", "push", "finish", "complete", "close", "change"})
CHECKS = ("\u2713", "\u2714", "\u2705", "\u2611")
_LIGHT = re.compile(
    r"(?:make|get|do|have|take|set|put|finish) (?!(?:an?|another|some)\b)(?P<x>\S.*?)"
    r"(?: (?:done|finished|completed|sorted|handled|ready|over with|out of the way))?"
)
_CAUSES = frozenset({"get", "have", "make"})
# "remind me about the haircut" may refer to an existing task.
_KNOWN_THING = re.compile(r"(?:the|my|our) (?:[^\W\d_]|[ -])+\Z")
_MAX_BARE_WORDS = 15
_MIN_BARE_WORDS = 2


def decide_addition(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the addition that a message announces in words, or None."""
    if line.is_question or line.folded.startswith(("don't add", "do not add")):
        return None
    return _decide_unclear(line, context) or _decide_announced(line, context, index)


def _decide_unclear(line: Line, context: RuleContext) -> Decision | None:
    """Return counted additions, or help about an incomplete one; None for any other message."""
    if _NO_TITLE.fullmatch(line.folded):
        return ASK_TITLE
    unknown = _find_unknown_list(line, context)
    if unknown is not None:
        return Decision("help", "unknown-list", fields={"list": unknown})
    return decide_counted(line, context) or ask_for_title(line, context)


def _decide_announced(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    rest = (
        _find_command(line, context, index)
        or _find_reminder(line, context)
        or _find_noted(line, context, index)
        or _find_due_first(line, context)
    )
    if rest is None:
        return None
    of_list = _TASK_OF_LIST.fullmatch(line.folded)
    if of_list is not None and ListNames(context.list_names).find(of_list["list"]) is not None:
        return ASK_TITLE
    read = parse_line(rest, context)
    if _KNOWN_THING.match(fold(rest)) and not _is_new(rest, context, index):
        return None
    has_title = read is None or read.title or read.questions
    return _make(rest, context) if has_title else ASK_TITLE


def decide_need(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the addition of "I need to …", unless it refers to an existing task."""
    found = None if line.is_question else _NEED.fullmatch(line.folded)
    if found is None:
        return None
    rest = _cut_duty(line, found)
    words = split_words(rest)
    if not words or words == ["talk"] or words[0] in _REQUESTS | NOT_DUTIES | NOT_IN_TITLES:
        return None
    is_verb = found["to"] is not None or words[0] in VERBS
    return _make(rest, context) if is_verb and _is_new(rest, context, index) else None


def decide_bare(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the addition of an unannounced line: "buy eggs tomorrow", "dentist fri 3pm".

    The line must start with a verb of everyday tasks, or contain a time or a quick-add mark.
    """
    words = split_words(line.text)
    plain = {word.partition("'")[0] for word in line.folded.split()}
    is_short = _MIN_BARE_WORDS <= len(words) <= _MAX_BARE_WORDS
    if line.is_question or not is_short or not NOT_IN_TITLES.isdisjoint(plain):
        return None
    is_done = not OUTCOMES.isdisjoint(words[1:]) and words[0] not in _CAUSES
    if is_done or line.text.startswith(CHECKS):
        # The line reports the completion of an unknown task: "oil change done at the garage".
        return None
    if words[0] in COMMANDS | ANNOUNCING or ". " in line.text or line.folded.startswith(IDIOMS):
        return None
    read = parse_line(line.text, context)
    if read is None or read.questions or _is_known(read.title, context, index):
        return None
    has_marks = any(span.kind in {"priority", "tag", "list"} for span in read.spans)
    has_due = read.due_date is not None or read.due_at is not None
    is_to_do = words[0] in ERRANDS or (words[0] in VERBS and has_due)
    is_timed = read.due_at is not None and not is_statement(line.text, read.title)
    is_said = says_change(read.title) if has_due else is_report(line.folded, words)
    if has_marks or is_timed or (is_to_do and not is_said):
        return make_addition(line.text, context)
    return None


def cut_addition(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the addition of a message that is known to be one, if necessary the whole text."""
    return (
        decide_addition(line, context, index)
        or _cut_need(line, context)
        or (None if line.is_question else _make(line.text, context))
    )


def _cut_need(line: Line, context: RuleContext) -> Decision | None:
    found = _NEED.fullmatch(line.folded)
    return None if found is None else _make(_cut_duty(line, found), context)


def _cut_duty(line: Line, found: re.Match[str]) -> str:
    """Return the words for what the user needs to do, without "to remember to"."""
    rest = line.cut(found)
    again = _TO_REMEMBER.match(fold(rest))
    return rest if again is None else rest[again.end() :].strip()


def _find_command(line: Line, context: RuleContext, index: TaskIndex) -> str | None:
    """Return the text after "add", "create a task to", "put … on my list" or "new task:"."""
    label = _LABEL.fullmatch(line.folded)
    if label is not None:
        return line.cut(label)
    found = _COMMAND.fullmatch(line.folded)
    if found is None or _PART.match(found["x"].strip()):
        return None
    rest = line.cut(found).lstrip(": ")
    needs_noun = line.folded.startswith(_NEED_NOUN) and not line.folded.startswith(_ALONE)
    listed = _find_list(rest, context, is_announced=not needs_noun)
    if listed is None:
        # The list may precede the dates and marks: "bread to groceries tomorrow, high priority".
        head, end = cut_end(mark_priority(rest, context), context)
        before = _find_list(head, context, is_announced=not needs_noun) if end else None
        listed = None if before is None else f"{before} {end}"
    if needs_noun and found["noun"] is None:
        # "put the milk on the shopping list" may refer to an existing task "milk".
        is_addition = line.folded.startswith("put") and listed is not None
        return listed if is_addition and _is_new(listed or "", context, index) else None
    if _is_about_task(line, found, context, index):
        return None
    if listed is None:
        return None if _has_task(rest, context, index) else rest
    return listed


def _has_task(rest: str, context: RuleContext, index: TaskIndex) -> bool:
    """Return whether a text asks for a change of an existing task."""
    found = _TO_TASK.fullmatch(fold(rest))
    if found is None or _is_new(rest[found.start("x") :], context, index):
        return False
    # "add send the photos to the dentist" is a task.
    return (
        " and " in found[0][: found.start("x")] or split_words(found["thing"])[:1][0] not in VERBS
    )


def _find_noted(line: Line, context: RuleContext, index: TaskIndex) -> str | None:
    """Return the text after "don't forget to" or "make a note that"."""
    found = _NOTED.fullmatch(line.folded) or _FORGET.fullmatch(line.folded)
    if found is None or _MEMORY.match(found["x"]) or _is_about_task(line, found, context, index):
        return None
    return line.cut(found)


def _is_about_task(
    line: Line, found: re.Match[str], context: RuleContext, index: TaskIndex
) -> bool:
    if _ABOUT_TASK.fullmatch(line.folded[: found.start("x")].rstrip()) is None:
        return False
    return not _is_new(line.cut(found).partition(":")[0], context, index)


def _find_reminder(line: Line, context: RuleContext) -> str | None:
    """Return the text after "remind me to", or the whole line if quick add finds a reminder."""
    found = _REMIND.fullmatch(line.folded)
    if found is None or _REMIND_WHAT.match(found["x"]):
        return None
    read = parse_line(line.text, context)
    if read is not None and read.reminders and not read.questions:
        return line.text
    if _BEFORE_DUE.fullmatch(found["x"]):
        # This is a reminder for an existing task with a due time.
        return None
    mark = _REMIND_OF.match(found["x"])
    start, end = found.span("x")
    if mark is not None:
        return line.text[start + mark.end() : end].strip()
    at = line.folded.find(" to ", start, start + 60)
    due = line.text[start:at].strip()
    return f"{line.text[at + 4 : end].strip()} {due}" if at > 0 and _is_due(due, context) else None


def _find_due_first(line: Line, context: RuleContext) -> str | None:
    """Return an announced addition whose due date precedes the announcement."""
    found = _DUE_FIRST.fullmatch(line.folded)
    due = "" if found is None else line.cut(found, "due")
    if found is None or not _is_due(due, context):
        return None
    rest = line.cut(found)
    if rest.lower().startswith("remind me to"):
        return f"{rest} {due}"
    duty = _FORGET.fullmatch(found["x"]) or _NEED.fullmatch(found["x"])
    return None if duty is None else f"{rest[duty.start('x') :].strip()} {due}"


def _is_due(text: str, context: RuleContext) -> bool:
    read = parse_line(text, context)
    return read is not None and not read.title and not read.questions


def _find_list(rest: str, context: RuleContext, *, is_announced: bool) -> str | None:
    """Return a text with its list phrase replaced by a quick-add mark; None without a list."""
    folded = fold(rest)
    first = _LIST_FIRST.fullmatch(folded)
    found = first or _TO_LIST.fullmatch(folded) or _AS_TASK.fullmatch(folded)
    if found is None:
        return None
    item = rest[found.start("x") : found.end("x")].strip()
    if "list" not in found.groupdict():
        return item
    name = rest[found.start("list") : found.end("list")].strip()
    is_named = bool(found["own"] or found["noun"])
    if name.lower() in _ANY_LIST:
        return item if is_named or name.lower() == "inbox" else None
    known = ListNames(context.list_names).find(name)
    if known is None or not (is_named or _is_thing(item, is_announced=is_announced)):
        return None
    return mark_list(item, known)


def _find_unknown_list(line: Line, context: RuleContext) -> str | None:
    """Return the list name of an addition if the user cannot add tasks to such a list."""
    if _COMMAND.fullmatch(line.folded) is None:
        return None
    head = line.folded[: len(cut_end(line.text, context)[0])]
    tries = [_TO_LIST.fullmatch(text) for text in (line.folded, head)]
    listed = next((each for each in tries if each and each["own"] and each["noun"]), None)
    if listed is None:
        names = [line.cut(each, "list") for each in tries if each is not None]
        return next((name for name in names if is_read_only(name, context)), None)
    name = line.cut(listed, "list")
    is_known = name.lower() in _ANY_LIST or ListNames(context.list_names).find(name) is not None
    return None if is_known or QUOTED in line.folded[listed.start("list") :] else name


def _is_thing(item: str, *, is_announced: bool) -> bool:
    """Return whether a text is a noun or quoted: "bike to work", not "ride the bike to work"."""
    words = split_words(item)
    is_noun = bool(words) and words[0] not in VERBS | MOTIONS
    return is_announced and (fold(item).startswith(QUOTED) or is_noun)


def _make(rest: str, context: RuleContext) -> Decision | None:
    duty = _OWN_DUTY.match(rest.lower())
    return make_addition((rest if duty is None else rest[duty.end() :]).strip(" :,"), context)


def _is_known(title: str, context: RuleContext, index: TaskIndex) -> bool:
    """Return whether a line may refer to a task: "make mom's call at 6pm" to "Call mom"."""
    thing = _LIGHT.fullmatch(title.lower())
    return (
        not _is_new(title, context, index)
        or find_reported(title, context) is not None
        or (
            thing is not None
            and not _is_new(title[thing.start("x") : thing.end("x")], context, index)
        )
    )


def _is_new(text: str, context: RuleContext, index: TaskIndex) -> bool:
    """Return whether no task has all words of a text, apart from its dates."""
    read = parse_line(text, context)
    if read is None:
        return True
    match = index.match(read.title)
    return all(task.is_read_only for task in match.found or match.candidates)
