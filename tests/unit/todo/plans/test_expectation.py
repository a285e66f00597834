from collections.abc import Mapping

import orjson
import pytest

from todo.plans.expectation import (
    Expected,
    decode_expected,
    encode_expected,
    expect,
    find_differences,
    predict,
)
from todo.writes.hash_chain import Entry

TASK = {
    "id": "t1",
    "owner": "alice",
    "list_id": None,
    "title": "a",
    "due_date": "2027-01-01",
    "due_at": None,
    "recurrence": None,
    "position": 1.0,
    "completed_at": None,
    "created_at": "2027-01-01T00:00:00.000000+00:00",
    "updated_at": "2027-01-01T00:00:00.000000+00:00",
    "previous_id": None,
    "version": 1,
}
LATER = "2027-02-02T00:00:00.000000+00:00"


def entry(
    operation: str = "update",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    kind: str = "task",
    **fields: str | None,
) -> Entry:
    return Entry(
        at=LATER,
        actor="alice",
        operation=operation,
        kind=kind,
        entity_id=str((after or before or {}).get("id", "bob")),
        before=None if before is None else orjson.dumps(before).decode(),
        after=None if after is None else orjson.dumps(after).decode(),
        **fields,
    )


def expect_one(made: Entry, owner: str = "alice") -> Expected:
    (found,) = expect([(owner, made)], {})
    return found


def test_what_is_decided_later_is_not_predicted() -> None:
    created = predict(entry("create", None, TASK))
    updated = predict(entry("update", TASK, {**TASK, "title": "b", "version": 2}))

    assert created == {
        name: TASK[name]
        for name in TASK
        if name not in {"id", "position", "created_at", "updated_at", "completed_at"}
    }
    assert updated is not None
    assert (updated["id"], updated["title"], updated["version"]) == ("t1", "b", 2)
    assert "updated_at" not in updated
    assert predict(entry("delete", TASK, None)) is None


@pytest.mark.parametrize("name", ["id", "position", "created_at", "updated_at"])
def test_two_runs_of_a_creation_are_the_same(name: str) -> None:
    other = {**TASK, name: "other"}
    assert expect_one(entry("create", None, TASK)) == expect_one(entry("create", None, other))


@pytest.mark.parametrize("name", ["title", "list_id", "due_date", "previous_id"])
def test_a_creation_with_another_value_is_another(name: str) -> None:
    other = {**TASK, name: "other"}
    assert expect_one(entry("create", None, TASK)) != expect_one(entry("create", None, other))


@pytest.mark.parametrize("name", ["due_date", "due_at", "recurrence"])
def test_when_a_next_occurrence_is_due_may_differ(name: str) -> None:
    following = {**TASK, "previous_id": "t0"}
    other = {**following, name: "other"}
    assert expect_one(entry("create", None, following)) == expect_one(entry("create", None, other))


def test_the_version_before_the_owner_the_list_and_the_operation_count() -> None:
    done = {**TASK, "version": 2}
    base = expect_one(entry("update", TASK, done))
    others = [
        expect_one(entry("update", {**TASK, "version": 7}, done)),
        expect_one(entry("complete", TASK, done)),
        expect_one(entry("update", TASK, done, list_id="l1")),
        expect_one(entry("update", TASK, done), owner="bob"),
    ]
    assert base not in others
    assert len(set(others)) == 4


def test_a_share_is_known_by_all_that_it_says() -> None:
    share = {"list_id": "l", "user_id": "bob", "access": "read"}
    other = {**share, "access": "write"}
    first, second = (expect_one(entry("unshare", each, kind="share")) for each in (share, other))
    assert (first.id, first.version) == ("bob", None)
    assert first != second


def test_a_share_is_bound_to_the_name_of_its_list() -> None:
    share = entry("share", None, {"list_id": "l", "user_id": "bob"}, kind="share", list_id="l")
    former, same, renamed = (
        expect([("alice", share)], {"l": name, "other": name}) for name in ("Home", "Home", "Work")
    )

    assert find_differences(former, same) == []
    assert find_differences(former, renamed) == [
        {
            "in": "plan",
            "field": "list/l",
            "code": "changed-since",
            "message": "now has a different name",
        }
    ]


def test_a_list_that_is_deleted_with_its_shares_is_bound_once() -> None:
    share = {"list_id": "l", "user_id": "bob"}
    home = {"id": "l", "name": "Home", "version": 1}
    entries = [
        entry("unshare", share, None, kind="share", list_id="l"),
        entry("delete", home, None, kind="list", list_id="l"),
    ]
    expected = expect([("alice", each) for each in entries], {"l": "Home"})
    assert [(each.kind, each.id) for each in expected] == [("share", "bob"), ("list", "l")]


def test_what_is_stored_comes_back() -> None:
    expected = [
        expect_one(entry("create", None, TASK)),
        expect_one(entry("delete", TASK, None)),
    ]
    assert decode_expected(encode_expected(expected)) == expected


def make(thing: str | None, version: int | None = 1, **fields: str) -> Expected:
    return Expected(
        "task", thing, version, fields.get("operation", "update"), fields.get("digest", "d")
    )


def test_the_order_does_not_matter() -> None:
    assert find_differences([make("a"), make("b")], [make("b"), make("a")]) == []


@pytest.mark.parametrize(
    ("found", "code", "message"),
    [
        ([make("a", 4)], "changed-since", "now has version 4; the plan is for version 1"),
        ([make("a", digest="e")], "other-result", "would become something else now (update)"),
        ([], "not-changed", "would no longer be changed (update)"),
    ],
)
def test_what_moved_is_named(found: list[Expected], code: str, message: str) -> None:
    assert find_differences([make("a")], found) == [
        {"in": "plan", "field": "task/a", "code": code, "message": message}
    ]


def test_what_would_be_changed_as_well_is_named_once_each() -> None:
    expected, found = [make(None)], [make(None), make(None), make("b", operation="delete")]
    errors = find_differences(expected, found)
    assert [(each["field"], each["code"]) for each in errors] == [
        ("task/new", "also-changed"),
        ("task/b", "also-changed"),
    ]
