"""Rules for completing, reopening and deleting tasks.

They are strict because they concern completed and deleted tasks: every word of a phrase must be in
the title, so a condition or a "not" prevents a decision. If a phrase matches several tasks, the
answer only lists them.
"""

import re
from unicodedata import category

from todo.assistant.rules.decision import Decision, Intent, TaskName
from todo.assistant.rules.line import Line, make_line
from todo.assistant.rules.own_verb import SOON, is_shopping, match_own_verb
from todo.assistant.rules.task_match import EVERY_TASK, Match, TaskIndex
from todo.assistant.rules.vocabulary import COMMANDS, VERBS
from todo.assistant.rules.words import split_words, stem

_MARKS = (
    "\u2713\u2714\u2705\u2611\u274c\u2715\u2716\u2717\u2718\U0001f6ab\U0001f5d1\u26d4\u2753\u2754"
)
_CHECK = r"[\u2713\u2714\u2705\u2611]\ufe0f?"
_DONE = (
    r"(?:done|finished|completed|complete|sorted out|sorted|taken care of|handled|dealt with"
    rf"|settled|off my list|off my plate|ticked off|checked off|{_CHECK})"
)
_LATELY = re.compile(
    # "due today" describes tasks, so it is kept.
    r"(?<![ ,])(?<!\bdue)(?<!\bfor)(?<!\bfrom)[ ,]+"
    r"(?:now|today|already|finally|at last|yesterday|just now"
    r"|this (?:morning|afternoon|evening|week)|last night|earlier|tonight"
    r"|(?:an|\d+|two|three|a few) (?:hour|minute|day)s? ago|as well|too"
    r"|by the way|btw|so)\Z"
)
_OFF_LIST = re.compile(
    r",? (?:from|off|on|in) (?:(?:my|the|our) )?(?:todo |to-do |task )?(?:list|tasks|todos"
    r"|to-dos)\Z"
)
_MARK_DONE = re.compile(
    rf"(?:mark|set|tick|cross|flag) (?P<x>\S.*?) (?:(?:as|to) )?{_DONE}"
    # "set the alarm off" does not complete a task.
    r"|(?:mark|tick|cross) (?P<v>\S.*?) off"
    # "check that it is done" is a request to check.
    rf"|check (?P<w>\S.*?) (?:(?:as|to) (?:{_DONE}|off)|off)"
    rf"|(?:(?:check|tick|cross|strike) off|\[x\]|{_CHECK}) (?P<y>\S.*)"
    r"|(?:tick|complete) (?P<z>\S.*)"
)
_SAY_DONE = re.compile(
    rf"(?:(?:i'm|i am|we're|we are|i'm all|i am all|all|i|we|i've|we've|i have|we have) )?{SOON}"
    r"(?:done with|finished with|through with|done|finished|completed|did|handled|dealt with"
    r"|took care of|taken care of|sorted(?: out)?|wrapped up|ticked off|checked off)(?P<x>:? \S.*)"
)
_IS_DONE = re.compile(
    rf"(?P<x>\S.*?)(?: (?:is|are|was|were|got|has been|have been|'s|been)|'s)? {SOON}{_DONE}"
    rf"|(?P<y>\S.*?)(?:: ?| ?- |, ?){_DONE}"
)
# "mom: done" and "mom \u2713" refer to the task, not to the person.
_LABELED = re.compile(rf"(?::| -|,) ?{_DONE}\Z|{_CHECK}\Z|\A{_DONE}:")
# "the milk is finished" can also mean that there is none left.
_FINISHED = re.compile(
    r".* finished|(?:(?:i|we)(?:'ve| have)? )?(?:just |finally |already )*finished (?!with\b).*"
)
_GETS = frozenset(
    map(
        stem,
        (
            *("borrow", "buy", "collect", "fetch", "get", "grab", "need", "order", "pick"),
            *("purchase", "refill", "renew", "replace", "restock", "top"),
        ),
    )
)
_REOPEN = re.compile(
    r"(?:reopen|re-open|uncheck|untick|un-check|uncomplete|unfinish|restore) (?P<x>\S.*)"
    r"|(?:mark|set) (?P<y>\S.*?) (?:as )?(?:not (?:yet )?(?:done|completed?|finished)|undone"
    r"|incomplete"
    r"|open|uncompleted|unfinished|to do|todo)(?: again)?"
)
_NOT_DONE = re.compile(
    rf"(?P<x>\S.*?) (?:isn't|is not|wasn't|was not|aren't|are not|weren't) (?:actually |really )?"
    rf"{_DONE}(?: (?:yet|after all))?"
    r"|(?:actually,? )?i (?:didn't|did not|haven't|have not) (?:actually |really )?(?P<y>\S.*?)"
    r"(?: (?:yet|after all))"
)
_DELETE = re.compile(
    r"(?P<verb>delete|remove|erase|drop|scrap|trash|bin|discard|get rid of|throw away|throw out"
    r"|forget about|kill|eliminate|purge) (?P<x>\S.*)"
    r"|take (?P<y>\S.*?) (?:off|out of) (?:my|the|our) (?:todo |to-do |task )?(?:list|tasks)"
    r"|i (?:don't|do not|no longer) need (?P<z>\S.*?)(?: any ?more)?[,.;]? (?:please )?"
    r"(?:delete|remove|drop|scrap) (?:it|that|them)"
)
_DELETE_ALL = re.compile(
    rf"(?:delete|remove|erase|clear|purge|trash|wipe) (?:everything|all|{EVERY_TASK}"
    r"|(?:everything|all)(?: (?:on|from|in) (?:my|the) (?:todo |to-do |task )?list))"
)
_CLOSED = r"(?:already )?(?:completed|complete|done|finished|(?:ticked|checked|crossed)[ -]off)"
_ALL_OF_CLOSED = (
    rf"(?:(?:all|every|each)(?: of)? )?(?:(?:the|my|our) )?(?:old )?{_CLOSED}"
    r" (?:tasks?|to-?dos?|items?|ones|things|stuff)"
    r"|(?:everything|all|(?:(?:all|every)(?: of)? )?(?:(?:the|my|our) )?"
    r"(?:tasks?|to-?dos?|items?|things))"
    r" (?:that(?:'s| is| are)|which (?:is|are)|i've|i have|we've|we have)"
    rf" (?:all )?(?:been )?{_CLOSED}"
)
_DELETE_CLOSED = re.compile(
    r"(?:delete|remove|erase|purge|trash|wipe|clear(?: out| away| up)?|clean(?: out| up)?"
    r"|get rid of)"
    rf" (?:{_ALL_OF_CLOSED}|completed|(?:everything|all) {_CLOSED})"
    r"(?: (?:from|on|in|off) (?:my|the) (?:todo |to-do |task )?list)?"
)
_COMPLETE_ALL = re.compile(
    rf"complete (?:everything|{EVERY_TASK})|mark (?:everything|{EVERY_TASK}) (?:as )?{_DONE}"
    # "check all tasks" is a request to see them.
    rf"|(?:check|tick|cross) off {EVERY_TASK}|(?:check|tick|cross) {EVERY_TASK} off"
)
_TASK_NOUN = re.compile(
    r"\b(?:task|tasks|todo|todos|to-do|item|items|entry|reminder|one)\b|\A(?:all|every|both)\b"
)


