"""Which tasks a phrase names: "the dentist", "all overdue tasks", "the milk and the slides".

Every word of the phrase must be a word of the title, so a phrase with anything else names nothing.
Where several tasks fit, none is chosen: they are the candidates.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from todo.assistant.rules.decision import TaskName
from todo.assistant.rules.vocabulary import PHRASE_FILLERS, TASK_NOUNS
from todo.assistant.rules.words import is_near, split_words, stem

MAX_CANDIDATES = 10
EVERY_TASK = r"(?:all|every|each)(?: of)?(?: (?:my|the|our))?(?: open)? (?:tasks?|to-?dos?|items?)"
"""A pattern of all tasks of a person, which only some commands can be about."""
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
    """The tasks that a phrase names.

    Attributes:
        found: Those that are meant for sure; empty where none fits, or where several fit.
        candidates: Those that fit, where it is not clear which is meant.
    """

    found: tuple[TaskName, ...] = ()
    candidates: tuple[TaskName, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.found or self.candidates)


class TaskIndex:
    """The words of titles, for several phrases about the same tasks."""

    def __init__(self, tasks: Sequence[TaskName], now: datetime | None = None) -> None:
        """Read the titles.

        Args:
            tasks: The tasks to choose from.
            now: The present instant in the user's zone, which decides what is overdue; without it
                no phrase names tasks by their due.
        """
        self._tasks = tasks
        self._now = now
        self._titles = [_read_title(task.title[:_TITLE_LENGTH]) for task in tasks]
        self._numbers: dict[str, set[int]] = defaultdict(set)
        for number, title in enumerate(self._titles):
            for word in title:
                self._numbers[word].add(number)

    def find_own(self) -> tuple[TaskName, ...]:
        """Return all tasks that nobody else sees."""
        return tuple(task for task in self._tasks if not task.is_shared)

    def match(self, phrase: str) -> Match:
        """Return the tasks that a phrase names."""
        phrase = " ".join(phrase.split())
        return (
            self._match_day(phrase)
            or self._match_group(phrase)
            or self._match_one(phrase)
            or self._match_parts(phrase)
        )

    def match_words(self, words: Iterable[str]) -> Match:
        """Return the tasks whose titles have all of these stems."""
        return self._choose(frozenset(words))

    def _match_one(self, phrase: str) -> Match:
        """Return the task of a phrase, which can name its list as well."""
        whole = self._choose(_contents(split_words(phrase)))
        if whole.found:
            return whole
        named = _OF_LIST.fullmatch(phrase)
        if named is None:
            return whole
        inside = [task for task in self._tasks if _has_list(task, named["list"])]
        return (TaskIndex(inside).match(named["x"]) if inside else Match()) or whole

    def _match_parts(self, phrase: str) -> Match:
        """Return the tasks of a phrase that enumerates them."""
        parts = split_parts(phrase)
        return join_matches([self._match_one(part) for part in parts]) if parts else Match()

    def _match_day(self, phrase: str) -> Match:
        """Return the tasks of "today's tasks"."""
        of_day = _OF_DAY.fullmatch(phrase.casefold().replace("\u2019", "'"))
        return Match() if of_day is None else Match(tuple(self._find_due(of_day["day"])))

    def _match_group(self, phrase: str) -> Match:
        """Return the tasks of "both calls", "all overdue tasks", "everything on my Home list"."""
        both = _BOTH.fullmatch(phrase)
        if both is not None:
            pair = self._choose(_contents(split_words(both["x"]))).candidates
            return Match(pair) if len(pair) == 2 else Match()  # noqa: PLR2004 - both
        group = _ALL.fullmatch(phrase)
        if group is None:
            return Match()
        rest = group["x"].strip().casefold()
        due = _ALL_DUE.fullmatch(rest)
        if due is not None:
            return Match(tuple(self._find_due(due["when"] or due["first"])))
        about = _ALL_ABOUT.fullmatch(rest)
        if about is not None:
            fitting = self._choose(_contents(split_words(about["x"])), is_bounded=False)
            return Match(fitting.found or fitting.candidates)
        of_list = _ALL_OF_LIST.fullmatch(rest)
        if of_list is None:
            return Match()
        name = of_list["list"] or of_list["first"]
        return Match(tuple(task for task in self._tasks if _has_list(task, name)))

    def _find_due(self, when: str) -> Iterable[TaskName]:
        if self._now is None:
            return ()
        if when in {"overdue", "late"}:
            return (task for task in self._tasks if _is_overdue(task, self._now))
        day = self._now.date() + timedelta(days="tomorrow" in when)
        return (task for task in self._tasks if _due_day(task, self._now) == day.isoformat())

    def _choose(self, words: frozenset[str], *, is_bounded: bool = True) -> Match:
        if not words or len(words) > _MAX_WORDS:
            return Match()
        numbers = self._find_numbers(words)
        exact = [number for number in numbers if self._titles[number] == words]
        chosen = [self._tasks[number] for number in (exact or numbers)]
        if len(chosen) == 1:
            return Match(found=tuple(chosen))
        return Match(candidates=tuple(chosen[:MAX_CANDIDATES] if is_bounded else chosen))

    def _find_numbers(self, words: frozenset[str]) -> list[int]:
        """Return the numbers of the titles with all words; some may have a typing error."""
        numbers: set[int] | None = None
        for word in words:
            having = self._numbers.get(word) or self._find_near(word)
            numbers = having if numbers is None else numbers & having
            if not numbers:
                return []
        return sorted(numbers or ())

    def _find_near(self, word: str) -> set[int]:
        near = (numbers for other, numbers in self._numbers.items() if is_near(word, other))
        return set().union(*near)


def split_parts(phrase: str) -> list[str]:
    """Return the parts of a phrase that enumerates some; nothing for any other phrase."""
    parts = [part for part in _PARTS.split(phrase) if part.strip()]
    return parts if 1 < len(parts) <= _MAX_PARTS else []


def join_matches(matches: Sequence[Match]) -> Match:
    """Return what the parts of a phrase name together: nothing where one of them names nothing."""
    if not all(matches):
        return Match()
    doubtful = [match for match in matches if not match.found]
    if doubtful:
        return Match(candidates=doubtful[0].candidates)
    by_id = {match.found[0].id: match.found[0] for match in matches}
    return Match(tuple(by_id.values()))


@lru_cache(8192)
def _read_title(title: str) -> frozenset[str]:
    """Return the words of a title; each message is about the same ones."""
    return _contents(split_words(title))


def _contents(words: list[str]) -> frozenset[str]:
    """Return the stems of the words that say which task it is."""
    content = [word for word in words if word not in PHRASE_FILLERS]
    named = [word for word in content if word not in TASK_NOUNS]
    return frozenset(map(stem, named or content))


def _has_list(task: TaskName, name: str) -> bool:
    return task.list_name is not None and task.list_name.casefold() == name.casefold().strip()


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
