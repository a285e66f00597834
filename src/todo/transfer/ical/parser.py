"""Parser of calendar files: components and properties, each with its line number.

icalendar parses a file as a whole. It does not report line numbers, and one invalid line can cost
the whole component. So lines, folds and nesting are parsed here, and icalendar parses the content
of a line.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Skipped:
    """A skipped or changed property or component, with its line number from 1 and the reason."""

    line: int
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Property:
    """A property: one unfolded line."""

    line: int
    name: str
    parameters: dict[str, str]
    value: str


@dataclass(slots=True)
class Component:
    """A component: the lines between BEGIN and END."""

    line: int
    name: str
    properties: list[Property] = field(default_factory=list)
    components: list["Component"] = field(default_factory=list)


# Byte order marks, UTF-32 first: that of UTF-16 is a prefix.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BEGINS_PROPERTY = re.compile(rb"[ \t]*[A-Za-z0-9-]+[ \t]*[;:]")
_SIMPLE = re.compile(r"([A-Za-z0-9-]+):(.*)", re.DOTALL)
# Text before the first unquoted colon; the value may be megabytes long.
_HEAD = re.compile(r'((?:[^":\\]|\\.|"[^"]*")*):(.*)', re.DOTALL)
# A line this long before a line without a property name was folded without the required space.
_FOLDED_LENGTH = 70
_NAME_LENGTH = 60
# Maximum nesting; an alarm in a task in a calendar needs three levels.
_DEEPEST = 8
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def unescape(text: str) -> str:
    """Return the plain text of a TEXT value."""
    plain = _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], text)
    return plain.replace("\r", "").strip()


def read_components(data: bytes, report: list[Skipped]) -> list[Component]:
    """Parse the outermost components of a file; add invalid lines to the report."""
    root = Component(0, "")
    opened = [root]
    for line, text in _decode(_unfold(_to_utf8(data, report), report), report):
        read = _read_property(line, text, report)
        if read is None:
            continue
        if read.name == "BEGIN":
            _begin(opened, read, report)
        elif read.name == "END":
            _end(opened, read, report)
        elif len(opened) == 1:
            report.append(Skipped(line, read.name, "is outside of every component"))
        else:
            opened[-1].properties.append(read)
    for component in opened[1:]:
        _close(component, report)
    return root.components


def _begin(opened: list[Component], begin: Property, report: list[Skipped]) -> None:
    component = Component(begin.line, begin.value.strip().upper()[:_NAME_LENGTH])
    while component.name == "VTODO" and opened[-1].name in {"VTODO", "VALARM"}:
        # Tasks cannot be nested: the END of the previous one is missing.
        _close(opened.pop(), report)
    if len(opened) > _DEEPEST:
        report.append(Skipped(begin.line, component.name, "is nested too deep"))
        return
    opened[-1].components.append(component)
    opened.append(component)


def _end(opened: list[Component], end: Property, report: list[Skipped]) -> None:
    name = end.value.strip().upper()[:_NAME_LENGTH]
    if name not in {each.name for each in opened[1:]}:
        report.append(Skipped(end.line, "END", f"has no matching BEGIN:{name}"))
        return
    while opened[-1].name != name:
        _close(opened.pop(), report)
    opened.pop()


def _close(component: Component, report: list[Skipped]) -> None:
    why = f"END:{component.name} is missing; imported what is there"
    report.append(Skipped(component.line, component.name, why))


def _to_utf8(data: bytes, report: list[Skipped]) -> bytes:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding:
        # UTF-16 without a byte order mark has a zero byte in each letter of BEGIN.
        zeros = (data[:1] == b"\0", data[1:2] == b"\0")
        encoding = {(False, True): "utf-16-le", (True, False): "utf-16-be"}.get(zeros, "utf-8")
    if encoding == "utf-8":
        return data.removeprefix(codecs.BOM_UTF8)
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    lost = "; invalid characters became \ufffd" if "\ufffd" in text else ""
    report.append(Skipped(1, "encoding", f"not UTF-8: read as {encoding.upper()}{lost}"))
    return text.encode("utf-8", "replace")


def _unfold(data: bytes, report: list[Skipped]) -> list[tuple[int, bytes]]:
    """Join folded lines before decoding, because a fold may split a character."""
    lines: list[tuple[int, list[bytes]]] = []
    length = 0
    for number, line, last_length in _join_folded(data):
        if _BEGINS_PROPERTY.match(line):
            lines.append((number, [line]))
        elif not lines or lines[-1][1][0][:6].upper().startswith((b"BEGIN:", b"END:")):
            report.append(Skipped(number, "line", "is not a property"))
        else:
            lines[-1][1].append(line if length >= _FOLDED_LENGTH else rb"\n" + line)
            why = f"starts without a name; read as a continuation of line {lines[-1][0]}"
            report.append(Skipped(number, "line", why))
        length = last_length
    return [(number, b"".join(parts)) for number, parts in lines]


def _join_folded(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the number and text of each unfolded line, and the length of its last part.

    A fold may even split a property name (RFC 5545, 3.1).
    """
    first = length = 0
    parts: list[bytes] = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line:
            continue
        if line[:1] in b" \t" and parts:
            parts.append(line[1:])
            length = len(line)
            continue
        if parts:
            yield first, b"".join(parts), length
        first, parts, length = number, [line], len(line)
    if parts:
        yield first, b"".join(parts), length


def _decode(lines: list[tuple[int, bytes]], report: list[Skipped]) -> Iterator[tuple[int, str]]:
    others: list[int] = []
    for number, line in lines:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            others.append(number)
            try:
                text = line.decode("cp1252")
            except UnicodeDecodeError:
                text = line.decode("latin-1")
        if "\0" in text:
            report.append(Skipped(number, "line", "has the character NUL; removed"))
            text = text.replace("\0", "")
        yield number, text
    if others:
        why = f"not UTF-8: read as Windows-1252 ({len(others)} such lines in all)"
        report.append(Skipped(others[0], "encoding", why))


def _read_property(line: int, text: str, report: list[Skipped]) -> Property | None:
    simple = _SIMPLE.fullmatch(text)
    if simple:
        # Fast path for lines without parameters, a hundred times faster than icalendar.
        return Property(line, simple[1].upper()[:_NAME_LENGTH], {}, simple[2])
    from icalendar.parser import Contentline  # noqa: PLC0415 - 170 ms, only for an import

    head = _HEAD.fullmatch(text)
    try:
        if head is None:
            raise ValueError  # noqa: TRY301 - handled like an error of icalendar
        name, parameters, _ = Contentline(f"{head[1]}:").raw_parts()  # type: ignore[no-untyped-call]
    except ValueError:
        report.append(Skipped(line, "line", f"is not a property: {text[:40]!r}"))
        return None
    plain = {
        key.upper(): each if isinstance(each, str) else ",".join(each)
        for key, each in parameters.items()
    }
    return Property(line, name.upper()[:_NAME_LENGTH], plain, head[2])