def decide_done(line: Line, opened: TaskIndex, closed: TaskIndex) -> Decision | None:
    """Return the decision to complete, reopen or delete tasks, or None."""
    line = _without_emoji(line)
    reopened = _decide_reopen(line, opened, closed)
    if reopened is not None:
        return reopened
    deleted = _decide_delete(line, opened, closed)
    if deleted is not None:
        return deleted
    return _decide_complete(line, opened)


def _decide_reopen(line: Line, opened: TaskIndex, closed: TaskIndex) -> Decision | None:
    found = _REOPEN.fullmatch(line.folded) or _NOT_DONE.fullmatch(line.folded)
    if found is None:
        return None
    phrase = _cut_phrase(line, found)
    is_command = found.re is _REOPEN and found["x"] is not None
    match = closed.match(phrase) if is_command else closed.match_subject(phrase)
    still = Match() if is_command else opened.match_subject(phrase)
    if still and not still.is_near and (still.is_exact or not match.is_exact):
        # "I haven't paid the rent yet" refers to the open task, not to a completed one.
        title = still.found[0].title if still.found else ""
        fields = {"title": title, "is": "open"}
        return Decision("help", "other-state", fields=fields) if title else None
    return _decide("reopen", match)


def _decide_delete(line: Line, opened: TaskIndex, closed: TaskIndex) -> Decision | None:
    if _DELETE_ALL.fullmatch(line.folded):
        return _decide_all("delete", line, opened)
    if _DELETE_CLOSED.fullmatch(line.folded) and not opened.match(line.text).found:
        return _decide("delete", Match(closed.find_own()))
    found = _DELETE.fullmatch(line.folded)
    if found is None:
        return None
    phrase = _cut_phrase(line, found)
    if line.folded.startswith(("bin ", "kill ", "drop ")) and not _TASK_NOUN.search(phrase.lower()):
        # These are also verbs of everyday tasks.
        return None if opened.match(line.text).found else _decide("delete", opened.match(phrase))
    is_title = opened.match(line.text).found and not _TASK_NOUN.search(phrase.lower())
    if is_title:
        # For a task titled "Delete the old branch", the message may complete, delete or add it.
        return None
    match = opened.match(phrase)
    if not match or match.is_near:
        # A completed task with this name has precedence over a similar name.
        match = closed.match(phrase) or match
    return _decide("delete", match)


