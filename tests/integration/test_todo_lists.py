import uuid
from typing import Any

import httpx
import pytest

from tests.integration.people import LISTS, TASKS, MakePerson, Person, code, read

ABSENT = str(uuid.UUID(int=0))


@pytest.fixture
def alice(make_person: MakePerson) -> Person:
    return make_person("alice")


@pytest.fixture
def bob(make_person: MakePerson) -> Person:
    return make_person("bob")


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


@pytest.mark.parametrize("access", ["read", "write"])
def test_a_shared_list_shows_its_tasks(alice: Person, bob: Person, access: str) -> None:
    list_id = create_list(alice)["id"]
    task = alice.create(TASKS, title="a", list_id=list_id)
    alice.share(list_id, bob, access)

    assert names(bob) == [("Home", access)]
    assert read(bob.http.get(f"{LISTS}/{list_id}"))["access"] == access
    assert read(bob.http.get(f"{TASKS}/{task['id']}")) == task
    assert read(bob.http.get(TASKS, params={"list": list_id}))["items"] == [task]
    assert read(bob.http.get(TASKS))["items"] == []


def test_who_may_read_changes_no_task(alice: Person, bob: Person) -> None:
    list_id = create_list(alice)["id"]
    task = f"{TASKS}/{alice.create(TASKS, title='a', list_id=list_id)['id']}"
    alice.share(list_id, bob, "read")

    answers = [
        bob.http.patch(task, json={"title": "b"}),
        bob.http.post(f"{task}/complete"),
        bob.http.delete(task),
        bob.http.post(TASKS, json={"title": "b", "list_id": list_id}),
    ]

    assert [code(answer) for answer in answers] == [(403, "read-only")] * 4


def test_who_may_write_changes_tasks_that_stay_the_owners(alice: Person, bob: Person) -> None:
    list_id = create_list(alice)["id"]
    alice.share(list_id, bob, "write")

    task = bob.create(TASKS, title="a", list_id=list_id)
    path = f"{TASKS}/{task['id']}"

    assert task["owner"] == alice.name
    assert read(bob.http.patch(path, json={"title": "b"}))["title"] == "b"
    assert read(alice.http.get(path))["version"] == 2
    assert bob.http.delete(path).status_code == 204
    assert alice.http.get(path).status_code == 404


@pytest.mark.parametrize("access", ["read", "write"])
def test_only_its_owner_changes_a_list(alice: Person, bob: Person, access: str) -> None:
    path = f"{LISTS}/{(list_id := create_list(alice)['id'])}"
    alice.share(list_id, bob, access)

    answers = [
        bob.http.patch(path, json={"name": "mine"}),
        bob.http.delete(path),
        bob.http.put(f"{path}/shares/{bob.name}", json={"access": "write"}),
        bob.http.put(f"{path}/shares/carol", json={"access": "read"}),
        bob.http.delete(f"{path}/shares/carol"),
    ]

    assert [code(answer) for answer in answers] == [(403, "read-only")] * 5
    assert read(alice.http.get(path))["name"] == "Home"


def test_the_owner_sees_all_shares_and_others_their_own(
    alice: Person, bob: Person, make_person: MakePerson
) -> None:
    carol = make_person("carol")
    path = f"{LISTS}/{(list_id := create_list(alice)['id'])}/shares"
    alice.share(list_id, bob, "read")
    alice.share(list_id, carol, "write")

    def shown(person: Person) -> list[tuple[str, str]]:
        items = read(person.http.get(path))["items"]
        return [(item["user_id"], item["access"]) for item in items]

    assert shown(alice) == [(bob.name, "read"), (carol.name, "write")]
    assert shown(bob) == [(bob.name, "read")]
    assert shown(carol) == [(carol.name, "write")]


def test_a_share_can_be_changed_and_taken_back(alice: Person, bob: Person) -> None:
    list_id = create_list(alice)["id"]
    task = f"{TASKS}/{alice.create(TASKS, title='a', list_id=list_id)['id']}"
    share = f"{LISTS}/{list_id}/shares/{bob.name}"
    alice.share(list_id, bob, "read")
    tag = bob.http.get(f"{LISTS}/{list_id}").headers["etag"]

    alice.share(list_id, bob, "write")
    assert bob.http.patch(task, json={"title": "b"}).status_code == 200
    changed = bob.http.get(f"{LISTS}/{list_id}", headers={"If-None-Match": tag})
    assert read(changed)["access"] == "write"

    assert alice.http.delete(share).status_code == 204
    assert alice.http.delete(share).status_code == 404
    assert bob.http.get(task).status_code == 404
    assert names(bob) == []


def test_everybody_may_leave_a_shared_list(alice: Person, bob: Person) -> None:
    list_id = create_list(alice)["id"]
    alice.share(list_id, bob, "read")

    assert bob.http.delete(f"{LISTS}/{list_id}/shares/{bob.name}").status_code == 204
    assert names(bob) == []
    assert bob.http.delete(f"{LISTS}/{list_id}/shares/{bob.name}").status_code == 404


def test_the_owner_is_nobody_to_share_with(alice: Person) -> None:
    path = f"{LISTS}/{create_list(alice)['id']}/shares"

    own = alice.http.put(f"{path}/{alice.name}", json={"access": "read"})
    nobody = alice.http.put(f"{path}/", json={"access": "read"})

    assert read(own, 422)["errors"][0]["field"] == "user"
    assert nobody.status_code == 422


def test_a_user_id_may_have_a_slash(alice: Person) -> None:
    path = f"{LISTS}/{create_list(alice)['id']}/shares"

    shared = alice.http.put(f"{path}/realm%2Fdora", json={"access": "read"})

    assert read(shared)["user_id"] == "realm/dora"
    assert alice.http.delete(f"{path}/realm/dora").status_code == 204


def test_anothers_list_looks_like_none_at_all(alice: Person, bob: Person) -> None:
    list_id = create_list(alice)["id"]
    task = alice.create(TASKS, title="a", list_id=list_id)

    def ask(list_id: str) -> list[httpx.Response]:
        path = f"{LISTS}/{list_id}"
        return [
            bob.http.request(
                method, path + rest, json=body, headers={"X-Request-ID": "same"}, params=query
            )
            for method, rest, body, query in (
                ("GET", "", None, {}),
                ("PATCH", "", {"name": "mine"}, {}),
                ("DELETE", "", None, {}),
                ("DELETE", "", None, {"tasks": "delete"}),
                ("GET", "/shares", None, {}),
                ("PUT", f"/shares/{bob.name}", {"access": "write"}, {}),
                ("DELETE", f"/shares/{bob.name}", None, {}),
            )
        ]

    foreign, absent = ask(list_id), ask(ABSENT)

    assert [answer.status_code for answer in foreign] == [404] * len(foreign)
    assert [answer.content.replace(list_id.encode(), b"") for answer in foreign] == [
        answer.content.replace(ABSENT.encode(), b"") for answer in absent
    ]
    assert read(alice.http.get(f"{TASKS}/{task['id']}")) == task
