"""Runs that are undone although something was changed after them."""

from typing import Any

import httpx
import pytest

from tests.integration.journal.undo_calls import AGENT, RUN, TOKENS, UNDO, add, titles, undo
from tests.integration.service import Service
from tests.integration.users import TASKS, Person, code, read, use_token


def spoil(agent: httpx.Client, one: dict[str, Any], two: dict[str, Any]) -> None:
    """Change a task, delete another, and create a third within the run."""
    read(agent.patch(f"{TASKS}/{one['id']}", json={"title": "spoiled"}, headers=RUN))
    assert agent.delete(f"{TASKS}/{two['id']}", headers=RUN).status_code == 204
    add(agent, "new")


@pytest.mark.parametrize("by", ["token_id", "run_id"])
def test_a_run_is_undone_again_after_its_owner_took_the_undo_back(
    service: Service, alice: Person, by: str
) -> None:
    one, two = (alice.create(TASKS, title=f"as it was {n}") for n in range(2))
    token = alice.create(TOKENS, **AGENT)
    with service.client(token["token"]) as agent:
        spoil(agent, one, two)
        what = {by: {"token_id": token["id"], "run_id": "weekly-7"}[by]}
        for _ in range(2):
            undone = undo(alice.http, **what)
            assert len(undone["items"]) == 3
            assert titles(alice) == ["as it was 0", "as it was 1"]
            undo(alice.http, seq=undone["items"][0]["seq"], whole_request=True)
            assert titles(alice) == ["new", "spoiled"]
        read(agent.patch(f"{TASKS}/{one['id']}", json={"title": "worse"}, headers=RUN))

    undo(alice.http, **what)

    assert titles(alice) == ["as it was 0", "as it was 1"]


def test_what_is_undone_already_does_not_keep_the_rest_of_a_run(
    service: Service, alice: Person
) -> None:
    one, two = (alice.create(TASKS, title=f"as it was {n}") for n in range(2))
    with use_token(service, alice, **AGENT) as agent:
        spoil(agent, one, two)
    # Only the change, without the rest of the run.
    undo(alice.http, seq=4)
    assert titles(alice) == ["as it was 0", "new"]

    undone = undo(alice.http, run_id="weekly-7")

    assert len(undone["items"]) == 2
    assert titles(alice) == ["as it was 0", "as it was 1"]
    again = alice.http.post(UNDO, json={"run_id": "weekly-7"})
    assert code(again) == (409, "undo-conflict")
    assert {error["code"] for error in again.json()["errors"]} == {"changed-since"}


def test_an_undo_that_brought_something_else_back_is_in_the_way(
    service: Service, alice: Person
) -> None:
    task = alice.create(TASKS, title="as it was")
    token = alice.create(TOKENS, **AGENT)
    with service.client(token["token"]) as agent:
        for title, run in (("first", {"X-Run-Id": "earlier"}), ("spoiled", RUN)):
            read(agent.patch(f"{TASKS}/{task['id']}", json={"title": title}, headers=run))
    undo(alice.http, token_id=token["id"])
    assert titles(alice) == ["as it was"]

    refused = alice.http.post(UNDO, json={"run_id": "weekly-7"})

    assert code(refused) == (409, "undo-conflict")
    assert titles(alice) == ["as it was"]


def change(person: Person, task: dict[str, Any], title: str, **headers: str) -> int:
    """Change the title of a task and return the number of the journal's entry."""
    path = f"{TASKS}/{task['id']}"
    read(person.http.patch(path, json={"title": title}, headers=headers))
    return latest(person)


def latest(person: Person) -> int:
    """Return the number of the journal's latest entry."""
    page = read(person.http.get("/api/v1/journal", params={"limit": 1}))
    return int(page["items"][0]["seq"])


def test_a_run_is_undone_once_the_newer_changes_are(alice: Person) -> None:
    task = alice.create(TASKS, title="before")
    change(alice, task, "of the run", **RUN)
    newer = change(alice, task, "newer")
    assert code(alice.http.post(UNDO, json={"run_id": "weekly-7"})) == (409, "undo-conflict")

    undo(alice.http, seq=newer)
    undo(alice.http, run_id="weekly-7")

    assert titles(alice) == ["before"]


def test_newer_changes_between_those_of_a_run_are_undone_first(alice: Person) -> None:
    task = alice.create(TASKS, title="before")
    change(alice, task, "of the run", **RUN)
    undo(alice.http, seq=change(alice, task, "newer"))
    change(alice, task, "of the run again", **RUN)

    undo(alice.http, run_id="weekly-7")

    assert titles(alice) == ["before"]


def test_a_newer_change_between_those_of_a_run_is_in_the_way(alice: Person) -> None:
    task = alice.create(TASKS, title="before")
    change(alice, task, "of the run", **RUN)
    newer = change(alice, task, "newer")
    change(alice, task, "of the run again", **RUN)

    problem = alice.http.post(UNDO, json={"run_id": "weekly-7"})

    assert code(problem) == (409, "undo-conflict")
    assert [error["seq"] for error in problem.json()["errors"]] == [newer]
    assert titles(alice) == ["of the run again"]


def test_an_undo_is_undone_as_often_as_anybody_likes(alice: Person) -> None:
    task = alice.create(TASKS, title="before")
    change(alice, task, "of the run", **RUN)
    for _ in range(30):
        undo(alice.http, run_id="weekly-7")
        assert titles(alice) == ["before"]
        undo(alice.http, seq=latest(alice))
        assert titles(alice) == ["of the run"]

    undo(alice.http, run_id="weekly-7")

    assert titles(alice) == ["before"]
