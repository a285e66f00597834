"""Pages of docs/ as what they contain: fenced blocks, to be run as a reader would."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def blocks_of(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language in a page, in order."""
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def outputs_of(page: str) -> dict[str, list[str]]:
    """Return the outputs that a page shows, by the heading above them."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^##+ ", (DOCS / page).read_text(), flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        blocks = re.findall(r"^```text\n(.*?)^```", rest, re.MULTILINE | re.DOTALL)
        if blocks:
            found[heading] = blocks
    return found


def substitute(text: str, values: dict[str, str]) -> str:
    """Replace what is the reader's own; each must be there."""
    for found, own in values.items():
        assert found in text, f"the page does not have {found!r} any more"
        text = text.replace(found, own)
    return text


def pattern_of(shown: str) -> str:
    """Return an expression for an output, where `…` is what the page leaves out."""
    return ".*".join(re.escape(part) for part in shown.strip().split("…"))
