"""The list of runs, on both databases."""

from typing import Any

import httpx
import pytest

from tests.integration.service import Service
from tests.integration.users import LISTS, TASKS, MakePerson, Person, read, use_token

RUNS = "/api/v1/runs"
UNDO = "/api/v1/undo"
WRITE = ["delete", "read", "write"]


def run(name: str, **headers: str) -> dict[str, str]:
    return {"X-Run-Id": name, **headers}


def add(http: httpx.Client, title: str, run_id: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Create a task within a run."""
    return read(http.post(TASKS, json={"title": title, **fields}, headers=run(run_id)), 201)


def runs(http: httpx.Client, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - values
    items: list[dict[str, Any]] = read(http.get(RUNS, params=query))["items"]
    return items


def ids(http: httpx.Client, **query: Any) -> list[str]:  # noqa: ANN401 - values
    return [each["run_id"] for each in runs(http, **query)]


def test_a_run_says_who_made_it_when_and_how_many_changes(alice: Person, service: Service) -> None:
    alice.create(TASKS, title="without a run")
    headers = run("weekly-7", **{"X-Model": "small-1"})
    with use_token(service, alice, name="cleanup", scopes=WRITE, agent="broom/2") as agent:
        made = [
            read(agent.post(TASKS, json={"title": title}, headers=headers), 201) for title in "abc"
        ]
        agent.delete(f"{TASKS}/{made[0]['id']}", headers=headers)
        history = read(alice.http.get("/api/v1/journal", params={"run_id": "weekly-7"}))["items"]

    (found,) = runs(alice.http)

    assert found == {
        "run_id": "weekly-7",
        "actor": alice.name,
        "token_id": history[0]["token_id"],
        "token_name": "cleanup",
        "agent": "broom/2",
        "model": "small-1",
        "first_at": history[-1]["at"],
        "last_at": history[0]["at"],
        "last_seq": history[0]["seq"],
        "changes": 4,
        "has_more_changes": False,
        "summary": [
            {"operation": "create", "kind": "task", "count": 3},
            {"operation": "delete", "kind": "task", "count": 1},
        ],
        "is_undone": False,
    }


def test_runs_of_one_name_are_told_apart_by_their_token(alice: Person, service: Service) -> None:
    add(alice.http, "by hand", "weekly-7")
    with use_token(service, alice, name="agent", scopes=WRITE) as agent:
        add(agent, "by the agent", "weekly-7")

    assert [each["token_name"] for each in runs(alice.http)] == ["agent", None]


def test_the_run_with_the_latest_change_comes_first_and_pages_name_each_once(
    alice: Person,
) -> None:
    for name in ("a", "b", "c", "a", "d"):
        add(alice.http, "t", name)

    assert ids(alice.http) == ["d", "a", "c", "b"]
    first = read(alice.http.get(RUNS, params={"limit": 2}))
    second = read(alice.http.get(RUNS, params={"limit": 2, "before": first["next_before"]}))
    assert [each["run_id"] for each in first["items"] + second["items"]] == ["d", "a", "c", "b"]
    assert second["next_before"] is None


def test_a_page_looks_at_a_bounded_part_of_the_journal_and_continues(
    alice: Person, make_person: MakePerson
) -> None:
    add(alice.http, "old", "old")
    many = [{"op": "create", "task": {"title": "t"}}] * 100
    for _ in range(20):
        read(alice.http.post(f"{TASKS}/batch", json={"operations": many}))

    first = read(alice.http.get(RUNS))
    assert (first["items"], first["next_before"]) == ([], 2)
    assert ids(alice.http, before=first["next_before"]) == ["old"]
    assert ids(make_person("other").http) == []


def test_a_run_is_undone_until_the_undo_is_taken_back(alice: Person) -> None:
    tasks = [alice.create(TASKS, title=title) for title in "ab"]
    for each in tasks:
        path = f"{TASKS}/{each['id']}"
        read(alice.http.patch(path, json={"title": "changed"}, headers=run("weekly-7")))
        read(alice.http.patch(path, json={"title": "changed again"}, headers=run("weekly-7")))
    add(alice.http, "new", "weekly-7")
    states = [runs(alice.http)[0]["is_undone"]]

    undone = read(alice.http.post(UNDO, json={"run_id": "weekly-7"}))
    states.append(runs(alice.http)[0]["is_undone"])
    # What somebody changes later is not the run's.
    path = f"{TASKS}/{tasks[0]['id']}"
    later = read(alice.http.patch(path, json={"title": "by a person"}))
    states.append(runs(alice.http)[0]["is_undone"])
    entry = read(alice.http.get("/api/v1/journal", params={"entity": later["id"]}))["items"][0]
    read(alice.http.post(UNDO, json={"seq": entry["seq"]}))
    states.append(runs(alice.http)[0]["is_undone"])
    # The undo is taken back: the run counts again.
    again = {"seq": undone["items"][0]["seq"], "whole_request": True}
    read(alice.http.post(UNDO, json=again))
    states.append(runs(alice.http)[0]["is_undone"])

    assert states == [False, True, True, True, False]


def test_undone_runs_stay_undone_when_older_ones_are_undone(alice: Person) -> None:
    path = f"{TASKS}/{alice.create(TASKS, title='a')['id']}"
    for number in range(3):
        read(alice.http.patch(path, json={"title": f"b{number}"}, headers=run(f"r{number}")))
    states = []
    for number in (2, 1, 0):
        read(alice.http.post(UNDO, json={"run_id": f"r{number}"}))
        states.append([each["is_undone"] for each in runs(alice.http)])

    assert states == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_run_is_undone_where_its_thing_is_as_it_was_before(alice: Person) -> None:
    made = add(alice.http, "new", "making")
    read(alice.http.post(UNDO, json={"run_id": "making"}))
    states = [runs(alice.http)[0]["is_undone"]]
    entry = read(alice.http.get("/api/v1/journal", params={"entity": made["id"]}))["items"][0]
    read(alice.http.post(UNDO, json={"seq": entry["seq"]}))
    states.append(runs(alice.http)[0]["is_undone"])
    # Without an undo, as by hand.
    alice.http.delete(f"{TASKS}/{made['id']}").raise_for_status()
    read(alice.http.post(UNDO, json={"run_id": "making"}), 409)
    states.append(runs(alice.http)[0]["is_undone"])

    assert states == [True, False, True]


def test_shares_of_one_user_in_two_lists_are_two_things(alice: Person, bob: Person) -> None:
    lists = [alice.create(LISTS, name=name) for name in ("Home", "Work")]
    for each in lists:
        path = f"{LISTS}/{each['id']}/shares/{bob.name}"
        read(alice.http.put(path, json={"access": "read"}, headers=run("sharing")))
    alice.http.delete(f"{LISTS}/{lists[1]['id']}/shares/{bob.name}").raise_for_status()

    assert [each["is_undone"] for each in runs(alice.http)] == [False]
    alice.http.delete(f"{LISTS}/{lists[0]['id']}/shares/{bob.name}").raise_for_status()
    assert [each["is_undone"] for each in runs(alice.http)] == [True]


def test_a_token_that_a_run_made_keeps_it_from_counting_as_undone(alice: Person) -> None:
    body = {"name": "t", "scopes": ["read"]}
    read(alice.http.post("/api/v1/tokens", json=body, headers=run("tokens")), 201)

    (found,) = runs(alice.http)

    assert found["summary"] == [{"operation": "create", "kind": "token", "count": 1}]
    assert not found["is_undone"]


def test_a_long_run_is_counted_up_to_what_one_undo_takes(alice: Person) -> None:
    many = [{"op": "create", "task": {"title": "t"}}] * 100
    for _ in range(11):
        body = {"operations": many}
        read(alice.http.post(f"{TASKS}/batch", json=body, headers=run("long")))

    (found,) = runs(alice.http)

    assert (found["changes"], found["has_more_changes"]) == (1000, True)


def test_a_list_shows_the_runs_that_changed_it_without_the_rest(
    alice: Person, bob: Person, service: Service
) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    with use_token(service, alice, name="secret name", scopes=WRITE) as agent:
        add(agent, "inside", "both", list_id=home["id"])
        add(agent, "outside", "both")
        add(agent, "outside", "other")
    add(bob.http, "inside", "of-bob", list_id=home["id"])

    found = runs(bob.http, list=home["id"])

    assert [(each["run_id"], each["changes"]) for each in found] == [("of-bob", 1), ("both", 1)]
    assert {each["token_name"] for each in found} == {None}
    assert ids(bob.http) == []
    assert ids(alice.http) == ["of-bob", "other", "both"]


def test_a_token_for_one_list_sees_its_runs_without_names_of_tokens(
    alice: Person, service: Service
) -> None:
    home = alice.create(LISTS, name="Home")
    with use_token(service, alice, name="whole account", scopes=WRITE) as agent:
        add(agent, "inside", "both", list_id=home["id"])
        add(agent, "outside", "other")
    with use_token(service, alice, list_id=home["id"]) as narrow:
        (found,) = runs(narrow)

    assert (found["run_id"], found["token_name"]) == ("both", None)


@pytest.mark.parametrize("query", [{"limit": 51}, {"before": -1}, {"run_id": "x"}])
def test_an_invalid_parameter_is_refused(alice: Person, query: dict[str, Any]) -> None:
    assert alice.http.get(RUNS, params=query).status_code == 422
