import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.service import Service
from tests.integration.users import (
    LISTS,
    TASKS,
    Person,
    code,
    read,
    use_token,
)

ABSENT = str(uuid.UUID(int=0))


def create_list(person: Person, name: str = "Home") -> dict[str, Any]:
    return person.create(LISTS, name=name)


def names(person: Person) -> list[tuple[str, str]]:
    items = read(person.http.get(LISTS))["items"]
    return [(item["name"], item["access"]) for item in items]


def test_a_created_list_is_at_its_location(alice: Person) -> None:
    response = alice.http.post(LISTS, json={"name": "  Küche  "})

    created = read(response, 201)
    assert (created["name"], created["owner"], created["access"], created["version"]) == (
        "Küche",
        alice.name,
        "owner",
        1,
    )
    assert response.headers["etag"] == '"1"'
    again = alice.http.get(response.headers["location"])
    assert again.json() == created
    assert again.headers["etag"] == '"1"'


def test_a_list_read_again_is_not_sent_again(alice: Person) -> None:
    path = f"{LISTS}/{create_list(alice)['id']}"
    tag = alice.http.get(path).headers["etag"]

    assert alice.http.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_pages_show_own_and_shared_lists_once_oldest_first(alice: Person, bob: Person) -> None:
    expected = []
    for number in range(7):
        owner = alice if number % 3 else bob
        expected.append(create_list(owner, f"list {number}")["id"])
        if owner is bob:
            bob.share(expected[-1], alice, "read")
    create_list(bob, "not shared")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(alice.http.get(LISTS, params={"limit": 2, **cursor}))
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == expected


@pytest.mark.parametrize("cursor", ["", "x", "%00", "WzEsMV0", "WzEsImEiXQ", "é"])
def test_a_made_up_cursor_is_refused(alice: Person, cursor: str) -> None:
    response = alice.http.get(f"{LISTS}?cursor={cursor}")

    assert read(response, 422)["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": "a\0"}, {"name": "a", "x": 1}],
)
def test_a_bad_list_is_refused(alice: Person, body: dict[str, Any]) -> None:
    assert alice.http.post(LISTS, json=body).status_code == 422


def test_a_change_needs_the_version_that_it_names(alice: Person) -> None:
    path = f"{LISTS}/{create_list(alice)['id']}"

    renamed = alice.http.patch(path, json={"name": "Office"}, headers={"If-Match": '"1"'})
    stale = alice.http.patch(path, json={"name": "Other"}, headers={"If-Match": '"1"'})

    assert (renamed.headers["etag"], read(renamed)["name"]) == ('"2"', "Office")
    assert code(stale) == (412, "version-mismatch")
    assert alice.http.patch(path, json={}).json()["version"] == 2
    assert alice.http.delete(path, headers={"If-Match": '"1"'}).status_code == 412


def test_a_repeated_creation_with_its_key_makes_one_list(alice: Person) -> None:
    headers = {"Idempotency-Key": "k"}
    first, second = (alice.http.post(LISTS, json={"name": "a"}, headers=headers) for _ in range(2))

    assert first.content == second.content
    assert names(alice) == [("a", "owner")]


def test_an_empty_list_is_deleted(alice: Person) -> None:
    path = f"{LISTS}/{create_list(alice)['id']}"

    assert alice.http.delete(path).status_code == 204
    assert alice.http.delete(path).status_code == 404
    assert names(alice) == []


def test_a_list_with_tasks_is_deleted_with_them_where_that_is_said(
    alice: Person, bob: Person
) -> None:
    path = f"{LISTS}/{(list_id := create_list(alice)['id'])}"
    parent = alice.create(TASKS, title="a", list_id=list_id)
    child = alice.create(TASKS, title="b", parent_id=parent["id"])
    other = alice.create(TASKS, title="c")
    alice.share(list_id, bob, "write")

    refused = alice.http.delete(path)
    assert code(refused) == (409, "list-not-empty")
    assert "tasks=delete" in refused.json()["detail"]
    assert alice.http.get(f"{TASKS}/{child['id']}").status_code == 200

    assert alice.http.delete(path, params={"tasks": "delete"}).status_code == 204
    assert alice.http.get(f"{TASKS}/{child['id']}").status_code == 404
    assert [t["id"] for t in alice.http.get(TASKS).json()["items"]] == [other["id"]]
    assert names(bob) == []


