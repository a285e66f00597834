"""Conversion of an addition to a quick-add line.

Quotation marks around a title are removed, "with high priority" becomes a mark, and "the meeting is
at 3pm" becomes "the meeting at 3pm".
"""

import re
from itertools import islice

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import Line, fold, is_quotation
from todo.assistant.rules.task_match import split_parts
from todo.assistant.rules.vocabulary import COMMANDS, TASK_NOUNS, VERBS
from todo.assistant.rules.words import split_words
from todo.quickadd.marks import ListNames
from todo.quickadd.parser import parse_quick_add
from todo.quickadd.result import MAX_TEXT, QuickAdd

_LEVEL = r"(?P<{}>high|highest|top|urgent|medium|normal|low|lowest)"
_PRIORITY = re.compile(
    r"(?:(?P<joint> ?[,;(\u2013]| -| (?:with|at|as|and))? ?(?<!\w)(?:an? )?"
    rf"(?:{_LEVEL.format('level')}[ -](?:priority|prio)"
    rf"|(?:priority|prio):? (?:is )?{_LEVEL.format('later')}"
    r"|urgent(?:ly)?))(?!\w)\)?"
)
_MARKS = {"medium": "!medium", "normal": "!medium", "low": "!low", "lowest": "!low"}
_LAST_WORD = re.compile(
    r"\b(?:is|are|will be|is going to be|starts|begins|takes place|(?:is|are) scheduled)\s*\Z"
)
_STATES = re.compile(r"\b(?:is|are|be|starts|begins|place|scheduled)\b")
# "check when the movie starts" is an instruction.
_ASKS = re.compile(r"\b(?:when|what|where|who|how|why|if|whether|which|that)\b")
_LINKS = VERBS | {
    "a", "about", "an", "and", "are", "as", "at", "by", "for", "from", "has", "have", "in", "is",
    "its", "my", "no", "not", "of", "on", "or", "our", "the", "their", "this", "to", "very", "with",
    "your",
}  # fmt: skip
_NO_TITLE = TASK_NOUNS | {
    *("a", "an", "another", "both", "chore", "chores", "do", "entries", "for", "her", "him", "it"),
    *("me", "more", "my", "new", "note", "of", "reminder", "reminders", "some", "that", "the"),
    *("them", "these", "this", "those", "to"),
}
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTED = re.compile(
    r"(?:add|create|insert|enter|make)(?: me)? (?:(?:these|the following) )?"
    rf"(?P<count>[2-9]|10|{'|'.join(_COUNTS)})"
    r" (?:new |more )?(?:tasks|to-?dos|items|reminders|chores|things)\b(?P<x>.*)"
)
_ONLY_LIST = re.compile(
    r"(?:add|put) (?:to|on|in|into) (?:(?:my|the|our) )?(?P<list>\S.{0,60}?)(?: list)?"
)
_JOINT = re.compile(r"[,;]? (?:and|then) |[,;] ")
_TO_LIST = re.compile(r".*\S (?:to|on|onto) (?:(?:my|the|our) )?(?P<list>\S.{0,60}?)(?: list)?")
_OWN_KINDS = frozenset({"due", "recurrence", "list"})
_REMIND = re.compile(r"\Aremind me (?:that |of |about )?")
_MAX_TRIES = 3
ASK_TITLE = Decision("help", "no-title")
"""Decision for an addition without a title."""
SEVERAL = Decision("help", "several")
"""Decision for a message with several instructions."""


def parse_line(text: str, context: RuleContext) -> QuickAdd | None:
    """Parse a line with quick add; return None for an empty text, or one that is too long."""
    if not text or len(text) > MAX_TEXT:
        return None
    return parse_quick_add(text, context.now, context.zone, context.list_names)


def mark_list(item: str, name: str) -> str | None:
    """Return a line with the mark of a list; None if no mark can represent its name."""
    if '"' in name:
        return None
    return f"{item} #{name}" if name.isalnum() else f'{item} #"{name}"'


def decide_counted(line: Line, context: RuleContext) -> Decision | None:
    """Return the tasks of "add two tasks: sweep, mop", `SEVERAL` if unclear, or None."""
    found = _COUNTED.fullmatch(line.folded)
    if found is None:
        return None
    rest = line.cut(found)
    parts = split_parts(rest[1:].strip()) if rest.startswith(":") else []
    count = found["count"]
    number = int(count) if count.isdigit() else _COUNTS.index(count) + 2
    read = [parse_line(part, context) for part in parts]
    is_clear = all(each is not None and not each.spans and not each.questions for each in read)
    return Decision("add", "\n".join(parts)) if len(parts) == number and is_clear else SEVERAL


def ask_for_title(line: Line, context: RuleContext) -> Decision | None:
    """Return a request for the title if an addition names only a list."""
    found = _ONLY_LIST.fullmatch(line.folded)
    is_list = found is not None and ListNames(context.list_names).find(found["list"]) is not None
    return ASK_TITLE if is_list else None


