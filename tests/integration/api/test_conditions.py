"""A condition is kept or refused, never ignored: every write, with and without `If-Match`.

The operations are compared with the OpenAPI document: a new one has to be in one of the tables.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.integration.service import Service
from tests.integration.tokens import ALL, PATH, Open
from tests.integration.users import LISTS, TASKS, MakePerson, Person, code, read

API = "/api/v1"
PLANS = f"{API}/plans"
NONSENSE = {"If-Match": "nonsense"}
CONDITIONS = ['"4711"', 'W/"1"', '"1.5"', '"a,b"', 'W/"x", "y",']
LONG_AGO = "Sat, 29 Oct 1994 19:43:31 GMT"
MALFORMED = ["nonsense", '"1', '"1", nonsense', '"1" "2"', "W/x", '*, "1"', "", ","]


@dataclass
class World:
    """A user with one of each, and the request that a test sends."""

    owner: Person
    things: dict[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """The entity tag of the account."""
        return str(self.owner.http.get(f"{API}/me").headers["etag"])

    def journal(self) -> list[Any]:
        entries: list[Any] = read(self.owner.http.get(f"{API}/journal?limit=100"))["items"]
        return entries

    def front_end(self, path: str = "") -> str:
        return f"/api/{self.owner.name}/tasks{path}"


@dataclass(frozen=True)
class Change:
    """A request that changes something that is there, and where the version of it is read."""

    method: str
    path: Callable[[World], str]
    tag: Callable[[World], str]
    body: dict[str, Any] | None = None


def furnish(person: Person) -> World:
    world = World(person)
    things = world.things
    things["list"] = person.create(LISTS, name="Home")["id"]
    things["task"] = person.create(TASKS, title="t", tags=["home"])["id"]
    person.create(TASKS, title="u", list_id=things["list"])
    share = f"{LISTS}/{things['list']}/shares"
    read(person.http.put(f"{share}/somebody", json={"access": "read"}))
    new = {"op": "create", "task": {"title": "planned"}}
    things["plan"] = person.create(PLANS, operations=[new])["id"]
    sent = read(person.http.post(f"{API}/assistant", json={"message": "help"}))
    things["conversation"] = sent["conversation_id"]
    things["token"] = person.create(PATH, name="n", scopes=["read"])["id"]
    return world


def path_of(kind: str, rest: str = "") -> Callable[[World], str]:
    roots = {"task": TASKS, "list": LISTS, "token": PATH, "plan": PLANS}
    root = roots.get(kind, f"{API}/{kind}s")
    return lambda world: f"{root}/{world.things[kind]}{rest}"


def tag_of(path: Callable[[World], str]) -> Callable[[World], str]:
    return lambda world: str(world.owner.http.get(path(world)).headers["etag"])


def front_end(rest: str = "") -> Callable[[World], str]:
    return lambda world: world.front_end(f"/{world.things['task']}{rest}")


def head(world: World) -> str:
    page = read(world.owner.http.get(f"{API}/changes?limit=500"))
    assert not page["has_more"]
    return f'"{page["next_since"]}"'


def tags_tag(world: World) -> str:
    return str(world.owner.http.get(f"{API}/tags").headers["etag"])


TASK, LIST = path_of("task"), path_of("list")
SHARE, SHARES = path_of("list", "/shares/somebody"), path_of("list", "/shares")
SHARES_TAG, TASK_TAG, LIST_TAG = tag_of(SHARES), tag_of(TASK), tag_of(LIST)
TITLE, DONE = {"title": "changed"}, {"completed": True}

CHANGES: dict[str, Change] = {
    "update_task": Change("PATCH", TASK, TASK_TAG, TITLE),
    "complete_task": Change("POST", path_of("task", "/complete"), TASK_TAG),
    "reopen_task": Change("POST", path_of("task", "/reopen"), TASK_TAG),
    "delete_task": Change("DELETE", TASK, TASK_TAG),
    "update_list": Change("PATCH", LIST, LIST_TAG, {"name": "Office"}),
    "delete_list": Change("DELETE", path_of("list", "?tasks=delete"), LIST_TAG),
    "share_list": Change("PUT", SHARE, SHARES_TAG, {"access": "write"}),
    "unshare_list": Change("DELETE", SHARE, SHARES_TAG),
    "rename_tag": Change("PATCH", lambda _: f"{API}/tags/home", tags_tag, {"name": "house"}),
    "delete_tag": Change("DELETE", lambda _: f"{API}/tags/home", tags_tag),
    "update_me": Change("PATCH", lambda _: f"{API}/me", World.version, {"zone": "Asia/Tokyo"}),
    "delete_me": Change("DELETE", lambda _: f"{API}/me", World.version),
    "undo": Change("POST", lambda _: f"{API}/undo", head, {"seq": 2}),
    "revoke_token": Change("DELETE", path_of("token"), lambda _: '"1"'),
    "update_front_end_task": Change("PUT", front_end(), tag_of(front_end()), TITLE),
    "toggle_front_end_task": Change("PATCH", front_end("/complete"), tag_of(front_end())),
    "change_front_end_task": Change("PATCH", front_end(), tag_of(front_end()), TITLE),
    "switch_front_end_task": Change("PATCH", front_end("/toggle"), tag_of(front_end())),
    "set_front_end_task_status": Change("PATCH", front_end("/status"), tag_of(front_end()), DONE),
    "delete_front_end_task": Change("DELETE", front_end(), tag_of(front_end())),
}
CREATIONS: dict[str, tuple[Callable[[World], str], dict[str, Any]]] = {
    "create_task": (lambda _: TASKS, {"title": "new"}),
    "quick_add": (lambda _: f"{API}/quick-add", {"text": "new"}),
    "create_list": (lambda _: LISTS, {"name": "new"}),
    "create_plan": (
        lambda _: PLANS,
        {"operations": [{"op": "create", "task": {"title": "new"}}]},
    ),
    "create_token": (lambda _: PATH, {"name": "new", "scopes": ["read"]}),
    "create_front_end_task": (lambda world: world.front_end(), {"title": "new"}),
    "send_message": (lambda _: f"{API}/assistant", {"message": "help"}),
    "send_front_end_message": (lambda world: f"/api/{world.owner.name}/chat", {"message": "help"}),
}
WITH_CONDITIONS_INSIDE = {"change_tasks"}
# A plan is bound to versions, and has none itself; a conversation only grows.
UNVERSIONED = {
    "apply_plan": ("POST", path_of("plan", "/apply")),
    "delete_plan": ("DELETE", path_of("plan")),
    "delete_conversation": ("DELETE", path_of("conversation")),
}


@pytest.fixture
def world(make_person: MakePerson) -> World:
    return furnish(make_person("owner"))


@pytest.fixture
def careful(world: World, connect: Open) -> httpx.Client:
    """A token that has to name what it changes."""
    made = world.owner.create(PATH, name="careful", scopes=ALL, require_match=True)
    return connect(made["token"])


def send(client: httpx.Client, change: Change, world: World, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request(change.method, change.path(world), json=change.body, headers=named)


def test_each_write_is_in_one_of_the_tables(service: Service) -> None:
    with service.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    found = [
        (operation["operationId"], {each.get("$ref", "") for each in operation["parameters"]})
        for item in paths.values()
        for method, operation in item.items()
        if method not in {"get", "head"}
    ]

    assert sorted(name for name, _ in found) == sorted(
        [*CHANGES, *CREATIONS, *WITH_CONDITIONS_INSIDE, *UNVERSIONED]
    )
    described = {name for name, parameters in found if "If-Match" in str(parameters)}
    assert described == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_needs_the_condition_that_its_token_requires(
    world: World, careful: httpx.Client, name: str
) -> None:
    change = CHANGES[name]
    tag, before = change.tag(world), world.journal()

    assert code(send(careful, change, world)) == (428, "precondition-required")
    assert code(send(careful, change, world, If_Match="*")) == (428, "precondition-required")
    assert world.journal() == before
    done = send(careful, change, world, If_Match=tag)
    assert done.is_success, done.text


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_whose_condition_does_not_hold_is_refused_to_everybody(
    world: World, name: str
) -> None:
    change, client = CHANGES[name], world.owner.http
    before = world.journal()

    for condition in CONDITIONS:
        answer = send(client, change, world, If_Match=condition)
        assert code(answer) == (412, "version-mismatch"), condition
    refused = [send(client, change, world, If_Match=condition) for condition in MALFORMED]
    refused.append(send(client, change, world, If_None_Match="*"))
    refused.append(send(client, change, world, If_Unmodified_Since=LONG_AGO))
    assert {code(answer) for answer in refused} == {(400, "malformed-request")}
    assert world.journal() == before
    done = send(client, change, world, If_Match="*")
    assert done.is_success, done.text


@pytest.mark.parametrize("name", [*CHANGES, *CREATIONS, *WITH_CONDITIONS_INSIDE, *UNVERSIONED])
def test_a_write_with_an_unknown_parameter_is_refused(world: World, name: str) -> None:
    batch = (lambda _: f"{TASKS}/batch"), {"operations": [{"op": "delete", "id": "x"}]}
    before = world.journal()
    if name in CHANGES:
        change = CHANGES[name]
        method, path, body = change.method, change.path(world), change.body
    elif name in UNVERSIONED:
        method, path, body = UNVERSIONED[name][0], UNVERSIONED[name][1](world), None
    else:
        find_path, body = CREATIONS.get(name, batch)
        method, path = "POST", find_path(world)

    sign = "&" if "?" in path else "?"
    answer = world.owner.http.request(method, f"{path}{sign}dry_run=true", json=body)

    problem = read(answer, 400 if "front_end" in name else 422)
    assert [(each["in"], each["field"]) for each in problem["errors"]] == [("query", "dry_run")]
    assert world.journal() == before


@pytest.mark.parametrize("name", ["rename_tag", "share_list", "update_me", "undo"])
def test_the_version_of_an_account_is_old_after_any_other_change(world: World, name: str) -> None:
    change = CHANGES[name]
    tag = change.tag(world)
    world.owner.create(TASKS, title="meanwhile")

    assert send(world.owner.http, change, world, If_Match=tag).status_code == 412
    current = change.tag(world)
    assert current != tag
    assert send(world.owner.http, change, world, If_Match=f'"0", {current}').is_success


@pytest.mark.parametrize("name", CREATIONS)
def test_what_creates_something_refuses_a_condition_and_needs_none(
    world: World, careful: httpx.Client, name: str
) -> None:
    path, body = CREATIONS[name]
    before = world.journal()

    for client in (careful, world.owner.http):
        for headers in (
            NONSENSE,
            {"If-Match": '"1"'},
            {"If-Match": "*"},
            {"If-None-Match": "*"},
            {"If-Unmodified-Since": LONG_AGO},
        ):
            answer = client.post(path(world), json=body, headers=headers)
            assert code(answer) == (400, "malformed-request")
    assert world.journal() == before
    assert careful.post(path(world), json=body).is_success


@pytest.mark.parametrize("name", UNVERSIONED)
def test_what_has_no_version_refuses_a_condition_and_needs_none(
    world: World, careful: httpx.Client, name: str
) -> None:
    (method, path), before = UNVERSIONED[name], world.journal()

    for headers in (NONSENSE, {"If-Match": '"1"'}, {"If-Match": "*"}, {"If-None-Match": "*"}):
        answer = careful.request(method, path(world), headers=headers)
        assert code(answer) == (400, "malformed-request")
    assert world.journal() == before
    done = careful.request(method, path(world))
    assert done.is_success, done.text


def test_a_batch_has_its_conditions_in_its_operations(world: World, careful: httpx.Client) -> None:
    task, before = world.things["task"], world.journal()
    create = {"op": "create", "task": {"title": "new"}}
    complete = {"op": "complete", "id": task, "if_match": 1}

    def run(*operations: dict[str, Any], **headers: str) -> httpx.Response:
        return careful.post(f"{TASKS}/batch", json={"operations": operations}, headers=headers)

    for client in (careful, world.owner.http):
        refused = client.post(f"{TASKS}/batch", json={"operations": [complete]}, headers=NONSENSE)
        assert code(refused) == (400, "malformed-request")
        assert "`if_match`" in refused.json()["detail"]
    for operation in (
        {"op": "complete", "id": task},
        {"op": "reopen", "id": task, "if_match": None},
        {"op": "delete", "id": task},
        {"op": "update", "id": task, "task": TITLE},
    ):
        assert run(create, operation).status_code == 428
    assert run({**complete, "if_match": 2}).status_code == 422
    assert world.journal() == before
    assert run(create, complete).status_code == 200


def test_several_lines_of_a_condition_are_one_list(world: World) -> None:
    lines = [("If-Match", '"7"'), ("If-Match", '"1"')]

    answer = world.owner.http.patch(TASK(world), json=TITLE, headers=lines)

    assert answer.status_code == 200


def test_a_date_is_ignored_where_there_is_a_version(world: World) -> None:
    headers = {"If-Match": '"1"', "If-Unmodified-Since": LONG_AGO}

    assert world.owner.http.patch(TASK(world), json=TITLE, headers=headers).status_code == 200


def test_a_read_knows_every_line_of_what_the_client_has(world: World) -> None:
    tag = TASK_TAG(world)
    lines = [("If-None-Match", '"4711"'), ("If-None-Match", tag)]

    assert world.owner.http.get(TASK(world), headers=lines).status_code == 304
    assert world.owner.http.get(TASK(world), headers=lines[:1]).status_code == 200


@pytest.mark.parametrize("condition", ['"1"', "*", "nonsense"])
def test_a_read_refuses_the_condition_of_a_change(world: World, condition: str) -> None:
    paths = [TASK(world), TASKS, world.front_end(), f"{API}/me", f"{API}/changes"]
    headers = {"If-Match": condition}

    answers = [world.owner.http.get(path, headers=headers) for path in paths]

    assert {code(answer) for answer in answers} == {(400, "malformed-request")}
    assert world.owner.http.head(TASK(world), headers=headers).status_code == 400


def test_a_request_has_one_idempotency_key(world: World) -> None:
    before = world.journal()
    keys = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]

    answer = world.owner.http.post(TASKS, json=TITLE, headers=keys)

    assert code(answer) == (400, "malformed-request")
    assert world.journal() == before
    assert world.owner.http.post(TASKS, json=TITLE, headers=keys[:1] * 2).status_code == 201


def test_a_guess_of_every_version_is_not_a_condition(world: World, careful: httpx.Client) -> None:
    every = ", ".join(f'"{version}"' for version in range(1, 2000))
    two = [("If-Match", '"1"'), ("If-Match", '"2"')]

    for client in (careful, world.owner.http):
        answer = client.patch(TASK(world), json=TITLE, headers={"If-Match": every})
        assert code(answer) == (400, "malformed-request")
        assert "16 entity tags" in answer.json()["detail"]
    for headers in (two, {"If-Match": '"1", "2"'}):
        answer = careful.patch(TASK(world), json=TITLE, headers=headers)
        assert code(answer) == (428, "precondition-required")
    assert careful.patch(TASK(world), json=TITLE, headers={"If-Match": '"1"'}).is_success


def test_with_whom_a_list_is_shared_reads_the_version_that_a_leave_needs(
    make_person: MakePerson, connect: Open
) -> None:
    alice, bob = make_person("alice"), make_person("bob")
    shared = alice.create(LISTS, name="Home")["id"]
    alice.share(shared, bob, "read")
    token = bob.create(PATH, name="n", scopes=ALL, require_match=True)["token"]
    path = f"{LISTS}/{shared}/shares"

    tag = bob.http.get(path).headers["etag"]
    answers = [
        connect(token).delete(f"{path}/{bob.name}", headers={"If-Match": each})
        for each in ('"0"', tag)
    ]

    assert [answer.status_code for answer in answers] == [412, 204]


def test_a_tag_that_nobody_has_is_not_there_whatever_the_condition(world: World) -> None:
    path = f"{API}/tags/{uuid.uuid4()}"

    assert world.owner.http.delete(path, headers={"If-Match": '"1"'}).status_code == 404
