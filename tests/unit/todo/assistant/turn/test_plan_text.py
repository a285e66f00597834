from typing import Any

import pytest

from tests.unit.todo.assistant.rules.entries import DOCUMENT
from todo.assistant.turn.plan_text import add_old_titles, say_plan


def delete(task_id: str, title: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    before = {**DOCUMENT, "due_date": None, "title": title, **fields}
    named = {"operation": "delete", "id": task_id, "title": title, "list_id": None}
    return {**named, "before": before, "after": None}


def say(changes: list[dict[str, Any]], omitted: int = 0) -> list[str]:
    summary = [{"operation": "delete", "kind": "task", "count": len(changes) + omitted}]
    plan = {"summary": summary, "changes": changes, "changes_omitted": omitted}
    return say_plan(plan, ["it deletes something"], {}).splitlines()[1:-1]


def test_tasks_with_one_title_are_told_apart_before_one_of_them_is_deleted() -> None:
    at = {"due_at": "2027-03-01T08:30:00.000000+00:00", "due_zone": "Europe/Berlin"}
    shown = f'"for Lena {"x" * 51}…" (99 characters)'
    lost = {"priority": "high", "tags": ["home"], "description": f"for Lena {'x' * 90}"}
    assert say(
        [
            delete("1", "Call mom", due_date="2027-03-01"),
            delete("2", "Call mom", **at),
            delete("3", "Call mom", **lost),
            delete("4", "Call mom", recurrence="FREQ=MONTHLY;BYMONTHDAY=1"),
        ]
    ) == [
        '- delete "Call mom" (due Mon 2027-03-01)',
        '- delete "Call mom" (due Mon 2027-03-01 09:30 (Europe/Berlin))',
        f'- delete "Call mom" (priority high, tags "home", description {shown})',
        '- delete "Call mom" (repeats every month on the 1st)',
    ]


@pytest.mark.parametrize("operation", ["complete", "reopen"])
def test_a_completion_in_a_plan_names_the_due(operation: str) -> None:
    change = {**delete("1", "Call mom", due_date="2027-03-01"), "operation": operation}
    assert say([change]) == [f'- {operation} "Call mom" (due Mon 2027-03-01)']


def change(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return the line of a change of "Book the band" in the list "Wedding" of ben."""
    old = {**DOCUMENT, "title": "Book the band", "list_id": "w", **before}
    named = {"operation": "update", "id": "1", "title": "Book the band", "list_id": "w"}
    changes = [{**named, "before": old, "after": {**old, **after}}]
    summary = [{"operation": "update", "kind": "task", "count": 1}]
    plan = {"summary": summary, "changes": changes, "changes_omitted": 0}
    lists, titles = {"w": "Wedding", "h": "Home"}, {"7": "Plan the evening"}
    said = say_plan(plan, ["x"], lists, owners={"w": "ben"}, titles=titles)
    return said.splitlines()[1].removeprefix('- change "Book the band"')


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"list_id": None}, '(list "Wedding" of "ben" \u2192 none)'),
        ({}, {"list_id": "h"}, '(list "Wedding" of "ben" \u2192 "Home")'),
        ({}, {"parent_id": "7"}, '(task above none \u2192 "Plan the evening")'),
        ({"parent_id": "8"}, {"parent_id": "9"}, "(task above changed)"),
        ({"parent_id": "7"}, {"parent_id": None}, '(task above "Plan the evening" \u2192 none)'),
        (
            {"due_date": "2027-03-01", "priority": "low"},
            {"due_date": "2027-03-02", "priority": "none"},
            "(due Mon 2027-03-01 \u2192 Tue 2027-03-02, priority low \u2192 none)",
        ),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, '(tags "a" \u2192 "a, b")'),
        ({}, {"description": "two sets"}, '(description none \u2192 "two sets")'),
        (
            {"recurrence": "FREQ=DAILY"},
            {"recurrence": "FREQ=DAILY", "recurrence_from": "completion"},
            "(repeats every day \u2192 every day after completion)",
        ),
    ],
)
def test_a_change_in_a_plan_shows_old_and_new_values_and_its_place(
    before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    assert change(before, after) == f' in list "Wedding" of "ben" {said}'


def test_a_change_of_a_title_in_a_plan_shows_both() -> None:
    assert change({}, {"title": "Book a DJ"}) == ' \u2192 "Book a DJ" in list "Wedding" of "ben"'


def test_a_new_subtask_in_a_plan_names_the_task_above() -> None:
    new = {**DOCUMENT, "title": "Pay the band", "parent_id": "7", "priority": "high"}
    named = {"operation": "create", "id": None, "title": "Pay the band", "list_id": None}
    summary = [{"operation": "create", "kind": "task", "count": 1}]
    plan = {"summary": summary, "changes": [{**named, "before": None, "after": new}]}
    plan["changes_omitted"] = 0
    said = say_plan(plan, ["x"], {}, titles={"7": "Plan the evening"}).splitlines()[1]
    assert said == '- add "Pay the band" (priority high, task above "Plan the evening")'


def test_a_task_comes_before_the_subtasks_that_go_with_it_and_counts_them() -> None:
    changes = [
        delete("3", "socks", parent_id="2"),
        delete("2", "pack", parent_id="1"),
        delete("1", "Trip"),
        delete("4", "alone", parent_id="elsewhere"),
    ]
    assert say(changes) == [
        '- delete "Trip" (with its 2 subtasks)',
        '- delete "alone"',
        '- delete "socks" (below "Trip")',
        '- delete "pack" (below "Trip")',
    ]


def test_subtasks_that_a_plan_does_not_show_are_counted() -> None:
    one = [delete("2", "pack", parent_id="1"), delete("1", "Trip")]
    assert say(one, omitted=200)[0] == '- delete "Trip" (with its 201 subtasks)'
    more = [*one, delete("3", "other")]
    assert say(more, omitted=200)[0] == '- delete "Trip" (with its 1 or more subtasks)'


def test_a_plan_has_the_titles_of_before_the_message() -> None:
    changes = [delete("1", "hacked"), delete("2", "same"), {**delete("3", "new"), "id": None}]
    add_old_titles({"changes": changes}, {"1": "precious", "2": "same"})
    assert [each.get("old_title") for each in changes] == ["precious", None, None]
