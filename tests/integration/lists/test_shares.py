"""Lists that are shared, on both databases."""

import httpx
import pytest

from tests.integration.lists.test_lists import ABSENT, create_list, names
from tests.integration.users import (
    LISTS,
    TASKS,
    MakePerson,
    Person,
    code,
    read,
)


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


def test_the_journal_tells_who_shared_and_who_left(alice: Person, bob: Person) -> None:
    list_id = create_list(alice)["id"]
    alice.share(list_id, bob, "read")
    alice.share(list_id, bob, "write")
    bob.http.delete(f"{LISTS}/{list_id}/shares/{bob.name}")

    entries = read(alice.http.get("/api/v1/journal"))["items"]

    told = [(entry["operation"], entry["kind"], entry["actor"]) for entry in entries]
    assert told == [
        ("unshare", "share", bob.name),
        ("share", "share", alice.name),
        ("share", "share", alice.name),
        ("create", "list", alice.name),
    ]
    assert entries[1]["before"]["access"] == "read"
    assert entries[1]["after"]["access"] == "write"
    assert entries[0]["after"] is None


def test_where_a_task_went_is_not_told_to_those_who_may_not_see_it(
    alice: Person, bob: Person
) -> None:
    shared, other = alice.create(LISTS, name="Shared"), alice.create(LISTS, name="Other")
    alice.share(shared["id"], bob, "write")
    task = alice.create(TASKS, title="Moves", list_id=shared["id"])
    alice.http.patch(f"{TASKS}/{task['id']}", json={"list_id": other["id"]})

    answers = [
        bob.http.get(f"/api/v1/{path}", params={"list": shared["id"]})
        for path in ("journal", "changes")
    ]

    left = read(answers[0])["items"][0]
    assert (left["id"], left["list_id"], left["after"]) == (task["id"], None, None)
    assert left["before"]["list_id"] == shared["id"]
    assert not any(other["id"] in answer.text for answer in answers)


def test_who_shares_a_list_learns_nothing_of_where_a_task_went(alice: Person, bob: Person) -> None:
    shared, other = create_list(alice)["id"], create_list(alice)["id"]
    alice.share(shared, bob, "write")
    task = alice.create(TASKS, title="open to both", list_id=shared)
    read(alice.http.patch(f"{TASKS}/{task['id']}", json={"title": "secret", "list_id": other}))

    answer = bob.http.get("/api/v1/journal", params={"list": shared})

    [left, *_] = read(answer)["items"]
    assert (left["operation"], left["id"], left["after"]) == ("update", task["id"], None)
    assert left["list_id"] is None
    assert other not in answer.text
    assert "secret" not in answer.text
