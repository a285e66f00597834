"""Undo, through the API, on both databases."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.service import Service
from tests.integration.users import LISTS, TASKS, Person, code, read
from todo.api.schemas import Problem

UNDO = "/api/v1/undo"
CHANGES = "/api/v1/changes"
RUN = {"X-Run-Id": "run-1"}
RICH = {
    "title": "water the 🌵",
    "description": "a\nb",
    "priority": "high",
    "tags": ["home", "green"],
    "due_at": "2126-03-01T09:00:00+01:00",
    "due_zone": "Europe/Berlin",
    "recurrence": "FREQ=WEEKLY",
    "reminders": [10, 60],
    "position": 1.5,
}


def head(person: Person) -> int:
    """The number of the latest change."""
    return int(read(person.http.get(CHANGES))["next_since"])


def undo(person: Person, **what: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    items: list[dict[str, Any]] = read(person.http.post(UNDO, json=what))["items"]
    return items


def refuse(person: Person, **what: Any) -> list[tuple[str, str, int]]:  # noqa: ANN401 - JSON
    """Try an undo that must be refused; return the conflicts."""
    before = head(person)
    response = person.http.post(UNDO, json=what)
    assert code(response) == (409, "undo-conflict"), response.text
    assert head(person) == before
    # As the OpenAPI document describes it.
    Problem.model_validate(response.json())
    return [(e["field"], e["code"], e["seq"]) for e in response.json()["errors"]]


def changes_since(person: Person, seq: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = read(person.http.get(CHANGES, params={"since": seq}))["items"]
    return items


def untimed(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the times, which a database writes in its own way."""
    return [{name: value for name, value in each.items() if name != "at"} for each in changes]


def state(person: Person) -> list[dict[str, Any]]:
    """All tasks and lists, without their versions."""
    things: list[dict[str, Any]] = []
    for path in (TASKS, LISTS):
        page = read(person.http.get(path, params={"limit": 100}))
        assert page["next_cursor"] is None
        things += page["items"]
    for thing in things:
        del thing["version"]
    return things


def path(task: dict[str, Any]) -> str:
    return f"{TASKS}/{task['id']}"


CHANGES_OF_ONE: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "update": lambda http, at: http.patch(
        at, json={"title": "x", "description": None, "tags": ["new"], "priority": "low"}
    ),
    "due": lambda http, at: http.patch(
        at, json={"due_date": "2126-01-31", "recurrence": None, "reminders": [-540]}
    ),
    "complete": lambda http, at: http.post(f"{at}/complete"),
    "delete": lambda http, at: http.delete(at),
    "create": lambda http, _at: http.post(TASKS, json={"title": "one more"}),
}


@pytest.mark.parametrize("name", CHANGES_OF_ONE)
def test_an_undone_change_leaves_things_as_they_were(alice: Person, name: str) -> None:
    task = alice.create(TASKS, **RICH)
    before = state(alice)
    seq = head(alice) + 1
    assert CHANGES_OF_ONE[name](alice.http, path(task)).is_success
    after = state(alice)

    undone = undo(alice, seq=seq)
    assert state(alice) == before
    assert {change["operation"] for change in undone} == {"restore"}
    assert untimed(undone) == untimed(changes_since(alice, seq + len(undone) - 1))

    for change in undone:
        undo(alice, seq=change["seq"])
    assert state(alice) == after


def test_a_version_never_comes_again(alice: Person) -> None:
    task = alice.create(TASKS, title="t")
    alice.http.patch(path(task), json={"title": "u"})
    (updated,) = undo(alice, seq=2)
    alice.http.delete(path(task))
    (inserted,) = undo(alice, seq=4)

    assert (updated["after"]["version"], inserted["after"]["version"]) == (3, 4)
    assert alice.http.get(path(task)).headers["etag"] == '"4"'


