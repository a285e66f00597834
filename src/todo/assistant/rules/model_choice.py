"""Completion and validation of a model's decision, based on the message.

A model chooses an intent and tasks, and a small one is often wrong. Texts, dates and titles
are extracted from the message by the parser. A change needs support from the message: words of the
task, a verb or a due date for the change, and few other words. Otherwise, nothing is decided.
"""

import re
from collections.abc import Sequence
from functools import partial

from todo.assistant.rules.addition import ANNOUNCING, CHECKS, cut_addition, decide_addition
from todo.assistant.rules.decision import Decision, Intent, RuleContext, TaskName
from todo.assistant.rules.engine import MAX_LENGTH
from todo.assistant.rules.line import Line, make_line
from todo.assistant.rules.reschedule import cut_due
from todo.assistant.rules.search import cut_search, is_show
from todo.assistant.rules.statement import is_statement
from todo.assistant.rules.task_match import MAX_CANDIDATES, TaskIndex, split_parts
from todo.assistant.rules.title_words import is_same, is_similar, read_phrase, read_title
from todo.assistant.rules.update import cut_fields
from todo.assistant.rules.vocabulary import (
    COMMANDS,
    LEFTOVER_FILLERS,
    PHRASE_FILLERS,
    TASK_NOUNS,
    VERBS,
)
from todo.assistant.rules.words import is_near, is_past, same_verbs, split_words, stem
from todo.quickadd.parser import parse_quick_add

_MANY = frozenset({"all", "every", "everything"})
_MAX_LEFT = 3
MAX_TASKS = 50
"""Maximum number of tasks that a model may choose, which is also the limit of its tools."""
_DUPLICATE = 0.6
_REQUEST_OF_US = re.compile(r"(?:can|could) we\b")
# Conditions, negations, and actions of others.
_DOUBT = re.compile(
    r"\b(?:not|never|if|when|once|unless|should|would|might|maybe|perhaps|almost|nearly|wonder|wish"
    r"|hope|will|he|she|they|said|says|told|someone|somebody|forgot"
    r"|(?:called|call|put|calling|putting) off)\b|n't\b|'ll\b"
)
_ALL_BUT = re.compile(
    r"\b(?:except|excepting|excluding|but|besides|apart|aside from|other than|rather than)\b"
)
# Reasons why a task is not completed: "half of the rent", "no answer".
_EXCEPTION = re.compile(
    r"\b(?:nobody|no one|none|no|half|partly|part of|some of"
    r"|partially|without|else|every|each day|going to|gonna|about to|tomorrow|trying|tried|try"
    # A task that is still open was hardly completed that long ago.
    r"|last (?:week|month|year|time|spring|summer|autumn|winter)|(?:week|month|year)s? ago"
    # Others did it, or it was impossible: "done by Tom", "booked out".
    r"|by (?!me\b|us\b|myself\b|ourselves\b|now\b|the way\b)|(?:booked|sold) (?:out|up)"
    r"|fully booked|too late)\b"
)
# "I read about Rome" is not "I read Rome".
_LINKS = frozenset({"about", "after", "around", "into", "like", "of", "over", "through"})
_JOINT = re.compile(r"\band\b|&|\+|\bplus\b|\bas well as\b", re.IGNORECASE)
# "check the report is done" is a request to check.
_LOOKS = re.compile(
    r"\b(?:check|tick|verify|ensure|confirm|sure)\b.* (?:is|are|was|were|has been|have been)"
    r" (?:all )?(?:done|finished|completed?|sorted|handled|settled)\b"
)
# Statements rather than instructions.
_TALK = re.compile(
    r"(?:thanks|thank you|yes|no|i'm|i am|i was|we're|we are|we were)\b"
    r"|(?:i|we)(?:'ve| have)? (?:(?:just|already|finally) )?(?P<verb>[a-z]+)"
)
_STATES = frozenset({
    "am", "ate", "drank", "enjoy", "feel", "felt", "guess", "had", "hate", "heard", "hope", "knew",
    "know", "like", "love", "saw", "slept", "think", "thought", "was", "were", "wish",
})  # fmt: skip
# Negations, reports, and messages about all tasks are not additions.
_DENIAL = re.compile(
    r"n't\b|\b(?:not|never|instead|he|she|they|said|says)\b"
    r"|\b(?:all|every|each)(?: of)?(?: (?:my|the|our))? (?:tasks?|to-?dos?)\b"
    # A statement, as in "buy low sell high is a good motto".
    r"|\b(?:is|are|was|were) (?:an?|the|my|our|your|so|such|too|very|really)\b"
)
_CONDITION = re.compile(r"\b(?:if|when|once|unless|should|would|maybe|perhaps)\b")
_ADDS = re.compile(
    r"\b(?:add|put(?=.*\blists?\b)|remind|remember|forget|need|needs|must|have to|has to|should"
    r"|gotta|todo|to-do|schedule)\b"
)
_DONE = re.compile(
    r"\b(?:done|finished|completed|complete|sorted|handled|mark|marked|tick|ticked|cross|crossed"
    r"|check|checked|settled)\b|[\u2713\u2714\u2705\u2611]"
)
_DELETES = re.compile(
    r"\b(?:delete|remove|drop|scrap|erase|trash|bin|discard|rid|forget|cancel|kill|unneeded"
    r"|obsolete|irrelevant)\b|\bnot? (?:longer )?need"
)
_REOPENS = re.compile(
    r"\b(?:reopen|still|again|not|undone|uncheck|untick|restore|after all|redo|back)\b|n't\b"
)
_HAPPENS = re.compile(
    r"(?P<x>\S.*?) (?:is|are|was|were) (?:(?:on|at|in) )?"
    r"(?!(?:due|now|only|to|for|moved|planned)\b)"
    r"(?!.* (?:now|instead)\Z)\S"
)
_REMINDS = re.compile(r"\b(?:remind|reminders?|alarm)\b")
_CUES = {"complete": _DONE, "delete": _DELETES, "reopen": _REOPENS}
# Words between "I" and the verb of a statement.
_BEFORE_VERB = frozenset({
    "actually", "all", "already", "also", "and", "been", "both", "btw", "d", "finally", "got",
    "had", "have", "hey", "hi", "i", "just", "now", "ok", "okay", "really", "so", "successfully",
    "then", "today", "ve", "we", "well", "yeah", "yes", "yesterday",
})  # fmt: skip
_PASSIVE = frozenset({"are", "been", "got", "is", "was", "were"})
_CLAUSE = re.compile(r"[,.;:!]|\b(?:and|so|because|since|as)\b")
_WHEN_DONE = frozenset({
    "afternoon", "ago", "earlier", "evening", "hour", "hours", "last", "minutes", "morning",
    "night", "tonight", "week",
})  # fmt: skip
_DIGIT = re.compile(r"\d")
_OWNER = re.compile(r"\b([^\W\d_]+)'s\b")
_NO_OWNERS = frozenset(
    map(stem, ("here", "it", "let", "that", "there", "today", "tomorrow", "what", "yesterday"))
)


