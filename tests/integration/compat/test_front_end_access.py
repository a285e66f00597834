"""Whom the addresses for existing front ends answer."""

import uuid

import httpx

from tests.integration.compat.test_front_ends import create, home, titles
from tests.integration.users import LISTS, TASKS, Person, code, read


def every_call(person: Person, user: str, task_id: str) -> list[httpx.Response]:
    path = f"/api/{user}/tasks"
    headers = {"X-Request-ID": "same"}
    return [
        person.http.request(method, path + rest, json=body, headers=headers)
        for method, rest, body in (
            ("GET", "", None),
            ("GET", "?page=1&limit=5&status=pending", None),
            ("GET", "?limit=bad", None),
            ("POST", "", {"title": "t"}),
            ("POST", "", {"title": ""}),
            ("GET", f"/{task_id}", None),
            ("PUT", f"/{task_id}", {"title": "mine"}),
            ("PATCH", f"/{task_id}/complete", None),
            ("DELETE", f"/{task_id}", None),
        )
    ]


def test_another_user_in_the_address_is_refused_without_a_hint(alice: Person, bob: Person) -> None:
    task = create(alice)
    nobody = f"nobody-{uuid.uuid4()}"

    at_alice = every_call(bob, alice.name, task["id"])
    at_nobody = every_call(bob, nobody, str(uuid.uuid4()))

    assert {code(answer) for answer in (*at_alice, *at_nobody)} == {(403, "other-user")}
    bodies = [
        [{**answer.json(), "instance": ""} for answer in answers]
        for answers in (at_alice, at_nobody)
    ]
    assert bodies[0] == bodies[1]
    assert alice.http.get(home(alice)).json() == [task]


def test_anothers_task_below_the_own_address_looks_like_none(alice: Person, bob: Person) -> None:
    foreign, absent = create(alice)["id"], str(uuid.uuid4())

    answers = [every_call(bob, bob.name, each)[5:] for each in (foreign, absent)]

    for of_foreign, of_absent in zip(*answers, strict=True):
        assert code(of_foreign) == (404, "not-found")
        blank = of_foreign.content.replace(foreign.encode(), b"")
        assert blank == of_absent.content.replace(absent.encode(), b"")


def test_without_a_token_there_is_nothing(alice: Person) -> None:
    with httpx.Client(
        transport=alice.http._transport,  # noqa: SLF001 - the same socket, without the token
        base_url="http://todo",
    ) as stranger:
        assert stranger.get(home(alice)).status_code == 401


def test_addresses_of_the_api_are_no_users(alice: Person) -> None:
    assert code(alice.http.put(f"{TASKS}/{uuid.uuid4()}", json={})) == (405, "method-not-allowed")
    assert alice.http.get("/api/v1/tasks/x/complete").status_code in {404, 405}


def test_tasks_of_a_shared_list_are_their_owners(alice: Person, bob: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    task = alice.create(TASKS, title="t", list_id=list_id)
    alice.share(list_id, bob, "read")

    assert titles(bob) == []
    shown = read(bob.http.get(f"{home(bob)}/{task['id']}"))
    assert shown["user_id"] == alice.name
    answer = bob.http.put(f"{home(bob)}/{task['id']}", json={"title": "u"})
    assert code(answer) == (403, "read-only")
