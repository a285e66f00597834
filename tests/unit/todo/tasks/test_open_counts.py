import asyncio
from typing import Any

from todo.core.caller import Caller
from todo.tasks.open_counts import MAX_SHARED, OpenCount, count_open_tasks
from todo.tasks.visible_lists import VisibleList

OWN = VisibleList("own", "Own", "alice", "owner")
SHARED = [VisibleList(f"shared-{n}", "S", "bob", "read") for n in range(MAX_SHARED + 1)]


class CannedSession:
    """A session whose statement returns some rows: list, rows read, open ones."""

    def __init__(self, *rows: tuple[str | None, int, int]) -> None:
        self.rows = rows
        self.statements = 0

    async def fetch(self, *_statement: object) -> list[Any]:
        self.statements += 1
        return list(self.rows)


def test_all_lists_are_counted_by_one_statement_the_first_few_of_other_users() -> None:
    session: Any = CannedSession(("own", 3, 3), (None, 2, 2), ("shared-0", 900, 5))

    counts = asyncio.run(count_open_tasks(session, Caller("alice"), [OWN, *SHARED]))

    assert session.statements == 1
    assert counts.by_list["own"] == OpenCount(3, is_minimum=False)
    assert counts.by_list["shared-0"] == OpenCount(5, is_minimum=False)
    assert counts.without_list == OpenCount(2, is_minimum=False)
    assert len(counts.by_list) == 1 + MAX_SHARED


def test_where_the_bound_was_reached_there_may_be_more() -> None:
    session: Any = CannedSession(("own", 700, 700), (None, 301, 301), ("shared-0", 1001, 5))

    counts = asyncio.run(count_open_tasks(session, Caller("alice"), [OWN, *SHARED]))

    assert counts.by_list["own"].is_minimum
    assert counts.without_list.is_minimum
    assert counts.by_list["shared-0"] == OpenCount(5, is_minimum=True)
    assert not counts.by_list["shared-1"].is_minimum