def fill(
    intent: Intent, tasks: Sequence[TaskName], message: str, context: RuleContext
) -> Decision | None:
    """Complete the choice of a model; return None if the message does not support it."""
    line = make_line(" ".join(message.split())) if len(message) <= MAX_LENGTH else None
    if line is None or not line.text or intent in {"undo", "confirm", "decline", "help"}:
        return None
    if intent == "find":
        return _cut_find(line, context) if line.is_question or is_show(line) else None
    is_request = not line.is_question or _REQUEST_OF_US.match(line.folded) is not None
    if not is_request:
        return None
    if intent == "add":
        return cut(intent, (), line, context) if _is_addition(line, context) else None
    return _fill_change(intent, tasks, line, context)


def cut(
    intent: Intent, tasks: Sequence[TaskName], line: Line, context: RuleContext
) -> Decision | None:
    """Return a decision whose texts are extracted from the message; None if it lacks them."""
    chosen = tuple({task.id: task for task in tasks}.values())
    match intent:
        case "add":
            return cut_addition(line, context, TaskIndex(()))
        case "find":
            return _cut_find(line, context)
        case "reschedule":
            due = cut_due(line, context)
            return None if due is None or not chosen else Decision(intent, due, chosen)
        case "update":
            fields = cut_fields(line, context)
            return Decision(intent, tasks=chosen, fields=fields) if fields and chosen else None
    return Decision(intent, tasks=chosen) if chosen else None


def _cut_find(line: Line, context: RuleContext) -> Decision | None:
    return cut_search(line, context, TaskIndex(context.tasks, context.now.astimezone(context.zone)))


