"""Every row of docs/quick-add.md says what quick add does."""

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.guides import DOCS
from todo.quickadd.parser import parse_quick_add
from todo.quickadd.result import QuickAdd

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 10, tzinfo=BERLIN)
LISTS = ("Work", "Home Office")


def rows() -> Iterator[tuple[str, str]]:
    """The text and the result of each row: the last two cells."""
    for line in (DOCS / "quick-add.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        text = re.fullmatch(r"`(.*)`", cells[-2]) if line.startswith("| ") else None
        if text is not None:
            yield text[1], cells[-1]


def render(found: QuickAdd) -> str:
    if found.questions:
        question = found.questions[0]
        choices = " or ".join(f"“{choice}”" for choice in question.choices)
        return f"`{question.code}`{choices and f': {choices}'}"
    due = found.due_date and f"{found.due_date:%a} {found.due_date}"
    at = found.due_at and f"{found.due_at:%a %Y-%m-%d %H:%M}"
    parts = [
        f"*{found.title}*",
        (due or at) and f"due {due or at}",
        found.recurrence and f"`{found.recurrence}`",
        found.recurrence_from == "completion" and "from completion",
        *(f"reminder {minutes} min" for minutes in found.reminders),
        found.priority != "none" and f"priority {found.priority}",
        *(f"tag {tag}" for tag in found.tags),
        found.list_name and f"list {found.list_name}",
    ]
    return ", ".join(part for part in parts if part)


@pytest.mark.parametrize(("text", "result"), list(rows()))
def test_a_row_says_what_quick_add_does(text: str, result: str) -> None:
    assert render(parse_quick_add(text, NOW, BERLIN, LISTS)) == result


def test_every_table_has_rows() -> None:
    page = (DOCS / "quick-add.md").read_text("utf-8")

    assert len(list(rows())) == len(re.findall(r"^\| (?!---)", page, re.MULTILINE)) - page.count(
        "\n| ---"
    )
