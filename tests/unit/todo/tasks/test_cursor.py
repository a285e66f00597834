"""Cursors: those of a page are accepted, and no others."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.core.caller import Caller
from todo.core.errors import ValidationFailedError
from todo.db.documents import TASK_FIELDS
from todo.db.statement import POSTGRESQL, Row, Statement
from todo.tasks.query import Page, Query, read_page
from todo.tasks.query_shape import Sort
from todo.tasks.schemas import TaskQuery

if TYPE_CHECKING:
    from todo.db.session import Session

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ID = "019ab000-0000-7000-8000-000000000001"
IMAGE: dict[str, Any] = {
    **dict.fromkeys(TASK_FIELDS),
    "id": ID,
    "title": "grüße",
    "priority": "medium",
    "due_at": "2026-11-25T10:00:00+00:00",
    "position": 1.5,
    "updated_at": "2026-11-25T10:00:00.25+00:00",
    "version": 1,
}
KEYS: dict[Sort, object] = {
    "created": None,
    "updated": "2026-11-25T10:00:00.250000+00:00",
    "due": "2026-11-25T10:00:00.000000+00:00",
    "priority": 2,
    "title": "grüße",
    "position": 1.5,
}
LISTED = "019ab000-0000-7000-8000-000000000002"


class FakeSession:
    """Has one more task than a page, and remembers what it was asked by."""

    dialect = POSTGRESQL

    def __init__(self, *, found: int = 2) -> None:
        self.values: Mapping[str, Any] = {}
        self.asked: list[str] = []
        self._found = found

    async def fetch(self, _statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        self.values = values
        self.asked.append("page")
        return [(json.dumps(IMAGE).encode(), self._found)] * self._found

    async def find(self, _statement: Statement, values: Mapping[str, Any]) -> Row:
        if "priority" in values:
            self.asked.append("boundary")
            return (ID, ID)
        return ("alice", True)

    @contextlib.asynccontextmanager
    async def one_view(self) -> AsyncIterator[None]:
        self.asked.append("begin")
        yield
        self.asked.append("end")


def read(query: Query) -> tuple[Page, Mapping[str, Any]]:
    session = FakeSession()
    page = asyncio.run(read_page(cast("Session", session), Caller("alice"), query, NOW))
    return page, session.values


def ask(sort: Sort, cursor: str | None = None, *, descending: bool = False) -> Query:
    return Query(sort=sort, descending=descending, limit=1, cursor=cursor, list_id=LISTED)


def encode(place: list[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("sort", KEYS)
def test_a_cursor_goes_on_after_the_last_task_of_its_page(sort: Sort) -> None:
    page, _ = read(ask(sort))
    assert page.next_cursor is not None

    _, values = read(ask(sort, page.next_cursor))

    assert values["after_id"] == ID
    assert values.get("after_key") == KEYS[sort]


@pytest.mark.parametrize("sort", KEYS)
def test_a_page_of_few_fields_goes_on_from_the_same_place(sort: Sort) -> None:
    whole, _ = read(ask(sort))
    query = ask(sort)
    few, _ = read(Query(sort=sort, descending=False, limit=1, list_id=LISTED, fields=("tags",)))

    assert query.fields != ("tags",)
    assert few.next_cursor == whole.next_cursor
    assert few.items == [b'{"tags":null}']


def test_a_cursor_is_safe_in_an_address_as_it_is() -> None:
    cursor = read(ask("title"))[0].next_cursor

    assert cursor is not None
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    ("sort", "cursor"),
    [
        ("created", ""),
        ("created", "AAAA"),
        ("created", "é"),
        ("created", "a" * 5),
        ("created", encode([])),
        ("created", encode([2, "created", False, None])),
        ("created", encode([2, "created", False, None, "no id"])),
        ("created", encode([2, "created", False, None, 7])),
        ("created", encode([2, "created", False, None, ID, 1])),
        ("created", encode([2, "created", False, "key", ID])),
        ("created", encode([1, "created", False, None, ID])),
        ("created", encode([2, "created", True, None, ID])),
        ("created", encode([2, "updated", False, None, ID])),
        ("updated", encode([2, "updated", False, "yesterday", ID])),
        ("updated", encode([2, "updated", False, 7, ID])),
        # There is no such instant in UTC.
        ("updated", encode([2, "updated", False, "0001-01-01T00:00:00+23:59", ID])),
        ("due", encode([2, "due", False, None, ID])),
        ("priority", encode([2, "priority", False, 4, ID])),
        ("priority", encode([2, "priority", False, -1, ID])),
        ("priority", encode([2, "priority", False, 1.5, ID])),
        ("priority", encode([2, "priority", False, True, ID])),
        ("priority", encode([2, "priority", False, "high", ID])),
        ("position", encode([2, "position", False, "1", ID])),
        ("position", encode([2, "position", False, 10**400, ID])),
        ("position", encode([2, "position", False, 2**63, ID])),
        ("position", encode([2, "position", False, -1.1e15, ID])),
        ("position", encode([2, "position", False, False, ID])),
        ("title", encode([2, "title", False, 1, ID])),
        ("title", encode([2, "title", False, "a\0b", ID])),
        ("relevance", encode([2, "relevance", True, None, ID])),
    ],
)
def test_what_is_no_cursor_of_this_order_is_refused(sort: Sort, cursor: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        read(Query(sort=sort, descending=False, limit=1, cursor=cursor, list_id=LISTED, search="x"))

    assert caught.value.errors is not None
    assert [error["field"] for error in caught.value.errors] == ["cursor"]


@given(
    sort=st.sampled_from(sorted(KEYS)),
    key=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        st.lists,
    ),
)
def test_a_made_up_cursor_is_refused_or_a_value_that_the_column_takes(
    sort: Sort, key: object
) -> None:
    cursor = encode([2, sort, False, key, ID])
    try:
        _, values = read(ask(sort, cursor))
    except ValidationFailedError:
        return
    if sort != "created":
        assert isinstance(values["after_key"], type(KEYS[sort]) | int)


def test_a_time_of_a_cursor_is_written_in_the_one_form_whatever_it_said() -> None:
    _, values = read(ask("updated", encode([2, "updated", False, "20261125T110000+0100", ID])))

    assert values["after_key"] == "2026-11-25T10:00:00.000000+00:00"


@pytest.mark.parametrize(("sort", "field"), [("relevance", "sort"), ("position", "sort")])
def test_an_order_that_needs_more_says_so(sort: Sort, field: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        read(Query(sort=sort))

    assert caught.value.errors is not None
    assert caught.value.errors[0]["field"] == field


def test_page_and_boundary_see_the_same_so_that_no_row_slips_between() -> None:
    session = FakeSession(found=0)
    query = Query(priority="high", limit=1)
    page = asyncio.run(read_page(cast("Session", session), Caller("alice"), query, NOW))

    assert session.asked == ["begin", "page", "boundary", "end"]
    assert page.items == []
    assert page.next_cursor is not None


def test_a_page_that_an_index_answers_needs_no_more_than_itself() -> None:
    session = FakeSession()
    asyncio.run(read_page(cast("Session", session), Caller("alice"), Query(limit=1), NOW))

    assert session.asked == ["page"]


def test_a_search_without_a_word_finds_nothing_and_asks_nothing() -> None:
    page, values = read(Query(search="!? ..."))

    assert (page.render(), values) == (b'{"items":[],"next_cursor":null}', {})


@pytest.mark.parametrize("search", ["", " ", "\u3000"])
def test_a_blank_search_is_no_filter(search: str) -> None:
    page, values = read(Query(search=search, limit=1))

    assert len(page.items) == 1
    assert values == {"owner": "alice", "limit": 2}


def test_a_cursor_of_the_longest_title_is_accepted() -> None:
    # Of a control character, JSON makes six.
    cursor = encode([2, "title", True, "\x01" * 255, ID])

    TaskQuery(cursor=cursor)
