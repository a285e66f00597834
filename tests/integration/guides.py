"""Pages of docs/ as what they contain: fenced blocks, to be run as a reader would."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks_of(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language in a page, in order."""
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def substitute(text: str, values: dict[str, str]) -> str:
    """Replace what is the reader's own; each must be there."""
    for found, own in values.items():
        assert found in text, f"the page does not have {found!r} any more"
        text = text.replace(found, own)
    return text
