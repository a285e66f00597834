"""Rules for questions about tasks: "what is due today?", "show my shopping list".

They change nothing, so they may guess more than other rules. A question with words that are neither
filters nor words of a task is not about tasks.
"""

import re
from itertools import islice
from typing import Any

from todo.assistant.rules.decision import Decision, RuleContext
from todo.assistant.rules.line import QUOTED, Line, is_quotation, unquote
from todo.assistant.rules.search_window import take_window
from todo.assistant.rules.task_match import TaskIndex
from todo.assistant.rules.vocabulary import FIND_FILLERS, FIND_SUBJECTS
from todo.assistant.rules.words import split_words
from todo.quickadd.marks import ListNames

_SHOW = re.compile(
    r"(?:(?:i'd like to|i want to|let me) see|show|list|display|view|see|print|give me|tell me"
    r"|read me"
    r"|read out|remind me what|get me)\b(?: me\b)?"
)
_SEARCH = re.compile(r"(?:search(?: for)?|look (?:for|up)|find)\b(?: me)?(?P<x> \S.*)")
_ASK = re.compile(
    r"what|what's|whats|which|how (?:many|much)|any|anything|do i|do we|have i|is there|are there"
    r"|are any|is anything|am i|where are|(?:(?:my|all|open) )?(?:tasks|todos|to-dos|items)"
)
_OF_TASK = re.compile(
    r"(?:when|when's|where|where's|what about|how about|what's|is|are|did i|have i|did we|have we"
    r"|do i|was|were|does|has)\b"
    r"(?: (?:is|are|do i have to|do i need to|should i|must i|was|did i|i have to|already))?"
    r"(?P<x> \S.*?)"
    r"(?: (?:due|done|finished|completed?|open|already|yet|overdue|still|again|planned|scheduled"
    r"|still open|on my list|the status of|have to be done|need to be done))*"
)
_PRIORITY = re.compile(
    r"\b(?P<level>high|medium|low|top)(?:est)?[ -](?:priority|prio)\b|\b(?P<urgent>urgent"
    r"|important)\b"
    r"|\b(?:priority|prio) (?P<later>high|medium|low)\b"
)
_ALL_DONE = re.compile(
    r"(?:am i|are we|is everything)(?: all)? (?:done|finished)(?: (?:now|yet|already))?"
)
_ANY_STATE = re.compile(
    r"\b(?:(?:completed|finished|done) (?:and|or|&) open|open (?:and|or|&) (?:completed|finished"
    r"|done))\b"
)
# Properties that the tasks lack: "with no list", "not on any list".
_WITHOUT = re.compile(
    r"\b(?:(?:(?:that|which) )?(?:has|have|with|in|on) no|without(?: an?| any)?"
    r"|(?:that (?:are|is) )?not (?:in|on) (?:an?|any)) (?P<x>lists?|priority|tags?|labels?)\b"
)
# A search cannot exclude tasks.
_EXCLUDES = frozenset({"but", "except", "excluding", "no", "nor", "not", "without"})
_COUNTS = re.compile(r"\bhow many\b")
_MAX_COUNTED = 50
"""Maximum number of tasks that one search returns."""
_FINISHED = re.compile(
    r"\b(?<!be )(?<!get )(?:completed|finished|done|ticked off|checked off|achieved|accomplished)\b"
    r"|\bdid (?:i|we) (?:finish|complete|do|achieve|accomplish|get done)\b"
)
_TAGGED = re.compile(
    r"\b(?:(?:tagged|labell?ed)(?: with| as)?|(?:with|having) (?:the |a )?(?:tag|label))"
    r" (?P<x>[#@]?[^\W_][\w-]*)|(?<!\S)[#@](?P<y>[^\W_][\w-]*)"
)
_IN_LIST = re.compile(r"\b(?:on|in|from|for|of|under|at) (?:(?:my|the|our) )?(?=[^\W_])")
_LIST_NOUN = re.compile(r" (?:list|tasks|todos|to-dos|stuff|things|items)\b")
_ABOUT = re.compile(
    r"\b(?:about|regarding|containing|mentioning|called|named|related to|to do with|concerning"
    r"|with)"
    r" (?:(?:the |a )?(?:words?|text|term) )?(?P<x>\S.*?)"
    r"(?: in (?:it|them|(?:the|its|their) (?:titles?|names?)))?\Z"
)
# A due date after the search words, as in "about the report due tomorrow".
_DUE = re.compile(r" (?:that (?:is|are) |which (?:is|are) )?due [^\ufffc]*\Z")
_ARTICLE = re.compile(r"\A(?:my|the|our) ")
_OF_LISTS = re.compile(
    r"(?:list|show|show me|what|what are|which|how many|see|display|view|name)"
    r" (?:(?:all|of|my|the|our) )*lists\b"
    r"(?: (?:do (?:i|we) have|are there|exist|(?:i|we) have|there are))?(?P<more>.+)?"
)
# Phrases for tasks: "tasks without a due date", "my urgent tasks".
_TASKS = re.compile(r"(?:\S+ ){0,4}(?:tasks|todos|to-dos)(?: .*)?")
_MAX_NAME_WORDS = 6
_MAX_PLACES = 5
_LIST_WORDS = frozenset({"list", "task", "tasks", "things", "to-do", "to-dos", "todo", "todos"})


