"""One-word marks for tags, lists and priorities, in the notations of other programs."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from todo.core.domain import Priority
from todo.quickadd.result import Kind, Span

# Letters with combining marks, and digits. Beyond ASCII, only spaces and punctuation end a name.
_LETTER = r"[^\W_]|[^\x00-\x7f\s\u2000-\u206f\u3000-\u303f\uff00-\uff0f]"
_NAME = rf"(\"[^\"\s][^\"]*\"|(?:{_LETTER})(?:{_LETTER}|[_./&+#'-]){{0,99}})"
_ENDS = r"(?=[,.;:!?)\]]*(?:\s|$))"
_MARK = re.compile(
    rf"(?<!\S)(?:"
    rf"(?P<sign>[#@+~^]|project:|list:){_NAME}"
    rf"|(?P<priority>p[1-4]|![1-5]|!high|!medium|!med|!low|!none|!!!?"
    rf"|(?:priority|pri):(?:high|medium|low|none|[hml]))"
    rf"){_ENDS}",
    re.IGNORECASE,
)
_PRIORITIES: Final[dict[str, Priority]] = {
    "p1": "high", "p2": "medium", "p3": "low", "p4": "none",
    "1": "low", "2": "medium", "3": "high", "4": "high", "5": "high",
    "high": "high", "medium": "medium", "med": "medium", "low": "low", "none": "none",
    "h": "high", "m": "medium", "l": "low", "!": "medium", "!!": "high",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tag:
    """Tag in the text, without its mark."""

    name: str


@dataclass(frozen=True, slots=True)
class KnownList:
    """Existing list that the text names; `name` has the spelling of the list."""

    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Mark as a half-open range of code points, and its meaning."""

    start: int
    end: int
    value: Tag | KnownList | Priority


@dataclass(frozen=True, slots=True)
class Marks:
    """Meaning of all marks of a text: its tags, its first list and its first priority.

    Further lists and priorities have no span, so they stay in the title.
    """

    tags: tuple[str, ...]
    list_name: str | None
    priority: Priority
    spans: tuple[Span, ...]


class ListNames:
    """Lists by name, ignoring case; `-` and `_` count as spaces."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def find(self, name: str) -> str | None:
        """Return the name of a list in its own spelling, or None."""
        return self._by_folded_name.get(fold_list_name(name))

    @cached_property
    def _by_folded_name(self) -> dict[str, str]:
        # Computed on first use: most texts name no list, and an account can have many.
        return {fold_list_name(name): name for name in self._names}


def fold_list_name(name: str) -> str:
    """Return the normalized form of a list name, by which names are compared."""
    folded = unicodedata.normalize("NFC", name).casefold()
    return " ".join(folded.replace("-", " ").replace("_", " ").split())


def collect_marks(
    text: str, list_names: Collection[str], literals: Iterable[tuple[int, int]]
) -> Marks:
    """Return the meaning of the marks in a text, except those in its literal parts."""
    literal = {at for start, end in literals for at in range(start, end)}
    tags: dict[str, None] = {}
    list_name: str | None = None
    priority: Priority | None = None
    spans: list[Span] = []
    for mark in find_marks(text, ListNames(list_names)):
        kind: Kind
        match mark.value:
            case _ if mark.start in literal:
                continue
            case Tag(name):
                kind, tags[name] = "tag", None
            case KnownList(name) if list_name is None:
                kind, list_name = "list", name
            case str(value) if priority is None:
                kind, priority = "priority", value
            case _:
                continue
        spans.append(Span(mark.start, mark.end, kind))
    return Marks(tuple(tags), list_name, priority or "none", tuple(spans))


def find_marks(text: str, lists: ListNames) -> Iterator[Mark]:
    """Yield the marks of a text in order."""
    for match in _MARK.finditer(text):
        word = match["priority"]
        if word is not None:
            value = word.lower().rpartition(":")[2].removeprefix("!")
            yield Mark(match.start(), match.end(), _PRIORITIES[value])
            continue
        mark = _decode(match["sign"], match[2], match.start(), lists)
        if mark is not None:
            yield mark


def _decode(sign: str, given: str, start: int, lists: ListNames) -> Mark | None:
    is_quoted = given[0] == '"'
    name = given.strip('"').strip() if is_quoted else given.rstrip("./&'-")
    end = start + len(sign) + (len(given) if is_quoted else len(name))
    if sign not in "@+":
        known = lists.find(name)
        if known is not None:
            return Mark(start, end, KnownList(known))
        if sign != "#":
            return None
    has_letter = any(char.isalpha() for char in name)
    if not has_letter or (sign in "@+" and name[0].isdecimal()):
        # "@5pm" and "+15min" are due dates, "#1" is a number.
        return None
    return Mark(start, end, Tag(name))
