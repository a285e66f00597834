"""Parser of systemd unit files and their values, without I/O.

It follows systemd.syntax(7): comments, continued lines, repeated keys, empty assignments that reset
a key, drop-ins. Malformed lines, and constructs that systemd and Podman parse differently, raise a
DeployError with file, line and remedy.
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import string
from typing import TYPE_CHECKING, NoReturn

from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SPACE = " \t\n\r"
_QUOTES = "\"'"
# LONG_LINE_MAX of systemd.
_MAX_LINE_LENGTH = 1024 * 1024
_SECTION = re.compile(r"\[([^\[\]\x00-\x1f\x7f]+)\]")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'", "s": " ",
}  # fmt: skip
_CODED = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}
_OCTAL_DIGITS = 3


@dataclasses.dataclass(frozen=True)
class SourceLocation:
    """A line of a file, for error messages."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def refuse(self, message: str, hint: str) -> NoReturn:
        """Raise a DeployError for malformed data at this location."""
        raise DeployError(f"{self}: {message}", hint=hint, code=ExitCode.DATA)


@dataclasses.dataclass(frozen=True)
class Assignment:
    """One `Key=value` line, with its continuation lines joined."""

    section: str
    key: str
    value: str
    place: SourceLocation

    def refuse(self, message: str, hint: str) -> NoReturn:
        """Raise a DeployError for this assignment."""
        self.place.refuse(f"{self.key}={self.value}: {message}", hint)


@dataclasses.dataclass(frozen=True)
class Header:
    """A `[Section]` line."""

    section: str
    place: SourceLocation


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit file with its drop-ins, whose lines follow those of the file."""

    file: str
    lines: tuple[Header | Assignment, ...]

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """All assignments, without section headers."""
        return tuple(line for line in self.lines if isinstance(line, Assignment))

    @property
    def name(self) -> str:
        """Name of the file without its folder, such as `todo-db.container`."""
        return posixpath.basename(self.file)

    @property
    def stem(self) -> str:
        """Name without its suffix, such as `todo-db`."""
        return self.name.rpartition(".")[0]

    @property
    def suffix(self) -> str:
        """Kind of the unit, such as `container`."""
        return self.name.rpartition(".")[2]

    def find_all(self, section: str, key: str) -> tuple[Assignment, ...]:
        """Return the effective assignments of a list: those after the last empty one."""
        return self._by_key.get((section, key), ())

    @functools.cached_property
    def _by_key(self) -> Mapping[tuple[str, str], tuple[Assignment, ...]]:
        found: dict[tuple[str, str], tuple[Assignment, ...]] = {}
        for each in self.assignments:
            place = (each.section, each.key)
            found[place] = (*found.get(place, ()), each) if each.value else ()
        return found

    def find(self, section: str, key: str) -> Assignment | None:
        """Return the effective assignment of a single value: the last one, None if empty."""
        found = self.find_all(section, key)
        return found[-1] if found else None

    def get(self, section: str, key: str) -> Assignment:
        """Return the effective assignment; raise DeployError if the key is missing or empty."""
        found = self.find(section, key)
        if found is None:
            message = f"{self.file}: {key}= is missing in [{section}]"
            raise DeployError(message, hint=f"add {key}= to [{section}]", code=ExitCode.DATA)
        return found


def parse_unit(file: str, text: str, drop_ins: Sequence[tuple[str, str]] = ()) -> Unit:
    """Parse a unit, and append its drop-ins (paths and contents), sorted by name."""
    ordered = sorted(drop_ins, key=lambda item: posixpath.basename(item[0]))
    return Unit(
        file,
        tuple(
            line
            for part, content in [(file, text), *ordered]
            for line in _read_lines(part, content)
        ),
    )


def _read_lines(file: str, text: str) -> Iterator[Header | Assignment]:
    section = ""
    for place, line in _logical_lines(file, text):
        if line.startswith("["):
            match = _SECTION.fullmatch(line)
            if match is None:
                place.refuse(f"malformed section header {line}", "write it as [Section]")
            section = match[1]
            yield Header(section, place)
            continue
        key, equals, value = line.partition("=")
        key = key.rstrip(_SPACE)
        if not equals or not _KEY.fullmatch(key):
            place.refuse(
                f"neither a comment, a section nor Key=value: {line}",
                "write Key=value, or start a comment with #",
            )
        if not section:
            place.refuse(f"{key}= is before the first section", "put a [Section] line above it")
        value = value.strip(_SPACE)
        if value != value.lstrip():
            place.refuse(
                f"{key}= starts with an unusual white-space character",
                "remove it: Podman ignores it, but systemd does not",
            )
        yield Assignment(section, key, value, place)


def _logical_lines(file: str, text: str) -> Iterator[tuple[SourceLocation, str]]:
    """Yield the location and text of each line, without comments, with continuations joined."""
    pending = ""
    start = 0
    number = 0
    for number, raw in enumerate(text.removesuffix("\n").split("\n"), start=1):
        place = SourceLocation(file, number)
        line = _read_line(place, raw.removesuffix("\r"))
        if line.startswith(("#", ";")) or (not line and not pending):
            # A comment inside a continued line is skipped, and the next line continues.
            continue
        if not line:
            place.refuse(
                "an empty line inside a continued line",
                "remove it: it ends the value for systemd, but not for Podman",
            )
        start = start if pending else number
        if len(pending) + len(line) >= _MAX_LINE_LENGTH:
            place.refuse("a line of more than a megabyte", "shorten it: systemd refuses the file")
        if line.endswith("\\"):
            pending += line[:-1]
            _check_continuation(place, pending)
            continue
        yield SourceLocation(file, start), pending + line
        pending = ""
    if pending:
        SourceLocation(file, number).refuse(
            "the file ends inside a continued line", "remove the backslash, or add the missing line"
        )


def _read_line(place: SourceLocation, raw: str) -> str:
    """Strip a line; reject one that systemd and Podman would strip or end differently."""
    line = raw.strip(_SPACE)
    if "\0" in line:
        place.refuse("a NUL character", "write the file as plain text")
    if "\r" in line:
        place.refuse(
            "a carriage return inside the line",
            "remove it: it ends the line for systemd, but not for Podman",
        )
    if line != line.strip() or line.startswith("\ufeff"):
        place.refuse(
            "an unusual white-space character or a byte order mark at the start or end of the line",
            "remove it: only one of systemd and Podman ignores it",
        )
    if line.endswith("\\") and not raw.endswith("\\"):
        place.refuse(
            "a space after the backslash that ends the line",
            "remove it: the line is continued for Podman, but not for systemd",
        )
    return line


def _check_continuation(place: SourceLocation, pending: str) -> None:
    """Reject a line that systemd and Podman join to the next line differently."""
    if pending == pending.rstrip(_SPACE):
        place.refuse(
            "no space before the backslash that continues the line",
            "add one: without it, systemd and Podman join the lines differently",
        )
    quote = ""
    escaped = False
    for char in pending:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in _QUOTES:
            quote = char
    if quote:
        place.refuse(
            f"the quote {quote} is still open where the line is continued",
            "close it first: inside quotes, systemd keeps spaces that Podman removes",
        )


def split_words(assignment: Assignment) -> tuple[str, ...]:
    """Split a value into words and resolve systemd's quotes and escapes."""
    words: list[str] = []
    # `word` is None between words; an empty pair of quotes is an empty word.
    word: str | None = None
    quote = ""
    text = assignment.value
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            piece, at = _unescape(assignment, at)
            word = (word or "") + piece
        elif quote:
            if char == quote:
                quote = ""
            else:
                word = (word or "") + char
        elif char in "\"'":
            quote = char
            word = word or ""
        elif char not in _SPACE:
            word = (word or "") + char
        elif word is not None:
            words.append(word)
            word = None
    if quote:
        assignment.refuse(f"the quote {quote} is not closed", "close it")
    if word is not None:
        words.append(word)
    return tuple(words)