def _fill_change(
    intent: Intent, tasks: Sequence[TaskName], line: Line, context: RuleContext
) -> Decision | None:
    decision = cut(intent, tasks, line, context)
    if decision is None or not _is_possible(intent, decision.tasks, line, context):
        return None
    # The weekday of the new due date may also be a word of a title.
    words = frozenset(map(stem, split_words(line.text))) - set(
        map(stem, split_words(decision.text))
    )
    if _has_other_part(decision, line, words):
        return None
    is_meant = all(_speaks_for(intent, task, line, words) for task in decision.tasks)
    left = _find_left(decision, line.text, words)
    if intent == "complete" and _DONE.search(line.folded) is None and left - _WHEN_DONE:
        # Only the verb reports the completion, so "called Ann about the dentist" does not match.
        return None
    other = "".join(_find_other_words(decision, line))
    if not is_meant or len(left) > _MAX_LEFT or _DIGIT.search(other):
        return None
    rivals = _find_rivals(decision.tasks, words, context)
    if not rivals and not other:
        return decision
    candidates = (*decision.tasks, *rivals)[:MAX_CANDIDATES]
    return Decision(intent, decision.text, fields=decision.fields, candidates=candidates)


def _has_other_part(decision: Decision, line: Line, words: frozenset[str]) -> bool:
    """Return whether a part of "Ada and the moon" matches no task."""
    first = line.folded.partition(" ")[0]
    parts = split_parts(line.text) if first in COMMANDS else _JOINT.split(line.text)
    for part in parts if len(parts) > 1 else ():
        said = {word for word in split_words(part) if word not in LEFTOVER_FILLERS}
        if said and _find_left(decision, part, words) == said:
            return True
    return False


def _is_possible(
    intent: Intent, tasks: Sequence[TaskName], line: Line, context: RuleContext
) -> bool:
    """Return whether the tasks allow the change, and the message has no doubt or condition."""
    doubt = _CONDITION if intent == "reopen" else _DOUBT
    if len(tasks) > MAX_TASKS or doubt.search(line.folded):
        return False
    if _ALL_BUT.search(line.folded) or _LOOKS.search(line.folded):
        return False
    if intent == "complete" and _EXCEPTION.search(line.folded):
        return False
    if intent in {"complete", "reschedule"} and _is_plan(intent, line, context):
        return False
    return intent == "delete" or all(task.is_completed == (intent == "reopen") for task in tasks)


def _is_plan(intent: Intent, line: Line, context: RuleContext) -> bool:
    """Return whether a message is about the future: "finish it by friday"."""
    read = parse_quick_add(line.text, context.now, context.zone, context.list_names)
    has_due = read.due_date is not None or read.due_at is not None
    if has_due and _DONE.search(line.folded) is not None:
        return True
    today = context.now.astimezone(context.zone).date()
    is_later = read.due_date is not None and read.due_date > today
    is_later = is_later or (read.due_at is not None and read.due_at > context.now)
    return intent == "complete" and is_later


def _speaks_for(intent: Intent, task: TaskName, line: Line, words: frozenset[str]) -> bool:
    """Return whether a message has words of a task, and a word for its change."""
    title = _contents(task.title)
    shared = _shared(title, words)
    if not shared or (len(title) > 1 and shared == {title[0]}):
        # "call" is the verb of many tasks.
        return False
    owners = {stem(owner) for owner in _OWNER.findall(line.folded)} - _NO_OWNERS
    if not owners <= set(title):
        # "Bob's rent" is not the rent.
        return False
    if intent == "delete":
        # "cancel the gym" may be the title of the task.
        return any(stem(found[0]) not in title for found in _DELETES.finditer(line.folded))
    if intent == "reschedule":
        return not _REMINDS.search(line.folded) and not _says_when(title, line)
    cue = _CUES.get(intent)
    if cue is None or cue.search(line.folded):
        return True
    return intent == "complete" and any(
        map(partial(_is_done_by_us, title, task), _CLAUSE.split(line.folded))
    )


def _says_when(title: Sequence[str], line: Line) -> bool:
    """Return whether a message states when something happens, without moving a due date."""
    happens = _HAPPENS.match(line.folded)
    if happens is not None and not set(title) <= set(map(stem, split_words(happens["x"]))):
        # "Ada's birthday is tomorrow" does not move "Present for Ada's birthday".
        return True
    # "I'm paying the rent tomorrow" states a plan.
    return any(
        (is_past(word) or word.endswith("ing")) and stem(word) == title[0]
        for word in split_words(line.text)
    )


