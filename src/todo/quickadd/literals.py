"""Literal parts of a text: quotations, and words after a backslash."""

from collections.abc import Iterator

# Opening -> closing mark: straight, English, German, single, French.
_PAIRS = {
    '"': '"', "'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019",
    "\u00ab": "\u00bb",
}  # fmt: skip
_ESCAPE = "\\"


def find_literals(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end offsets of each literal part, in order.

    A quotation starts only before a word, so apostrophes and the inch mark of `5" nails` do not
    start one. It ends at the first closing mark that directly follows a word and precedes none.
    """
    at, size = 0, len(text)
    unclosed: set[str] = set()
    while at < size:
        char = text[at]
        end = -1
        if at == 0 or text[at - 1].isspace() or text[at - 1] in "([{":
            if char == _ESCAPE:
                end = _end_of_word(text, at + 1)
            elif char in _PAIRS and char not in unclosed:
                end = _find_closing(text, at + 1, _PAIRS[char])
                if end < 0:
                    # Searched only once, so that a text of many marks takes linear time.
                    unclosed.add(char)
        if end > at + 1:
            yield at, end
            at = end
        else:
            at += 1


def _end_of_word(text: str, at: int) -> int:
    while at < len(text) and not text[at].isspace():
        at += 1
    return at


def _find_closing(text: str, at: int, mark: str) -> int:
    """Return the end of a quotation, or -1."""
    end = text.find(mark, at)
    while end >= 0:
        is_border = end + 1 == len(text) or not text[end + 1].isalnum()
        if end > at and is_border and not text[end - 1].isspace():
            return end + 1
        end = text.find(mark, end + 1)
    return -1