def _unescape(assignment: Assignment, at: int) -> tuple[str, int]:
    """Return the character of the escape after a backslash, and the position after the escape."""
    text = assignment.value
    kind = text[at : at + 1]
    if kind in _ESCAPES:
        return _ESCAPES[kind], at + 1
    length, base = _CODED.get(kind, (_OCTAL_DIGITS, 8))
    begin = at + 1 if kind in _CODED else at
    digits = text[begin : begin + length]
    allowed = string.hexdigits if base == 16 else string.octdigits  # noqa: PLR2004 - a base
    if len(digits) == length and all(digit in allowed for digit in digits):
        code = int(digits, base)
        # Beyond ASCII, \x and octal escapes are bytes, not characters.
        limit = 0x10FFFF if kind in {"u", "U"} else 0x7F
        if 0 < code <= limit and not 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - surrogates
            return chr(code), begin + length
    return assignment.refuse(
        f"unknown escape \\{kind}", "double the backslash, or write the character itself"
    )


def literal(assignment: Assignment, text: str) -> str:
    """Unescape `%%` and `$$`; reject specifiers and variables, which only systemd can expand."""
    for mark, name in (("%", "specifier"), ("$", "variable")):
        match = re.search(rf"{re.escape(mark)}(.?)", text.replace(mark * 2, ""))
        if match:
            assignment.refuse(
                f"the {name} {match[0]} is expanded by systemd only",
                f"write the value itself, or {mark}{mark} for the character {mark}",
            )
        text = text.replace(mark * 2, mark)
    return text
