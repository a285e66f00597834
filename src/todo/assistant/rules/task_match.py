"""Matching of tasks by a phrase: "the dentist", "all overdue tasks", "the milk and the slides".

Every word of the phrase must be a word of the title. If several tasks match, or one only by similar
words, none is chosen: they are the candidates. A group includes no tasks visible to others, unless
the phrase names their list.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from todo.assistant.rules.decision import TaskName
from todo.assistant.rules.persons import names_only_persons
from todo.assistant.rules.title_words import (
    Word,
    is_same,
    is_similar,
    make_word,
    read_phrase,
    read_title,
)

SHOWN_CANDIDATES = 10
"""Number of candidates that an answer shows, and that a number can choose."""
MAX_CANDIDATES = 51
"""Maximum number of candidates: one more than "all of them" can choose."""
EVERY_TASK = r"(?:all|every|each)(?: of)?(?: (?:my|the|our))?(?: open)? (?:tasks?|to-?dos?|items?)"
"""Pattern for all tasks of a user, which only some commands accept."""
_MAX_WORDS = 25
_MAX_PARTS = 10
_TITLE_LENGTH = 300
_PARTS = re.compile(r"\s*(?:,\s*and\s|,|;|\band\b|&|\+|\bas well as\b|\bplus\b)\s*", re.IGNORECASE)
_OF_LIST = re.compile(
    r"(?P<x>.+?),? (?:from|in|on|of) (?:(?:the|my|our) )?(?P<list>\S.*?)(?: list)?", re.IGNORECASE
)
_BOTH = re.compile(r"both (?:of )?(?:the |my )?(?P<x>.+)", re.IGNORECASE)
_ALL = re.compile(
    r"(?:all|every|each|everything|any)\b(?: of)?(?: (?:the|my|our|those|these))*"
    r"(?P<x>(?: \S+)*)",
    re.IGNORECASE,
)
_ALL_NOUNS = r"(?:tasks?|todos?|to-dos?|items?|things?|stuff|ones?)"
_THAT_IS = r"(?:(?:that|which)(?:'s| is| are| were| was)? )?"
_WHEN = r"(?P<when>overdue|late|due today|due tomorrow|for today|from today|for tomorrow)"
_ALL_DUE = re.compile(
    rf"(?:{_WHEN.replace('when', 'first')}(?: {_ALL_NOUNS})?|(?:{_ALL_NOUNS} )?{_THAT_IS}{_WHEN})"
)
_OF_DAY = re.compile(
    rf"(?:(?:all|each|every)(?: of)? )?(?:(?:the|my|our) )?(?P<day>today|tomorrow)'s {_ALL_NOUNS}"
)
_ALL_OF_LIST = re.compile(
    rf"(?:{_ALL_NOUNS} )?{_THAT_IS}(?:on|in|from|of|at) (?:(?:the|my|our) )?"
    r"(?P<list>\S.*?)(?: list)?"
    rf"|(?P<first>\S.*?) {_ALL_NOUNS}"
)
_ALL_ABOUT = re.compile(
    rf"{_ALL_NOUNS} (?:about|with|containing|mentioning|named|called) (?P<x>.+)"
)


@dataclass(frozen=True, slots=True)
class Match:
    """Tasks that a phrase matches.

    Attributes:
        found: Tasks that match unambiguously.
        candidates: Matching tasks, if it is not clear which one is meant.
        is_near: Whether only similar words match.
        is_group: Whether the phrase denotes a group rather than individual tasks.
        is_exact: Whether the titles have no other words than the phrase.
    """

    found: tuple[TaskName, ...] = ()
    candidates: tuple[TaskName, ...] = ()
    is_near: bool = False
    is_group: bool = False
    is_exact: bool = False

    def __bool__(self) -> bool:
        return bool(self.found or self.candidates)

    def doubt(self, is_doubtful: Callable[[TaskName], bool]) -> "Match":
        """Return the match, but with all tasks as candidates if each of them is doubtful."""
        chosen = [task for task in self.found if task.is_chosen or not is_doubtful(task)]
        return self if chosen or not self.found else Match(candidates=self.found)

    @property
    def affects_others(self) -> bool:
        """Whether the match is a group that includes tasks visible to others."""
        return self.is_group and any(task.is_shared for task in self.found)


class TaskIndex:
    """Index of the words of titles, which matches phrases to tasks.

    Args:
        now: Current time in the user's zone; without it, no phrase matches tasks by due date.
        is_list: Whether the tasks are those of a named list, so a group may include all of them.
    """

    def __init__(
        self, tasks: Sequence[TaskName], now: datetime | None = None, *, is_list: bool = False
    ) -> None:
        self._tasks = tasks
        self._now = now
        self._is_list = is_list

    @cached_property
    def _titles(self) -> list[tuple[Word, ...]]:
        return [read_title(task.title[:_TITLE_LENGTH]) for task in self._tasks]

    @cached_property
    def _numbers(self) -> dict[str, list[tuple[Word, int]]]:
        """Each word with the number of its title, by stem."""
        numbers: dict[str, list[tuple[Word, int]]] = defaultdict(list)
        for number, title in enumerate(self._titles):
            for word in title:
                numbers[word.stem].append((word, number))
        return numbers

    def find_own(self) -> tuple[TaskName, ...]:
        """Return all tasks that no other user can see."""
        return tuple(task for task in self._tasks if not task.is_shared)

    def match(self, phrase: str) -> Match:
        """Return the tasks that a phrase matches."""
        phrase = " ".join(phrase.split())
        return (
            self._match_day(phrase)
            or self._match_group(phrase)
            or self._match_one(phrase)
            or self._match_parts(phrase)
        )

    def match_subject(self, phrase: str) -> Match:
        """Return the tasks of a statement's subject, such as "the report" in "the report is done".

        A task of which the phrase names only a person becomes a candidate.
        """
        return self.match(phrase).doubt(lambda task: names_only_persons(phrase, task.title))

    def match_verb(self, verb: str, phrase: str) -> Match:
        """Return the tasks whose titles have a form of a verb, and the words of a phrase."""
        return self._choose((make_word(verb), *read_phrase(phrase)))

    def _match_one(self, phrase: str) -> Match:
        """Return the task of a phrase, which may also contain the name of the task's list."""
        whole = self._choose(read_phrase(phrase))
        if whole.found:
            return whole
        named = _OF_LIST.fullmatch(phrase)
        if named is None:
            return whole
        inside = self._find_list(named["list"])
        return (TaskIndex(inside, is_list=True).match(named["x"]) if inside else Match()) or whole

    def _match_parts(self, phrase: str) -> Match:
        """Return the tasks of a phrase with several items, such as "the milk and the slides"."""
        parts = split_parts(phrase)
        return join_matches([self._match_one(part) for part in parts]) if parts else Match()

    def _match_day(self, phrase: str) -> Match:
        """Return the tasks of "today's tasks"."""
        of_day = _OF_DAY.fullmatch(phrase.casefold().replace("\u2019", "'"))
        return Match() if of_day is None else self._find_due(of_day["day"])

    def _match_group(self, phrase: str) -> Match:
        """Return the tasks of "both calls", "all overdue tasks", "everything on my Home list"."""
        both = _BOTH.fullmatch(phrase)
        if both is not None:
            pair = self._match_about(both["x"])
            return pair if len(pair.found) == 2 else Match()  # noqa: PLR2004 - both
        group = _ALL.fullmatch(phrase)
        if group is None:
            return Match()
        words = group["x"].strip()
        rest = words.casefold()
        due = _ALL_DUE.fullmatch(rest)
        if due is not None:
            return self._find_due(due["when"] or due["first"])
        about = _ALL_ABOUT.fullmatch(rest)
        if about is not None:
            return self._match_about(words[about.start("x") :])
        of_list = _ALL_OF_LIST.fullmatch(rest)
        if of_list is None:
            return Match()
        return Match(tuple(self._find_list(of_list["list"] or of_list["first"])), is_group=True)

    def _match_about(self, phrase: str) -> Match:
        """Return all tasks whose titles have the words of a phrase."""
        fitting = self._choose(read_phrase(phrase), is_bounded=False)
        if fitting.is_near:
            return fitting
        return self._group(fitting.found or fitting.candidates)

    def _find_list(self, name: str) -> list[TaskName]:
        """Return the tasks of a list, if its name is unambiguous."""
        folded = name.casefold().strip()
        return [
            task
            for task in self._tasks
            if task.is_of_named_list and (task.list_name or "").casefold() == folded
        ]

    def _find_due(self, when: str) -> Match:
        now = self._now
        if now is None:
            return Match()
        if when in {"overdue", "late"}:
            return self._group(task for task in self._tasks if _is_overdue(task, now))
        day = (now.date() + timedelta(days="tomorrow" in when)).isoformat()
        return self._group(task for task in self._tasks if _due_day(task, now) == day)

    def _group(self, tasks: Iterable[TaskName]) -> Match:
        """Return a group without tasks visible to others, unless their list is named."""
        kept = (task for task in tasks if self._is_list or not task.is_shared)
        return Match(tuple(kept), is_group=True)

    def _choose(self, words: Sequence[Word], *, is_bounded: bool = True) -> Match:
        if not words or len(words) > _MAX_WORDS:
            return Match()
        numbers, is_near = self._find_numbers(words)
        tasks = self._tasks
        # A read-only task does not make a name ambiguous.
        changeable = [each for each in numbers if not tasks[each].is_read_only] or numbers
        fitting = [tasks[each] for each in changeable]
        exact = [tasks[each] for each in changeable if self._has_no_more(each, words)]
        is_hidden = any(not task.is_shared for task in fitting)
        if is_hidden and all(task.is_shared for task in exact):
            # Others can choose any title in a shared list, so an exact one there is not preferred.
            exact = []
        chosen = exact or fitting
        if len(chosen) == 1 and (not is_near or chosen[0].is_chosen):
            return Match(found=tuple(chosen), is_exact=bool(exact))
        bounded = chosen[:MAX_CANDIDATES] if is_bounded else chosen
        is_near = is_near and bool(chosen)
        return Match(candidates=tuple(bounded), is_near=is_near, is_exact=bool(exact))

    def _has_no_more(self, number: int, words: Sequence[Word]) -> bool:
        """Return whether every word of a title is in a phrase."""
        return all(
            any(is_same(word, of_title) for word in words) for of_title in self._titles[number]
        )

    def _find_numbers(self, words: Sequence[Word]) -> tuple[list[int], bool]:
        """Return the numbers of the titles with all words, and whether some match only nearly."""
        numbers: set[int] | None = None
        is_near = False
        for word in words:
            having = self._find_same(word)
            if not having:
                having = self._find_similar(word)
                is_near = True
            numbers = having if numbers is None else numbers & having
            if not numbers:
                return [], False
        return sorted(numbers or ()), is_near

    def _find_same(self, word: Word) -> set[int]:
        of_stem = self._numbers.get(word.stem, ())
        return {number for other, number in of_stem if is_same(word, other)}

    def _find_similar(self, word: Word) -> set[int]:
        first = word.stem[:1]
        near = (
            words
            for other, words in self._numbers.items()
            if other[:1] == first and is_similar(word, other)
        )
        return {number for words in near for _, number in words}