def _decide_complete(line: Line, opened: TaskIndex) -> Decision | None:
    text = _cut_lately(line.folded)
    if _COMPLETE_ALL.fullmatch(text):
        return _decide_all("complete", line, opened)
    marked = _MARK_DONE.fullmatch(text)
    if marked is not None:
        # "complete the form" may be the title of an existing or a new task.
        is_title = marked["z"] is not None and opened.match(line.text).found
        match = Match() if is_title else opened.match(_cut_phrase(line, marked))
        if match:
            return _decide("complete", match)
    # "finished the report" matches a task with any verb.
    is_said = _SAY_DONE.fullmatch(text) is not None
    own = match_own_verb(line, text, opened, is_said=is_said)
    return _decide("complete", own) or _decide_by_phrase(line, text, opened)


def _decide_all(intent: Intent, line: Line, opened: TaskIndex) -> Decision | None:
    """Return the decision for all of the user's own tasks, unless the message is a title."""
    return None if opened.match(line.text).found else _decide(intent, Match(opened.find_own()))


def _can_be_used_up(task: TaskName, text: str) -> bool:
    """Return whether "finished" can mean that the thing named by a task is used up."""
    words = split_words(task.title)
    if words and stem(words[0]) in _GETS:
        return True
    is_thing = not words or words[0] not in VERBS | COMMANDS
    # Without a list, "the presentation is finished" is as unclear as "the milk is finished".
    is_unclear = task.list_name is None and text.endswith("finished")
    return is_thing and (is_shopping(task) or is_unclear)


def _decide_by_phrase(line: Line, text: str, opened: TaskIndex) -> Decision | None:
    """Return the completion for "done with …", "… is done" or "finished …"."""
    for pattern in (_SAY_DONE, _IS_DONE):
        found = pattern.fullmatch(text)
        if found is not None:
            match_phrase = opened.match if _LABELED.search(text) else opened.match_subject
            match = match_phrase(_cut_phrase(line, found))
            if match and _FINISHED.fullmatch(text):
                doubtful = [
                    task for task in match.found or match.candidates if _can_be_used_up(task, text)
                ]
                if doubtful:
                    return Decision("help", "used-up", fields={"title": doubtful[0].title})
            if match:
                return _decide("complete", match)
    return None


def _cut_phrase(line: Line, found: re.Match[str]) -> str:
    """Return the phrase that a pattern matched, without "from my list" at its end."""
    group = next(name for name in ("x", "y", "z", "w", "v") if found.groupdict().get(name))
    phrase = line.cut(found, group).lstrip(": ")
    return phrase[: len(_OFF_LIST.sub("", phrase.lower()))]


def _without_emoji(line: Line) -> Line:
    """Return a line without surrounding emoji, except for those with a meaning."""
    start, end = 0, len(line.text)
    while start < end and _is_decoration(line.text[start]):
        start += 1
    while start < end and _is_decoration(line.text[end - 1]):
        end -= 1
    return line if (start, end) == (0, len(line.text)) else make_line(line.text[start:end])


def _is_decoration(char: str) -> bool:
    # Check marks, crosses and bins have a meaning.
    is_emoji = char.isspace() or char in "\u200d\ufe0f" or category(char) in {"So", "Sk"}
    return is_emoji and char not in _MARKS


def _cut_lately(folded: str) -> str:
    """Return a text without trailing words that state when something happened."""
    for _ in range(3):
        folded = _LATELY.sub("", folded)
    return folded.rstrip(" ,.!")


def _decide(intent: Intent, match: Match) -> Decision | None:
    if match.found:
        return Decision(intent, tasks=match.found, affects_others=match.affects_others)
    return Decision(intent, candidates=match.candidates) if match.candidates else None