def _is_done_by_us(title: Sequence[str], task: TaskName, clause: str) -> bool:
    """Return whether a clause says that the user did it: "I called mum", not "mum called"."""
    words = clause.replace("'", " ").split()
    for at, word in enumerate(words):
        if is_past(word) and not set(map(stem, same_verbs(word))).isdisjoint(title):
            if stem(word) == word and not {"i", "we"} & set(words[:at]):
                # "read the novel" may be an instruction.
                return False
            if words[at + 1 : at + 2] and words[at + 1] in _LINKS - {*split_words(task.title)}:
                return False
            before = [each for each in words[:at] if each not in _BEFORE_VERB - _PASSIVE]
            return not before or before[-1] in _PASSIVE
    return False


def _find_left(decision: Decision, text: str, words: frozenset[str]) -> set[str]:
    """Return the words of a text that a decision does not explain.

    `words` are the stems of the whole message.
    """
    explained = {word for task in decision.tasks for word in _shared(_contents(task.title), words)}
    explained |= set(map(stem, split_words(f"{decision.text} {decision.fields}")))
    left = {word for word in split_words(text) if word not in LEFTOVER_FILLERS}
    cue = _CUES.get(decision.intent)
    return {
        word
        for word in left
        if stem(word) not in explained
        and not any(is_near(word, other) for other in explained)
        and not (cue is not None and cue.search(word))
    }


def _find_other_words(decision: Decision, line: Line) -> list[str]:
    """Return words that only resemble a word of a title, and numbers that no title contains."""
    of_titles = [word for task in decision.tasks for word in read_title(task.title)]
    explained = set(split_words(f"{decision.text} {decision.fields}"))
    has_number = any(_DIGIT.search(word.text) for word in of_titles)
    return [
        word.text
        for word in read_phrase(line.text)
        if word.text not in explained
        and not any(is_same(word, of_title) for of_title in of_titles)
        and (
            (has_number and _DIGIT.search(word.text))
            or any(is_similar(word, of_title.stem) for of_title in of_titles)
        )
    ]


def _find_rivals(
    tasks: Sequence[TaskName], words: frozenset[str], context: RuleContext
) -> list[TaskName]:
    """Return the other tasks that match a message at least as well as the chosen one."""
    if len(tasks) != 1:
        return []
    chosen = tasks[0]
    score = len(_shared(_contents(chosen.title), words))
    return [
        task
        for task in context.tasks
        if task.id != chosen.id
        and task.is_completed == chosen.is_completed
        and len(_shared(_contents(task.title), words)) >= score
    ]


def _is_addition(line: Line, context: RuleContext) -> bool:
    """Return whether a message looks like an addition, and does not refer to a task."""
    first, *others = split_words(line.text) or [""]
    if not others or first in (COMMANDS - {"cancel", "finish", "drop"}) | _MANY:
        return False
    said = line.folded.replace("don't let me forget", "").replace("don't forget", "")
    if _DENIAL.search(said) or _LOOKS.search(said) or _is_talk(line) or said.startswith(CHECKS):
        return False
    if first in ANNOUNCING:
        local = context.now.astimezone(context.zone)
        return decide_addition(line, context, TaskIndex(context.tasks, local)) is not None
    words = frozenset(map(stem, split_words(line.text)))
    if any(_is_duplicate(task, words) for task in context.tasks):
        return False
    if first in VERBS | COMMANDS or _ADDS.search(line.folded):
        return True
    read = parse_quick_add(line.text, context.now, context.zone, context.list_names)
    is_marked = any(span.kind != "literal" for span in read.spans)
    return is_marked and not read.questions and not is_statement(line.text, read.title)


def _is_talk(line: Line) -> bool:
    found = _TALK.match(line.folded)
    if found is None or _ADDS.search(line.folded):
        return False
    return found["verb"] is None or is_past(found["verb"]) or found["verb"] in _STATES


def _is_duplicate(task: TaskName, words: frozenset[str]) -> bool:
    title = _contents(task.title)
    return bool(title) and len(_shared(title, words)) >= max(1, _DUPLICATE * len(title))


def _shared(title: Sequence[str], words: frozenset[str]) -> set[str]:
    return {part for part in title if part in words or any(is_near(word, part) for word in words)}


def _contents(title: str) -> list[str]:
    """Return the stems of the words that identify a title, in order."""
    words = split_words(title)
    named = [word for word in words if word not in PHRASE_FILLERS | TASK_NOUNS]
    return list(dict.fromkeys(map(stem, named or words)))