def test_tags_and_words_of_a_restored_task_are_found(alice: Person) -> None:
    task = alice.create(TASKS, **RICH)
    alice.http.delete(path(task))
    undo(alice, seq=2)

    for query in ({"tag": "green"}, {"q": "water"}):
        assert [t["id"] for t in read(alice.http.get(TASKS, params=query))["items"]] == [task["id"]]


def test_a_deleted_task_comes_back_with_those_below_it(alice: Person) -> None:
    top = alice.create(TASKS, title="top")
    middle = alice.create(TASKS, title="middle", parent_id=top["id"])
    alice.create(TASKS, title="low", parent_id=middle["id"])
    before = state(alice)
    alice.http.delete(path(top))

    assert [change["after"]["title"] for change in undo(alice, seq=6)] == ["top", "middle", "low"]
    assert state(alice) == before


def test_of_a_deleted_subtree_a_part_alone_has_no_place(alice: Person) -> None:
    top = alice.create(TASKS, title="top")
    low = alice.create(TASKS, title="low", parent_id=top["id"])
    alice.http.delete(path(top))

    assert refuse(alice, seq=3) == [(f"task/{low['id']}", "parent-gone", 3)]
    assert len(undo(alice, seq=3, whole_request=True)) == 2


def test_the_next_task_of_a_series_goes_when_the_completion_is_undone(alice: Person) -> None:
    task = alice.create(TASKS, **RICH)
    alice.http.post(f"{path(task)}/complete")
    assert len(state(alice)) == 2

    undo(alice, seq=2)

    (only,) = state(alice)
    assert (only["id"], only["is_completed"], only["completed_at"]) == (task["id"], False, None)


def test_subtasks_move_back_with_their_parent(alice: Person) -> None:
    home = alice.create(LISTS, name="Home")
    top = alice.create(TASKS, title="top")
    alice.create(TASKS, title="low", parent_id=top["id"])
    before = state(alice)
    alice.http.patch(path(top), json={"list_id": home["id"]})
    assert head(alice) == 5

    undo(alice, seq=5)
    assert state(alice) == before


