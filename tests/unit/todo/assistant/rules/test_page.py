"""The examples of docs/assistant.md mean what the page says."""

import re
from pathlib import Path

import pytest

from tests.unit.todo.assistant.rules.utterance_book import DELETION, make_context
from todo.assistant.rules.engine import decide

PAGE = Path(__file__).parents[5] / "docs" / "assistant.md"
INTENTS = {
    "add": {"add"},
    "complete, reopen": {"complete", "reopen"},
    "delete": {"delete"},
    "move": {"reschedule"},
    "change": {"update"},
    # A question about lists is answered with their names.
    "find": {"find", "help"},
    "undo, confirm": {"undo", "confirm", "decline"},
}


def load_examples() -> list[tuple[str, str]]:
    section = PAGE.read_text("utf-8").partition("## What rules understand")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| (`.+) \|$", section, re.MULTILINE)
    return [(name, text) for name, cell in rows for text in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize(("name", "text"), load_examples())
def test_an_example_is_decided_as_the_page_says(name: str, text: str) -> None:
    decision = decide(text.replace("…", "0198f3c2"), make_context(DELETION))

    assert decision is not None
    assert decision.intent in INTENTS[name]
    assert not decision.candidates


def test_every_row_has_examples() -> None:
    assert {name for name, _ in load_examples()} == set(INTENTS)
