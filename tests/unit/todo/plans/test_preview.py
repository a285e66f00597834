import orjson
import pytest

from tests.unit.todo.plans.test_expectation import TASK, entry
from todo.plans.preview import MAX_SHOWN, render_changes, render_summary


def test_a_change_is_shown_with_what_was_and_what_will_be() -> None:
    after = {**TASK, "title": "b", "version": 2}
    (change,) = orjson.loads(render_changes([entry("update", TASK, after)], set(), {}))
    assert change["before"] == TASK
    assert change["after"]["title"] == change["title"] == "b"
    assert (change["operation"], change["kind"], change["id"]) == ("update", "task", "t1")


def test_a_new_thing_has_no_id_and_a_share_names_its_user() -> None:
    share = {"list_id": "l", "user_id": "bob", "access": "read"}
    made = [entry("create", None, TASK), entry("share", None, share, kind="share", list_id="l")]
    created, shared = orjson.loads(render_changes(made, set(), {"l": "Home"}))
    assert (created["id"], shared["id"], shared["title"]) == (None, "bob", "Home")


def test_a_list_is_shown_by_its_name() -> None:
    gone = entry("delete", {"id": "l1", "name": "Home", "version": 1}, None, kind="list")
    (change,) = orjson.loads(render_changes([gone], set(), {}))
    assert (change["title"], change["after"]) == ("Home", None)


@pytest.mark.parametrize(("length", "most"), [(1, MAX_SHOWN), (9000, 10)])
def test_changes_are_shown_up_to_a_number_and_a_size(length: int, most: int) -> None:
    entries = [entry("delete", {**TASK, "description": "x" * length}, None)] * 1000
    text = render_changes(entries, set(), {})
    assert len(orjson.loads(text)) == most
    assert len(text) <= 96 * 1024
    (counted,) = orjson.loads(render_summary(entries))
    assert counted == {"operation": "delete", "kind": "task", "count": 1000}


def test_effects_do_not_hide_what_the_operations_name() -> None:
    children = [entry("delete", {**TASK, "id": f"c{n}"}, None) for n in range(200)]
    following = entry("create", None, {**TASK, "id": "next", "previous_id": "t0"})
    new = entry("create", None, {**TASK, "title": "new"})
    share = entry("share", None, {"list_id": "l", "user_id": "bob"}, kind="share")
    entries = [*children, following, entry("delete", TASK, None), new, share]

    changes = orjson.loads(render_changes(entries, {201, 202, 203}, {}))

    assert len(changes) == MAX_SHOWN
    shown = [(each["operation"], each["id"], each["title"]) for each in changes[-3:]]
    assert shown == [("delete", "t1", "a"), ("create", None, "new"), ("share", "bob", None)]
    assert [each["id"] for each in changes[:-3]] == [f"c{n}" for n in range(MAX_SHOWN - 3)]


def test_what_is_named_goes_before_lists_then_shares_then_tasks() -> None:
    tasks = [entry("delete", {**TASK, "id": f"c{n}"}, None) for n in range(60)]
    shares = [
        entry("unshare", {"list_id": "l", "user_id": f"u{n}"}, None, kind="share")
        for n in range(MAX_SHOWN - 12)
    ]
    home = entry("delete", {"id": "l", "name": "Home", "version": 1}, None, kind="list")
    named = [entry("delete", {**TASK, "id": f"n{n}"}, None) for n in range(10)]
    entries = [*tasks, *shares, home, *named]

    changes = orjson.loads(render_changes(entries, range(len(entries) - 10, len(entries)), {}))

    kinds = [each["kind"] for each in changes]
    assert kinds == ["task", *["share"] * len(shares), "list", *["task"] * 10]
    assert [each["id"] for each in changes[-10:]] == [f"n{n}" for n in range(10)]


def test_named_changes_are_shown_without_documents_that_do_not_fit() -> None:
    large = {**TASK, "description": "x" * 60_000}
    named = [
        entry("delete", large, None),
        entry("delete", {**large, "id": "t2", "title": "b"}, None),
        entry("delete", {**TASK, "id": "t3"}, None),
    ]
    effect = entry("delete", {**large, "id": "t4"}, None)

    changes = orjson.loads(render_changes([effect, *named], {1, 2, 3}, {}))

    shown = [(each["id"], each["title"], each["before"] is not None) for each in changes]
    assert shown == [("t1", "a", True), ("t2", "b", False), ("t3", "a", True)]