def decide_find(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the search that a message requests, or None."""
    searched = _SEARCH.fullmatch(line.folded)
    if searched is not None and not line.is_question:
        return _search(line, searched, context, index)
    text = line.folded.rstrip(" ?!.")
    if _ALL_DONE.fullmatch(text):
        # Listing the open tasks answers the question.
        return Decision("find")
    of_lists = _OF_LISTS.fullmatch(text)
    if of_lists is not None:
        names = (*context.list_names, *context.read_only_lists)
        return None if of_lists["more"] else Decision("help", "lists", fields={"names": names})
    shown = _SHOW.match(line.folded)
    is_show = shown is not None and not line.is_question
    if not (
        is_show or line.is_question or line.folded in {"agenda", "tasks", "my tasks", "overview"}
    ):
        is_about = _TASKS.fullmatch(text) is not None
        return _decide_by_filters(line, text, 0, context, index) if is_about else None
    if shown is None and _ASK.match(text) is None and _OF_TASK.match(text) is None:
        return _decide_about_task(line, index) if line.is_question else Decision("find")
    start = shown.end() if shown is not None else 0
    return _decide_by_filters(line, text, start, context, index) or _decide_about_task(line, index)


def is_show(line: Line) -> bool:
    """Return whether a message starts with a request to see something."""
    return _SHOW.match(line.folded) is not None or _SEARCH.match(line.folded) is not None


def cut_search(line: Line, context: RuleContext, index: TaskIndex) -> Decision | None:
    """Return the search of a message known to be one, by filters or by words of titles."""
    found = decide_find(line, context, index)
    if found is not None:
        return found
    text = line.folded.rstrip(" ?!.")
    by_filters = _decide_by_filters(line, text, 0, context, index)
    if by_filters is not None:
        return by_filters
    if _excludes(line.text):
        return None
    known = [word for word in _keep_words(line.text).split() if index.match(word)]
    words = " ".join(known)
    return _find_words(words, {"status": "any"}) if words and index.match(words) else None


def _search(
    line: Line, found: re.Match[str], context: RuleContext, index: TaskIndex
) -> Decision | None:
    phrase = line.cut(found)
    is_quoted = is_quotation(phrase)
    by_filters = _decide_by_filters(line, line.folded, found.start("x"), context, index)
    if by_filters is not None and not by_filters.text:
        return by_filters
    words = unquote(phrase) if is_quoted else _keep_words(phrase)
    if not is_quoted and _excludes(phrase):
        return None
    is_search = line.folded.startswith(("search", "look"))
    if not words or not (is_search or is_quoted or index.match(phrase)):
        # "find a plumber" is a task.
        return by_filters
    return _find_words(words, {"status": "any"} if is_search else {})


def _decide_by_filters(
    line: Line, text: str, start: int, context: RuleContext, index: TaskIndex
) -> Decision | None:
    """Return the search whose filters cover all words; None if other words remain."""
    rest = text[start:].strip(" ,?")
    is_show = start > 0
    fields: dict[str, Any] = {"limit": _MAX_COUNTED} if _COUNTS.search(rest) else {}
    at = len(text) - len(text[start:].lstrip(" ,?"))
    rest = _take_lacks(rest, fields)
    rest, words = _take_words(line, rest, at, fields)
    if _excludes(words):
        return None
    shown = _find_list(_ARTICLE.sub("", rest), context) if is_show else None
    if shown is not None:
        # "show work" refers to the list, even if a title contains that word.
        return _find_words(words, {"list": shown})
    rest = _take_marks(rest, fields)
    rest = _take_list(rest, fields, context)
    rest = take_window(rest, fields, context)
    rest = _take_list(rest, fields, context)
    said = split_words(rest)
    if QUOTED in rest:
        return None
    if any(word not in FIND_FILLERS for word in said) or _names_list(said, context):
        return None
    names_tasks = bool(fields) or not FIND_SUBJECTS.isdisjoint(
        said or (["list"] if is_show else [])
    )
    if not names_tasks and not (words and (is_show or index.match(words))):
        return None
    return _find_words(words, fields)


def _take_lacks(rest: str, fields: dict[str, Any]) -> str:
    """Replace "with no priority" with spaces, and store it as a field; return the rest.

    A search cannot find tasks without tags, so "without tags" stays.
    """
    lacks = _WITHOUT.search(rest)
    if lacks is None or lacks["x"].startswith(("tag", "label")):
        return rest
    fields["list" if lacks["x"].startswith("list") else "priority"] = "none"
    return f"{rest[: lacks.start()]}{' ' * len(lacks[0])}{rest[lacks.end() :]}"


def _excludes(words: str) -> bool:
    return not _EXCLUDES.isdisjoint(split_words(words))


def _take_words(line: Line, rest: str, at: int, fields: dict[str, Any]) -> tuple[str, str]:
    """Remove the words that titles must contain; return the rest, and these words.

    `at` is the position of the rest in the line. A tag after "with" becomes a field.
    """
    tagged = _TAGGED.search(rest)
    if tagged is not None and tagged["x"]:
        fields["tags"] = [tagged["x"].lstrip("#@")]
        rest = f"{rest[: tagged.start()]}{' ' * len(tagged[0])}{rest[tagged.end() :]}"
    about = _ABOUT.search(rest)
    if about is None or about["x"].strip(QUOTED + " ") in FIND_FILLERS:
        return " ".join(rest.split()), ""
    start, end = about.span("x")
    due = _DUE.search(rest, start, end)
    end = end if due is None else due.start()
    words = _keep_words(line.text[at + start : at + end])
    return " ".join(f"{rest[: about.start()]}{'' if due is None else due[0]}".split()), words


def _take_marks(rest: str, fields: dict[str, Any]) -> str:
    """Remove priority, tags and status, and store them as fields; return the rest."""
    priority = None if "priority" in fields else _PRIORITY.search(rest)
    if priority is not None:
        level = priority["level"] or priority["later"]
        fields["priority"] = level if level in {"high", "medium", "low"} else "high"
        rest = _without(rest, priority)
    tagged = None if "tags" in fields else _TAGGED.search(rest)
    if tagged is not None:
        fields["tags"] = [(tagged["x"] or tagged["y"]).lstrip("#@")]
        rest = _without(rest, tagged)
    both = _ANY_STATE.search(rest)
    if both is not None:
        fields["status"] = "any"
        rest = _without(rest, both)
    finished = None if both is not None else _FINISHED.search(rest)
    if finished is not None:
        fields["status"] = "completed"
        rest = _without(rest, finished)
    return rest


def _take_list(rest: str, fields: dict[str, Any], context: RuleContext) -> str:
    """Remove a list, as in "at work" or "work tasks", and store it as a field; return the rest."""
    if "list" in fields:
        return rest
    for found in islice(_IN_LIST.finditer(rest), _MAX_PLACES):
        words = rest[found.end() :].split(" ")[:_MAX_NAME_WORDS]
        for number in range(len(words), 0, -1):
            name = _find_list(" ".join(words[:number]), context)
            if name is not None:
                fields["list"] = name
                end = found.end() + len(" ".join(words[:number]))
                return f"{rest[: found.start()]}{rest[end:].removeprefix(' list')}".strip()
    for found in islice(_LIST_NOUN.finditer(rest), _MAX_PLACES):
        words = rest[: found.start()].split(" ")[-_MAX_NAME_WORDS:]
        for number in range(len(words)):
            name = _find_list(" ".join(words[number:]), context)
            if name is not None:
                fields["list"] = name
                start = found.start() - len(" ".join(words[number:]))
                return f"{rest[:start]}tasks{rest[found.end() :]}".strip()
    return rest


def _names_list(words: list[str], context: RuleContext) -> bool:
    """Return whether a filler word is the name of a list."""
    return any(word not in _LIST_WORDS and _find_list(word, context) for word in words)


def _find_list(text: str, context: RuleContext) -> str | None:
    """Return the list with a name, which may be read-only."""
    written, read = map(ListNames, (context.list_names, context.read_only_lists))
    return written.find(text) or read.find(text)


def _decide_about_task(line: Line, index: TaskIndex) -> Decision | None:
    """Return the search for the task that a question is about: "when is the dentist?"."""
    text = line.folded.rstrip(" ?!.")
    shown = _SHOW.match(text)
    found = _OF_TASK.fullmatch(text)
    if shown is not None and not line.is_question:
        phrase = line.text[shown.end() : len(text)].strip()
    elif found is not None:
        phrase = line.cut(found)
    else:
        return None
    # "did I clean the bathroom" has the verb of the task, "did I do the bathroom" does not.
    match = index.match(phrase) or index.match(phrase.partition(" ")[2])
    if not match:
        return None
    words = match.found[0].title if len(match.found) == 1 else _keep_words(phrase)
    return _find_words(words, {"status": "any"}) if words else None


def _find_words(words: str, fields: dict[str, Any]) -> Decision:
    return Decision("find", words, fields={**fields, "query": words} if words else fields)


def _keep_words(text: str) -> str:
    """Return the words of a text without fillers."""
    return " ".join(word for word in split_words(text) if word not in FIND_FILLERS)


def _without(rest: str, found: re.Match[str]) -> str:
    return f"{rest[: found.start()].rstrip()} {rest[found.end() :].lstrip()}".strip()
