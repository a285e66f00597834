import asyncio
from typing import Any

import pytest

from todo.journal.later_changes import find_later_changes
from todo.journal.undo_scope import UndoEntry


class CountingSession:
    """A session on a journal without later entries."""

    def __init__(self) -> None:
        self.statements = 0

    async def fetch(self, *_statement: object) -> list[Any]:
        self.statements += 1
        return []


def make_entry(seq: int, kind: str) -> UndoEntry:
    return UndoEntry(
        seq, 1, "", "alice", None, "create", kind, f"id-{seq}", None, None, '{"version":1}'
    )


@pytest.mark.parametrize("number", [1, 1000])
def test_later_changes_of_any_number_of_things_are_one_statement_a_kind(number: int) -> None:
    session: Any = CountingSession()
    chosen = [make_entry(seq, kind) for seq in range(number) for kind in ("task", "list")]

    found = asyncio.run(find_later_changes(session, "alice", chosen))

    assert session.statements == 2
    assert found.wanted == chosen