def is_group(phrase: str) -> bool:
    """Return whether a phrase denotes a group of tasks, known or not."""
    return _ALL.fullmatch(" ".join(phrase.split())) is not None


def split_parts(phrase: str) -> list[str]:
    """Return the items of a phrase such as "the milk and the slides"; empty if it has only one."""
    parts = [part for part in _PARTS.split(phrase) if part.strip()]
    return parts if 1 < len(parts) <= _MAX_PARTS else []


def join_matches(matches: Sequence[Match]) -> Match:
    """Return the tasks of all parts of a phrase; empty if one part matches nothing."""
    if not all(matches):
        return Match()
    doubtful = [match for match in matches if not match.found]
    if doubtful:
        return doubtful[0]
    by_id = {task.id: task for match in matches for task in match.found}
    return Match(tuple(by_id.values()), is_group=any(match.is_group for match in matches))


def _is_overdue(task: TaskName, now: datetime) -> bool:
    if task.due is None:
        return False
    if "T" in task.due:
        return datetime.fromisoformat(task.due) < now
    return task.due < now.date().isoformat()


def _due_day(task: TaskName, now: datetime) -> str | None:
    if task.due is None or "T" not in task.due:
        return task.due
    return datetime.fromisoformat(task.due).astimezone(now.tzinfo).date().isoformat()
