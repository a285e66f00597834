"""Cursors that no page handed out: refused, or read as a place, never an internal error."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.users import LISTS, TASKS, MakePerson, Person

ID = "019ab000-0000-7000-8000-000000000001"
SORTS = ("created", "updated", "due", "priority", "title", "position")
KEYS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    3,
    4,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**300,
    1e308,
    -0.0,
    5e-324,
    "",
    "a",
    "\0",
    "\ud800",
    "\U0010ffff",
    "1" * 1000,
    [],
    {},
    "2027-01-01",
    "2027-01-01T00:00:00",
    "2027-01-01T00:00:00.1234567Z",
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T00:00:00+00:00",
    "2027-W01-1",
    "20270101T000000Z",
)
IDS: tuple[Any, ...] = (
    ID,
    ID.upper(),
    f"{{{ID}}}",
    f"urn:uuid:{ID}",
    ID.replace("-", ""),
    "0" * 32,
    "f" * 32,
    "",
    "none",
    "\0",
    "ﬀ" * 32,
    "٣" * 32,
    0,
    2**64,
    None,
    [ID],
    {"id": ID},
)
NUMBERS = (
    "-1",
    "0",
    "1",
    "9223372036854775807",
    "9223372036854775808",
    "1e3",
    "٣",
    "",
    "1_0",
    "0x1",
)


def encode(value: Any) -> str:  # noqa: ANN401 - JSON
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forge(sort: str) -> Iterator[str]:
    """Yield cursors of a page of tasks."""
    for key in KEYS:
        for descending in (False, True):
            yield encode([2, sort, descending, key, ID])
    for last_id in IDS:
        yield encode([2, sort, False, None if sort == "created" else "a", last_id])
        yield encode([1, last_id])
    yield from mangle(encode([2, sort, False, None, ID]))


def mangle(cursor: str) -> Iterator[str]:
    """Yield what a cursor becomes when something happens to it."""
    chance = random.Random(cursor)  # noqa: S311 - the same each time
    yield from ("", "=", "====", "AAAA", "é", "\0", "[]", encode({}), encode(1), encode("abcde"))
    yield encode([[[[]]]] * 5)
    yield base64.urlsafe_b64encode(b"[" * 1500).decode()
    for _ in range(40):
        text = list(cursor)
        for _ in range(chance.randint(1, 3)):
            text[chance.randrange(len(text))] = chance.choice("AZaz09-_=+/ %")
        yield "".join(text)
    for length in range(0, len(cursor), 5):
        yield cursor[:length]


# No task has such a position.
@pytest.mark.parametrize("position", [2**63, -(2**63) - 1, 10**30, 1e16])
def test_a_forged_position_is_refused(alice: Person, position: float) -> None:
    in_list = alice.http.get(LISTS).json()["items"][0]["id"]
    cursor = encode([2, "position", False, position, ID])
    asked = {"sort": "position", "order": "asc", "list": in_list, "cursor": cursor}

    assert alice.http.get(TASKS, params=asked).status_code == 422


def hold(person: Person, path: str, **params: str) -> None:
    response = person.http.get(path, params=params)
    assert response.status_code in {200, 422}, (path, params, response.text)
    if response.status_code == 422:
        named = {error["field"] for error in response.json()["errors"]}
        assert named <= params.keys(), response.text


@pytest.fixture
def alice(make_person: MakePerson) -> Person:
    """Has something to turn pages of."""
    alice = make_person("alice")
    made = alice.create(LISTS, name="one")
    for title in ("a", "b", "c"):
        alice.create(TASKS, title=title, list_id=made["id"], tags=[title])
    return alice


@pytest.mark.parametrize("sort", SORTS)
def test_a_forged_cursor_of_tasks(alice: Person, sort: str) -> None:
    in_list = alice.http.get(LISTS).json()["items"][0]["id"]
    for cursor in forge(sort):
        for order in ("asc", "desc"):
            hold(alice, TASKS, sort=sort, order=order, cursor=cursor, limit="2", list=in_list)


@pytest.mark.parametrize("path", [LISTS, "/api/v1/tags"])
def test_a_forged_cursor_of_names(alice: Person, path: str) -> None:
    for value in (*KEYS, *IDS):
        hold(alice, path, cursor=encode([1, value]), limit="1")
    for cursor in mangle(encode([1, ID])):
        hold(alice, path, cursor=cursor, limit="1")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_a_page_starts_at(alice: Person, number: str) -> None:
    hold(alice, "/api/v1/changes", since=number)
    hold(alice, "/api/v1/journal", before=number)
    hold(alice, f"/api/{alice.name}/tasks", page=number)
