"""Undo of a whole request, also of one that came at the same time as others, on both databases."""

from typing import Any

from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.users import TASKS, Person, read

UNDO = "/api/v1/undo"


def titles(person: Person) -> list[str]:
    page = read(person.http.get(TASKS, params={"limit": 100}))
    return sorted(task["title"] for task in page["items"])


def undo_request(person: Person, seq: int) -> list[dict[str, Any]]:
    """Undo everything that the request of an entry changed."""
    body = {"seq": seq, "whole_request": True}
    items: list[dict[str, Any]] = read(person.http.post(UNDO, json=body))["items"]
    return items


def test_entries_say_which_were_written_by_one_request(service: Service, alice: Person) -> None:
    alice.create(TASKS, title="first")
    top = alice.create(TASKS, title="top")
    operations = [{"op": "create", "task": {"title": f"t{n}"}} for n in range(3)]
    read(alice.http.post(f"{TASKS}/batch", json={"operations": operations}))
    alice.create(TASKS, title="below", parent_id=top["id"])
    assert alice.http.delete(f"{TASKS}/{top['id']}").status_code == 204

    found = run_sql(
        service, "SELECT seq, request_seq FROM journal WHERE owner = ? ORDER BY seq", alice.name
    )
    assert found == [(1, 1), (2, 2), (3, 3), (4, 3), (5, 3), (6, 6), (7, 7), (8, 7)]


def stop_clock(service: Service, person: Person) -> None:
    """Make all changes of a user those of one microsecond."""
    ((first,),) = run_sql(service, "SELECT min(at) FROM journal WHERE owner = ?", person.name)
    run_sql(service, "UPDATE journal SET at = ? WHERE owner = ?", first, person.name)


def test_requests_of_one_microsecond_are_undone_one_by_one(service: Service, alice: Person) -> None:
    operations = [{"op": "create", "task": {"title": title}} for title in "ab"]
    read(alice.http.post(f"{TASKS}/batch", json={"operations": operations}))
    alice.create(TASKS, title="c")
    alice.create(TASKS, title="d")
    stop_clock(service, alice)

    assert len(undo_request(alice, 3)) == 1
    assert titles(alice) == ["a", "b", "d"]
    assert len(undo_request(alice, 2)) == 2
    assert titles(alice) == ["d"]


def test_entries_of_an_earlier_version_are_grouped_by_their_time(
    service: Service, alice: Person
) -> None:
    for title in "ab":
        alice.create(TASKS, title=title)
    stop_clock(service, alice)
    alice.create(TASKS, title="c")
    run_sql(service, "UPDATE journal SET request_seq = NULL WHERE owner = ?", alice.name)

    assert len(undo_request(alice, 1)) == 2
    assert titles(alice) == ["c"]