def test_a_deleted_list_comes_back_with_tasks_and_shares(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    top = alice.create(TASKS, title="top", list_id=home["id"])
    alice.create(TASKS, title="low", parent_id=top["id"])
    before, seen = state(alice), state(bob)
    alice.http.delete(f"{LISTS}/{home['id']}", params={"tasks": "delete"})
    assert bob.http.get(f"{LISTS}/{home['id']}").status_code == 404

    undo(alice, seq=head(alice))
    assert (state(alice), state(bob)) == (before, seen)


def test_what_was_changed_since_is_not_undone(alice: Person) -> None:
    task = alice.create(TASKS, title="t")
    alice.http.patch(path(task), json={"title": "u"})
    alice.http.patch(path(task), json={"priority": "high"})

    assert refuse(alice, seq=2) == [(f"task/{task['id']}", "changed-since", 3)]
    assert refuse(alice, seq=1) == [
        (f"task/{task['id']}", "changed-since", 2),
        (f"task/{task['id']}", "changed-since", 3),
    ]


def test_what_others_stand_in_does_not_go(alice: Person) -> None:
    home = alice.create(LISTS, name="Home")
    task = alice.create(TASKS, title="t", list_id=home["id"])
    alice.create(TASKS, title="below", parent_id=task["id"])

    assert refuse(alice, seq=1) == [(f"list/{home['id']}", "in-use", 1)] * 2
    assert refuse(alice, seq=2) == [(f"task/{task['id']}", "in-use", 2)]


def test_a_task_does_not_come_back_into_a_list_that_is_gone(alice: Person) -> None:
    home = alice.create(LISTS, name="Home")
    task = alice.create(TASKS, title="t", list_id=home["id"])
    alice.http.delete(path(task))
    assert alice.http.delete(f"{LISTS}/{home['id']}").status_code == 204

    assert refuse(alice, seq=3) == [(f"task/{task['id']}", "list-gone", 3)]


def test_a_subtask_does_not_come_back_below_a_parent_in_another_list(alice: Person) -> None:
    home = alice.create(LISTS, name="Home")
    top = alice.create(TASKS, title="top")
    low = alice.create(TASKS, title="low", parent_id=top["id"])
    alice.http.delete(path(low))
    alice.http.patch(path(top), json={"list_id": home["id"]})

    assert refuse(alice, seq=4) == [(f"task/{low['id']}", "list-changed", 4)]


def test_no_task_comes_back_below_itself_or_too_deep(alice: Person) -> None:
    top = alice.create(TASKS, title="top")
    low = alice.create(TASKS, title="low", parent_id=top["id"])
    alice.http.patch(path(low), json={"parent_id": None})
    alice.http.patch(path(top), json={"parent_id": low["id"]})

    assert refuse(alice, seq=3) == [(f"task/{low['id']}", "too-deep", 3)]


def test_tasks_that_go_are_not_in_the_way_of_those_that_stand_there_again(alice: Person) -> None:
    """What a run put below a task that it moved goes with the move."""
    home = alice.create(LISTS, name="Home")
    above: dict[str, Any] = {"id": None}
    for title in "abcd":
        above = alice.create(TASKS, title=title, parent_id=above["id"])
    moved = alice.create(TASKS, title="moved", parent_id=above["id"])
    before, since = state(alice), head(alice)
    run = {"X-Run-Id": "tidy"}
    inside = {"list_id": home["id"], "parent_id": None}
    read(alice.http.patch(path(moved), json=inside, headers=run))
    for title in ("below", "further below"):
        body = {"title": title, "parent_id": moved["id"]}
        moved = read(alice.http.post(TASKS, json=body, headers=run), 201)
    after = state(alice)

    assert len(undo(alice, run_id="tidy")) == head(alice) - since - 3 == 3
    assert state(alice) == before

    undo(alice, seq=head(alice), whole_request=True)
    assert state(alice) == after


def run_forty(http: httpx.Client, tasks: list[dict[str, Any]], old: dict[str, Any]) -> None:
    """40 mixed changes of one run."""
    home = read(http.post(LISTS, json={"name": "Run"}, headers=RUN), 201)
    created = [
        read(http.post(TASKS, json={**RICH, "title": f"new {n}", **more}, headers=RUN), 201)
        for n, more in enumerate([{}, {"list_id": home["id"]}, {"list_id": old["id"]}] * 2)
    ]
    below = {"title": "below", "parent_id": created[1]["id"]}
    created.append(read(http.post(TASKS, json=below, headers=RUN), 201))
    for n, task in enumerate(tasks[:10]):
        change = {"title": f"changed {n}", "tags": [f"t{n}"], "priority": "low"}
        read(http.patch(path(task), json=change, headers=RUN))
    read(http.patch(f"{LISTS}/{old['id']}", json={"name": "Renamed"}, headers=RUN))
    for task in tasks[4:8]:
        read(http.post(f"{path(task)}/complete", headers=RUN))
    read(http.post(f"{path(tasks[4])}/reopen", headers=RUN))
    read(http.patch(path(tasks[0]), json={"list_id": home["id"]}, headers=RUN))
    read(http.patch(path(tasks[1]), json={"parent_id": created[1]["id"]}, headers=RUN))
    read(http.patch(path(tasks[2]), json={"due_date": "2126-05-05"}, headers=RUN))
    for task in (*tasks[8:12], created[0], tasks[3]):
        assert http.delete(path(task), headers=RUN).status_code == 204
    operations: list[dict[str, Any]] = [
        {"op": "create", "task": {"title": "of a batch"}},
        {"op": "update", "id": tasks[5]["id"], "task": {"description": "more"}},
        {"op": "delete", "id": created[3]["id"]},
    ]
    read(http.post(f"{TASKS}/batch", json={"operations": operations}, headers=RUN))


def test_undoing_a_run_of_forty_mixed_changes_restores_the_exact_state(alice: Person) -> None:
    old = alice.create(LISTS, name="Old")
    tasks = [alice.create(TASKS, **RICH, list_id=old["id"]) for _ in range(6)]
    tasks += [alice.create(TASKS, title=f"plain {n}", tags=["a"]) for n in range(6)]
    for child in range(2):
        alice.create(TASKS, title=f"child {child}", parent_id=tasks[8]["id"])
    before, since = state(alice), head(alice)

    run_forty(alice.http, tasks, old)
    assert head(alice) - since == 40
    after = state(alice)
    undone = undo(alice, run_id="run-1")

    assert state(alice) == before
    assert refuse(alice, run_id="run-1")
    undo(alice, seq=undone[0]["seq"], whole_request=True)
    assert state(alice) == after


def test_a_run_is_not_undone_where_somebody_else_went_on(alice: Person) -> None:
    task = alice.create(TASKS, title="t")
    alice.http.patch(path(task), json={"title": "by the run"}, headers=RUN)
    alice.http.post(TASKS, json={"title": "new"}, headers=RUN)
    alice.http.patch(path(task), json={"title": "by hand"})
    before = state(alice)

    assert refuse(alice, run_id="run-1") == [(f"task/{task['id']}", "changed-since", 4)]
    assert state(alice) == before


def test_an_absent_change_and_one_of_others_look_alike(alice: Person, bob: Person) -> None:
    alice.create(TASKS, title="t")
    alice.http.post(TASKS, json={"title": "u"}, headers=RUN)

    for what in ({"seq": 1}, {"run_id": "run-1"}, {"seq": 1, "list": str(uuid.uuid4())}):
        assert bob.http.post(UNDO, json=what).status_code == 404
    for what in ({}, {"seq": 1, "run_id": "run-1"}, {"seq": 0}, {"run_id": ""}):
        assert alice.http.post(UNDO, json=what).status_code == 422


def test_in_a_shared_list_writers_undo_and_readers_do_not(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.create(TASKS, title="private")
    alice.share(home["id"], bob, "write")
    task = alice.create(TASKS, title="t", list_id=home["id"])
    bob.http.patch(path(task), json={"title": "u"}, headers=RUN)

    assert bob.http.post(UNDO, json={"seq": 2, "list": home["id"]}).status_code == 404
    (undone,) = undo(bob, run_id="run-1", list=home["id"])
    assert (undone["after"]["title"], undone["after"]["owner"]) == ("t", alice.name)

    alice.share(home["id"], bob, "read")
    assert bob.http.post(UNDO, json={"seq": 6, "list": home["id"]}).status_code == 403


def test_a_share_comes_back(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    alice.http.delete(f"{LISTS}/{home['id']}/shares/{bob.name}")
    assert bob.http.get(f"{LISTS}/{home['id']}").status_code == 404

    undo(alice, seq=3)
    assert read(bob.http.get(f"{LISTS}/{home['id']}"))["access"] == "write"


def test_an_undo_that_deletes_needs_the_scope(service: Service, alice: Person) -> None:
    task = alice.create(TASKS, title="t")
    alice.http.patch(path(task), json={"title": "u"})
    issued = alice.create("/api/v1/tokens", name="writer", scopes=["read", "write"])["token"]
    with service.client(issued) as http:
        assert http.post(UNDO, json={"seq": 2}).status_code == 200
        created = read(http.post(TASKS, json={"title": "new"}), 201)
        refused = http.post(UNDO, json={"seq": 5})
        assert code(refused) == (403, "insufficient-scope")
        assert http.get(path(created)).status_code == 200


def test_an_undo_sent_twice_with_one_key_happens_once(alice: Person) -> None:
    alice.create(TASKS, title="t")
    headers = {"Idempotency-Key": "k"}
    first = alice.http.post(UNDO, json={"seq": 1}, headers=headers)
    second = alice.http.post(UNDO, json={"seq": 1}, headers=headers)

    assert (first.status_code, second.content) == (200, first.content)
    assert head(alice) == 2