def test_a_token_for_one_list_sees_that_list_alone(
    service: Service, alice: Person, bob: Person
) -> None:
    mine, other = create_list(alice, "mine")["id"], create_list(alice, "other")["id"]
    theirs = create_list(bob, "theirs")["id"]
    bob.share(theirs, alice, "write")
    scopes = ["read", "write", "delete"]
    with use_token(service, alice, scopes=scopes, list_id=mine) as agent:
        assert [item["id"] for item in read(agent.get(LISTS))["items"]] == [mine]
        assert read(agent.get(f"{LISTS}/{mine}"))["access"] == "owner"
        for hidden in (other, theirs):
            assert code(agent.get(f"{LISTS}/{hidden}")) == (404, "not-found")
            assert code(agent.patch(f"{LISTS}/{hidden}", json={"name": "n"}))[0] == 404
            assert code(agent.delete(f"{LISTS}/{hidden}"))[0] == 404
        assert code(agent.post(LISTS, json={"name": "new"})) == (403, "read-only")
        assert read(agent.patch(f"{LISTS}/{mine}", json={"name": "n"}))["name"] == "n"
    with use_token(service, alice, list_id=theirs) as agent:
        assert [item["id"] for item in read(agent.get(LISTS))["items"]] == [theirs]
        assert bob.http.delete(f"{LISTS}/{theirs}/shares/{alice.name}").status_code == 204
        assert read(agent.get(LISTS))["items"] == []
        assert code(agent.get(f"{LISTS}/{theirs}")) == (404, "not-found")


def test_each_call_needs_its_scope(service: Service, alice: Person, bob: Person) -> None:
    path = f"{LISTS}/{create_list(alice)['id']}"
    share = f"{path}/shares/{bob.name}"
    calls: list[tuple[str, str, str, dict[str, Any] | None]] = [
        ("read", "GET", LISTS, None),
        ("read", "GET", path, None),
        ("read", "GET", f"{path}/shares", None),
        ("write", "POST", LISTS, {"name": "n"}),
        ("write", "PATCH", path, {"name": "n"}),
        ("admin", "PUT", share, {"access": "read"}),
        ("admin", "DELETE", share, None),
        ("delete", "DELETE", path, None),
    ]
    for scope, method, address, body in calls:
        others = sorted({"read", "write", "delete", "assistant", "admin"} - {scope})
        with use_token(service, alice, scopes=others) as agent:
            refused = agent.request(method, address, json=body)
        assert code(refused) == (403, "insufficient-scope"), (scope, method, address)
        with use_token(service, alice, scopes=[scope]) as agent:
            assert agent.request(method, address, json=body).is_success, (method, address)


def test_undoing_brings_a_list_back_with_tasks_and_shares(alice: Person, bob: Person) -> None:
    path = f"{LISTS}/{(list_id := create_list(alice)['id'])}"
    parent = alice.create(TASKS, title="a", list_id=list_id)
    child = alice.create(TASKS, title="b", parent_id=parent["id"])
    alice.share(list_id, bob, "write")
    run = {"X-Run-Id": "clean-up"}
    assert alice.http.delete(path, params={"tasks": "delete"}, headers=run).status_code == 204

    assert alice.http.post("/api/v1/undo", json={"run_id": "clean-up"}).status_code == 200

    assert read(alice.http.get(path))["name"] == "Home"
    found = read(bob.http.get(TASKS, params={"list": list_id}))["items"]
    assert [item["id"] for item in found] == [child["id"], parent["id"]]
    assert bob.http.patch(f"{TASKS}/{child['id']}", json={"title": "c"}).status_code == 200


def test_a_task_put_into_a_list_that_goes_is_refused_or_goes_with_it(
    service: Service, alice: Person, bob: Person
) -> None:
    for _ in range(5):
        list_id = create_list(alice)["id"]
        alice.share(list_id, bob, "write")
        with ThreadPoolExecutor(4) as pool:
            creations = [
                pool.submit(bob.http.post, TASKS, json={"title": "t", "list_id": list_id})
                for _ in range(3)
            ]
            deletion = pool.submit(
                alice.http.delete, f"{LISTS}/{list_id}", params={"tasks": "delete"}
            )
        assert deletion.result().status_code == 204
        for creation in creations:
            assert creation.result().status_code in {201, 422}, creation.result().text
    assert service.process.poll() is None
    assert read(alice.http.get(TASKS))["items"] == []
