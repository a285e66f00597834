"""Title: the text without its recognized parts."""

from collections.abc import Iterable, Iterator

_SEPARATORS = " \t,;:-\u2013\u2014"
_LISTING = ",;:"
_BRACKETS = frozenset({"()", "[]", "{}"})


def render_title(text: str, removed: Iterable[tuple[int, int]], escapes: Iterable[int]) -> str:
    """Return a text without some ranges, with single spaces and without dangling separators.

    `removed` are the ranges, in order; `escapes` are the offsets of backslashes to remove.
    """
    skipped = set(escapes)
    pieces: list[str] = []
    at = 0
    for start, end in _widen(text, removed):
        pieces.append(_keep(text, at, start, skipped))
        at = end
    pieces.append(_keep(text, at, len(text), skipped))
    return " ".join(_join(pieces).split())


def _widen(text: str, removed: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the ranges with their brackets; join those with only separators between them."""
    joined: list[tuple[int, int]] = []
    for start, end in removed:
        if joined and not text[joined[-1][1] : start].strip(_SEPARATORS):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    for start, end in joined:
        before, after = start - 1, end
        while text[before : before + 1].isspace():
            before -= 1
        while text[after : after + 1].isspace():
            after += 1
        brackets = text[before : before + 1] + text[after : after + 1]
        yield (before, after + 1) if brackets in _BRACKETS else (start, end)


def _keep(text: str, start: int, end: int, skipped: set[int]) -> str:
    return "".join(text[at] for at in range(start, end) if at not in skipped)


def _join(pieces: list[str]) -> str:
    """Join the pieces before, between and after the removed ranges."""
    if len(pieces) == 1:
        return pieces[0]
    title = pieces[0]
    for number, piece in enumerate(pieces[1:], 1):
        is_last = number == len(pieces) - 1
        rest = piece.strip()
        if not title.strip():
            title = piece.lstrip(f"{_SEPARATORS}.")
        elif not rest.strip(_SEPARATORS):
            continue
        elif title.rstrip()[-1] in _LISTING or rest[0] not in _LISTING:
            gap = "" if piece[0] in ".!?" and is_last else " "
            title = f"{title.rstrip()}{gap}{rest.lstrip(_LISTING)}"
        else:
            title = f"{title.rstrip()}{rest}"
    ends_text = not pieces[-1].strip(_SEPARATORS)
    return title.rstrip(_SEPARATORS) if ends_text else title
