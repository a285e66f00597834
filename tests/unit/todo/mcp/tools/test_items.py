import asyncio
import threading
from datetime import UTC, datetime

import pytest

from todo.mcp.tool import Json
from todo.mcp.tools.account_time import AccountTime
from todo.mcp.tools.items import Items, read_items, read_tag
from todo.mcp.tools.list_lookup import ListLookup
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.visible_lists import VisibleLists


def find_thread(_item: Json, _items: Items, _path: str) -> int:
    return threading.get_ident()


def read(rules: RuleEvaluation, *given: Json) -> tuple[list[int], list[Json]]:
    items = Items(
        AccountTime(datetime(2026, 11, 29, tzinfo=UTC), "UTC"), ListLookup(VisibleLists())
    )
    found = asyncio.run(read_items(rules, find_thread, given, items, -1))
    return found, items.errors


@pytest.mark.parametrize("name", ["text", "due", "recurrence"])
def test_a_long_text_is_read_off_the_event_loop(name: str) -> None:
    given = [{name: length * "x", "title": 900 * "x"} for length in (200, 201)]
    (short, long), errors = read(RuleEvaluation(), *given)
    assert short == threading.get_ident()
    assert long != threading.get_ident()
    assert errors == []


def test_long_texts_of_a_call_have_a_budget() -> None:
    found, errors = read(RuleEvaluation(limit_s=0), {"text": "x"}, {"text": 900 * "x"})
    assert found == [threading.get_ident(), -1]
    assert [each["field"] for each in errors] == ["tasks.1.recurrence"]


@pytest.mark.parametrize(
    ("given", "tag"), [("@a", "a"), ("#a", "a"), (" a ", "a"), ("@", "@"), ("a@b", "a@b")]
)
def test_a_tag_has_no_sign(given: str, tag: str) -> None:
    assert read_tag(given) == tag
