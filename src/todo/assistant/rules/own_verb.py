"""Rules for reports that use the verb of a task: "I called the dentist"."""

import re

from todo.assistant.rules.decision import TaskName
from todo.assistant.rules.line import Line
from todo.assistant.rules.persons import has_other_object
from todo.assistant.rules.task_match import Match, TaskIndex, join_matches, split_parts
from todo.assistant.rules.vocabulary import ADDRESSING, PHRASE_FILLERS
from todo.assistant.rules.words import SAME_IN_PAST, is_form, is_past, same_verbs, split_words, stem

SOON = r"(?:(?:just|finally|already|now|also|both|all|successfully|actually|has|have|been) )*"
"""Pattern of the words before the verb of a report."""
# "I called off the dentist" is not "I called the dentist".
_PARTICLE = r"(?: (?:up|(?<!called )(?<!put )(?:off|out|in)))?"
_I_DID = re.compile(
    rf"(?P<who>(?:i|we)(?:'ve|'d| have)? )?{SOON}(?P<verb>[a-z]+){_PARTICLE} (?P<x>\S.*)"
)
_WAS_DONE = re.compile(
    rf"(?P<x>\S.*?) (?:is|are|was|were|got|has been|have been) {SOON}(?P<verb>[a-z]+)"
)
# "the lamp fixed" reports a task; "Tom called" and "the dog walked" report what others did.
_OBJECT_DONE = re.compile(r"(?P<x>\S.*?) (?P<verb>[a-z]+)")
_OF_PERSONS = frozenset(
    map(
        stem,
        (
            *ADDRESSING,
            *("apply", "attend", "decide", "drive", "follow", "go", "jog", "join", "learn"),
            *("leave", "move", "practice", "practise", "register", "reply", "ride", "run", "shop"),
            *("start", "stop", "study", "subscribe", "swim", "talk", "teach", "train", "try"),
            *("turn", "walk", "write"),
        ),
    )
)
_SENDS = frozenset({"send"})
_SHOPPING = re.compile(r"shop|grocer|supermarket|market|food|pantry|\bbuy", re.IGNORECASE)
_BOUGHT = frozenset({"bought", "purchased"})
_LITTLE_WORD = re.compile(
    r"\b(?:the|a|an|my|our|this|that|these|to|for|of|in|at|on)\b", re.IGNORECASE
)


def match_own_verb(line: Line, text: str, opened: TaskIndex, *, is_said: bool) -> Match:
    """Return the task whose verb a message uses in the past tense: "I called the dentist".

    `text` is the folded line without the words for when it happened. With `is_said`, the message
    can complete a task with any verb, as "finished the report" does.
    """
    tries = (pattern.fullmatch(text) for pattern in (_I_DID, _WAS_DONE))
    found = next((each for each in tries if each is not None and is_past(each["verb"])), None)
    if found is None:
        return _match_object(line, text, opened)
    if (
        found.re is _I_DID
        and (found["who"] or "").endswith("'d ")
        and found["verb"] in SAME_IN_PAST
    ):
        # "I'd read" is "I would read".
        return Match()
    is_bare = "who" in found.groupdict() and found["who"] is None
    if is_bare and is_said:
        return Match()
    phrase = line.cut(found)
    match = _match_verb(found["verb"], phrase, opened, is_bare=is_bare)
    if not match:
        parts = split_parts(phrase)
        first = [_match_verb(found["verb"], part, opened, is_bare=is_bare) for part in parts[:1]]
        others = [_match_part(found["verb"], part, opened, is_bare=is_bare) for part in parts[1:]]
        match = join_matches([*first, *others]) if parts else match
    return match


def _match_object(line: Line, text: str, opened: TaskIndex) -> Match:
    """Return the task of "the form submitted", which has all words of its title."""
    found = _OBJECT_DONE.fullmatch(text)
    if found is None or not is_past(found["verb"]) or stem(found["verb"]) in _OF_PERSONS:
        return Match()
    phrase = line.cut(found)
    match = _match_verb(found["verb"], phrase, opened, is_bare=True)
    if len(match.found) != 1:
        return Match()
    title = match.found[0].title
    thing = title.partition(" ")[2]
    # "Tom paid" does not refer to "Pay Tom".
    is_name = any(word[:1].isupper() for word in thing.split())
    return Match() if is_name or not _is_same(thing, phrase) else match


def _match_part(verb: str, part: str, opened: TaskIndex, *, is_bare: bool) -> Match:
    """Return the task of one item of a list in a message; the item may have its own verb."""
    own, _, rest = part.partition(" ")
    own = own.lower()
    if rest and is_past(own):
        return _match_verb(own, rest, opened, is_bare=is_bare)
    return _match_verb(verb, part, opened, is_bare=is_bare)


def _match_verb(verb: str, phrase: str, opened: TaskIndex, *, is_bare: bool) -> Match:
    """Return the task with a verb, given in the past tense, and the words of a phrase.

    With `is_bare`, the message has no subject. Then the title must start with the verb in another
    form, because "read the novel" may be an instruction.
    """
    said = split_words(_cut_articles(phrase))
    links = {word for word in said if word in PHRASE_FILLERS}
    near = Match()
    for same in same_verbs(verb) if set(said) - links else ():
        match = _keep_linked(opened.match_verb(same, _cut_articles(phrase)), links)
        if match and is_bare and not _is_in_past(match, verb, same):
            return Match()
        if stem(verb) in _OF_PERSONS | _SENDS:
            match = match.doubt(lambda task: has_other_object(phrase, task.title))
        if match and not match.is_near:
            return match
        near = near or match
    return near or _match_bought(verb, phrase, opened)


def _is_in_past(match: Match, verb: str, same: str) -> bool:
    """Return whether a verb is the past tense of the verb at the start of each title."""
    fitting = match.found or match.candidates
    first = [split_words(task.title)[0] for task in fitting]
    return all(is_form(word, same) and word != verb for word in first)


def _keep_linked(match: Match, links: set[str]) -> Match:
    """Keep the tasks whose titles have the same prepositions: not "Read Dune" for "about Dune"."""
    fitting = [
        task for task in match.found or match.candidates if links <= set(split_words(task.title))
    ]
    is_sure = len(fitting) == 1 and not match.is_near
    return Match(tuple(fitting)) if is_sure else Match((), tuple(fitting), match.is_near)


def _match_bought(verb: str, phrase: str, opened: TaskIndex) -> Match:
    """Return the task that names only a thing: "bought milk" refers to "milk"."""
    if verb not in _BOUGHT and verb != "got":
        return Match()
    match = opened.match(phrase)
    is_thing = all(
        _is_same(task.title, phrase) and (verb in _BOUGHT or is_shopping(task))
        for task in match.found
    )
    return match if match.found and is_thing else Match()


def is_shopping(task: TaskName) -> bool:
    """Return whether a task is on a list of things to buy."""
    return task.list_name is not None and _SHOPPING.search(task.list_name) is not None


def _is_same(title: str, phrase: str) -> bool:
    return _read_things(title) == _read_things(phrase)


def _read_things(text: str) -> frozenset[str]:
    return frozenset(map(stem, split_words(_cut_articles(text))))


def _cut_articles(text: str) -> str:
    return _LITTLE_WORD.sub(" ", text)
