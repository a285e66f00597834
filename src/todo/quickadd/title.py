"""The title: the text without what was recognized."""

from collections.abc import Iterable

_SEPARATORS = " \t,;:-\u2013\u2014"
_LISTING = ",;:"


def render_title(text: str, removed: Iterable[tuple[int, int]], escapes: Iterable[int]) -> str:
    """Return what is left of a text, with single blanks and without dangling separators.

    Args:
        text: The text.
        removed: The parts to leave out, in order.
        escapes: The places of backslashes that only escape.
    """
    skipped = set(escapes)
    pieces: list[str] = []
    at = 0
    for start, end in _widen(text, removed):
        pieces.append(_keep(text, at, start, skipped))
        at = end
    pieces.append(_keep(text, at, len(text), skipped))
    return " ".join(_join(pieces).split())


def _widen(text: str, removed: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Yield the parts together with the brackets around each."""
    for start, end in removed:
        before, after = text[:start].rstrip(), text[end:]
        blanks = len(after) - len(after.lstrip())
        if before.endswith("(") and after[blanks : blanks + 1] == ")":
            yield len(before) - 1, end + blanks + 1
        else:
            yield start, end


def _keep(text: str, start: int, end: int, skipped: set[int]) -> str:
    return "".join(text[at] for at in range(start, end) if at not in skipped)


def _join(pieces: list[str]) -> str:
    """Join what was before, between and behind the parts that were left out."""
    if len(pieces) == 1:
        return pieces[0]
    title = pieces[0]
    for number, piece in enumerate(pieces[1:], 1):
        is_last = number == len(pieces) - 1
        rest = piece.strip()
        if not title.strip():
            title = piece.lstrip(_SEPARATORS)
        elif not rest.strip(_SEPARATORS):
            continue
        elif title.rstrip()[-1] in _LISTING or rest[0] not in _LISTING:
            gap = "" if rest[0] in ".!?" and is_last else " "
            title = f"{title.rstrip()}{gap}{rest.lstrip(_LISTING)}"
        else:
            title = f"{title.rstrip()}{rest}"
    ends_text = not pieces[-1].strip(_SEPARATORS)
    return title.rstrip(_SEPARATORS) if ends_text else title
