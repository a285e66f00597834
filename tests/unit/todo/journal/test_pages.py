"""Pages of changes, bounded by number and by size."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from todo.journal import repository
from todo.journal.repository import STEP, Changes, View, read_changes

if TYPE_CHECKING:
    from todo.db.session import Session
    from todo.db.statement import BoundStatement, Row


class Journal:
    """A journal whose changes have a size each; answers as a session does."""

    def __init__(self, sizes: list[int]) -> None:
        self._sizes = sizes

    async def run(self, *calls: "BoundStatement") -> list[list["Row"]]:
        values: dict[str, Any] = dict(calls[1][1])
        first, last = values["since"] + 1, min(len(self._sizes), values["until"])
        numbers = list(range(first, last + 1))[: values["limit"]]
        rows = [(b"x" * self._sizes[n - 1], n, "create") for n in numbers]
        return [[(len(self._sizes),)], cast("list[Row]", rows)]


def read(journal: Journal, limit: int, since: int = 0) -> Changes:
    session = cast("Session", journal)
    return asyncio.run(read_changes(session, View("alice"), since, limit))


@pytest.mark.parametrize(
    ("count", "limit"), [(0, 5), (5, 5), (100, 100), (500, 500), (7, 500), (499, 500)]
)
def test_small_changes_come_as_many_as_were_asked_for(count: int, limit: int) -> None:
    found = read(Journal([10] * 500), limit, 500 - count)

    assert [change.seq for change in found.items] == list(range(501 - count, 501))
    assert (found.next_since, found.has_more) == (500, False)


def test_a_page_of_large_changes_ends_early_and_says_that_there_are_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repository, "MAX_PAGE_BYTES", 250_000)
    journal = Journal([10] * 100 + [1000] * 900)
    seen: list[int] = []
    has_more = True
    while has_more:
        found = read(journal, 1000, seen[-1] if seen else 0)
        assert found.items
        assert sum(len(change.data) for change in found.items) < 250_000 + STEP * 1000
        seen += [change.seq for change in found.items]
        assert found.next_since == seen[-1]
        has_more = found.has_more

    assert seen == list(range(1, 1001))
