from typing import TYPE_CHECKING, Any

from tests.unit.todo.assistant.rules.entries import make_entry
from todo.assistant.turn.planned_operations import derive_operations, join_operations
from todo.writes.hash_chain import Entry

if TYPE_CHECKING:
    from todo.tasks.batch import Action, Creation


def _change(
    operation: str, before: dict[str, Any] | None, after: dict[str, Any] | None, entity: str = "t"
) -> tuple[str, Entry]:
    return "ann", make_entry(operation, before, after, entity)


def test_a_new_task_has_the_fields_that_are_set() -> None:
    rule = {"recurrence": "FREQ=DAILY", "recurrence_from": "completion", "due_date": "2027-01-02"}
    made = derive_operations([_change("create", None, {"tags": ["a"], **rule})])
    assert made == [{"op": "create", "task": {"title": "x", "tags": ["a"], **rule}}]


def test_the_next_task_of_a_series_is_an_effect() -> None:
    changes = [_change("complete", {}, {}), _change("create", None, {"previous_id": "t"}, "n")]
    assert derive_operations(changes) == [{"op": "complete", "id": "t", "if_match": 3}]


def test_an_update_has_what_changed() -> None:
    at = {"due_at": "2027-01-01T09:00:00+00:00", "due_zone": "Europe/Berlin"}
    for before, after, fields in (
        ({}, {"title": "y"}, {"title": "y"}),
        ({"due_date": "2027-01-01"}, at, at),
        (at, {"due_date": "2027-01-01"}, {"due_date": "2027-01-01"}),
        (at, {}, {"due_date": None, "due_at": None}),
    ):
        (made,) = derive_operations([_change("update", before, after)])
        assert made == {"op": "update", "id": "t", "if_match": 3, "task": fields}


def test_what_is_below_a_task_goes_with_it() -> None:
    below = {"parent_id": "t"}
    deleted = [_change("delete", below, None, "c"), _change("delete", {}, None)]
    assert [each["id"] for each in derive_operations(deleted) if "id" in each] == ["t"]
    moved = [
        _change("update", {}, {"list_id": "l"}),
        _change("update", below, {**below, "list_id": "l"}, "c"),
    ]
    assert [each["id"] for each in derive_operations(moved) if "id" in each] == ["t"]


def test_a_task_that_several_writes_change_has_no_version_after_the_first() -> None:
    first: Action = {"op": "complete", "id": "t", "if_match": 3}
    second: Action = {"op": "delete", "id": "t", "if_match": 3}
    new: Creation = {"op": "create", "task": {"title": "x"}}
    joined = join_operations([[first, new], [second, first]])
    assert joined == [first, new, {**second, "if_match": None}]