def make_addition(text: str, context: RuleContext) -> Decision | None:
    """Return the addition of a text, or help if it is unclear; None without text."""
    text = _cut_statement(mark_priority(text, context), context)
    read = parse_line(text, context)
    if read is None or not split_words(read.title):
        return None
    if set(split_words(read.title)) <= _NO_TITLE and not is_quotation(read.title):
        return ASK_TITLE
    if _says_several(read, context):
        return SEVERAL
    unknown = next((tag for tag in read.tags if is_read_only(tag, context)), None)
    if unknown is not None:
        # Quick add would turn "#Team" into a tag.
        return Decision("help", "unknown-list", fields={"list": unknown})
    return Decision("add", remove_marks(text, context))


def is_read_only(name: str, context: RuleContext) -> bool:
    """Return whether a name denotes a list to which the user cannot add tasks."""
    written, read = map(ListNames, (context.list_names, context.read_only_lists))
    return read.find(name) is not None and written.find(name) is None


def _says_several(read: QuickAdd, context: RuleContext) -> bool:
    """Return whether parts of a title have dates or lists: "call Ben and call Ann friday".

    Quick add has found another date or list, which would apply to all parts.
    """
    kinds = {span.kind for span in read.spans}
    if kinds.isdisjoint(_OWN_KINDS):
        return False
    is_quoted = "literal" in kinds
    parts = _JOINT.split(fold(read.title) if is_quoted else read.title, maxsplit=_MAX_TRIES)
    lists = ListNames(context.list_names)
    for part in parts[:-1]:
        listed = _TO_LIST.fullmatch(fold(part)) if "list" in kinds else None
        if listed is not None and lists.find(listed["list"]) is not None:
            return True
    return not is_quoted and any(_has_own(part, context) for part in parts[1:])


def _has_own(part: str, context: RuleContext) -> bool:
    read = parse_line(part, context)
    return read is not None and any(span.kind in _OWN_KINDS for span in read.spans)


def remove_marks(text: str, context: RuleContext) -> str:
    """Return a line without quotation marks around its whole title.

    A line that is only a quotation is unchanged: quick add does not parse it.
    """
    read = None if is_quotation(text) else parse_line(text, context)
    if read is None or not is_quotation(read.title):
        return text
    title = read.title.split()
    spans = (span for span in read.spans if text[span.start : span.end].split() == title)
    quoted = next(spans, None)
    if quoted is None:
        return text
    words = read.title[1:-1].split()
    before, after = text[: quoted.start], text[quoted.end :]
    plain = f"{before}{' '.join(words)}{after}"
    # A backslash makes "tomorrow" a word of the title.
    escaped = f"{before}{' '.join(chr(92) + word for word in words)}{after}"
    return plain if _is_same(plain, escaped, context) else escaped


def cut_end(text: str, context: RuleContext) -> tuple[str, str]:
    """Split a line before the dates and marks at its end."""
    read = parse_line(text, context)
    end = len(text)
    for span in reversed(() if read is None else read.spans):
        if span.kind == "literal" or text[span.end : end].strip(" ,;"):
            break
        end = span.start
    return text[:end].rstrip(" ,;"), text[end:]


def _is_same(plain: str, escaped: str, context: RuleContext) -> bool:
    first, second = parse_line(plain, context), parse_line(escaped, context)
    if first is None or second is None:
        return False
    return all(
        getattr(first, name) == getattr(second, name)
        for name in QuickAdd.__dataclass_fields__
        if name != "spans"
    )


def mark_priority(text: str, context: RuleContext) -> str:
    """Return a line with the words of a priority after its title replaced by a quick-add mark."""
    places = list(islice(_PRIORITY.finditer(fold(text)), _MAX_TRIES))
    read = parse_line(text, context) if places else None
    if read is None or read.priority != "none":
        return text
    for found in places:
        head = text[: found.start()].rstrip()
        if not head or not (found["joint"] or _ends_name(head)):
            continue
        mark = _MARKS.get(found["level"] or found["later"], "!high")
        marked = f"{head} {mark}{text[found.end() :]}"
        # Only dates and marks follow, so the priority is not part of the title.
        title, whole = parse_line(head, context), parse_line(marked, context)
        if title is not None and whole is not None and title.title == whole.title != "":
            return marked
    return text


def _ends_name(head: str) -> bool:
    """Return whether a priority may follow a text, unlike after "sort by"."""
    words = split_words(head)
    return is_quotation(head) or (len(words) > 1 and words[-1] not in _LINKS)


def _cut_statement(text: str, context: RuleContext) -> str:
    """Shorten "the meeting is at 3pm" to "the meeting at 3pm"."""
    read = parse_line(text, context) if _STATES.search(fold(text)) else None
    if read is None or read.questions:
        return text
    due = next((span for span in read.spans if span.kind in {"due", "recurrence"}), None)
    last = None if due is None else _LAST_WORD.search(fold(text[: due.start]))
    if due is None or last is None:
        return text
    subject = _REMIND.sub("", fold(text[: last.start()]))
    words = split_words(subject)
    if not words or words[0] in VERBS | COMMANDS or _ASKS.search(subject):
        return text
    return f"{text[: last.start()]}{text[due.start :]}"
