"""Nobody learns anything of what is another's: every operation, with every id of the other.

Made from the OpenAPI document, so that a new operation is in it by itself.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.calls import ID, Call, list_calls
from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_service

SECRET = "QUITE-PRIVATE"  # noqa: S105 - what may be seen nowhere
OPTIONS = {
    "TODO_DATABASE_MIGRATE": "startup",
    "TODO_RATE_LIMIT_PER_MINUTE": "0",
    "TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
}
SCOPES = ("read", "write", "delete", "assistant", "admin")
# What differs from answer to answer whatever was asked.
UNIQUE_HEADERS = {"x-request-id", "date", "content-length"}
API = "/api/v1"
# Statements that the driver or a timer runs, whatever is asked.
BY_ITSELF = re.compile(r"DEALLOCATE|SELECT .* FROM (reminder|token_cutoff)\b")


@dataclass
class World:
    """A service, what one user has in it, and another who has no business there."""

    service: Service
    document: dict[str, Any]
    owner: str
    stranger: str
    # Ids of the owner's things by what they are.
    things: dict[str, str]
    # The one list, and what is in it, that a restricted token of the owner is good for.
    open_list: str

    def client(self, user: str) -> httpx.Client:
        return self.service.client(self.service.token(user, lifetime_s=3600))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    options = dict(OPTIONS)
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("own_cluster")
        url = cluster.make_database()
        cluster.query(
            url,
            f"ALTER DATABASE {url.rpartition('?')[0].rpartition('/')[2]} SET log_statement = 'all'",
        )
        options["TODO_DATABASE_URL"] = url
    with open_service(options) as service:
        service.wait_ready()
        yield furnish(service)


def furnish(service: Service) -> World:
    """Let the owner have one of each, with a secret wherever there is room for text."""
    owner, stranger = f"owner-{uuid.uuid4()}", f"stranger-{uuid.uuid4()}"
    things = {}
    with service.client(service.token(owner)) as client:

        def make(path: str, **body: object) -> str:
            answer = client.post(f"{API}{path}", json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        text = {"title": SECRET, "description": SECRET, "tags": [SECRET], "due_date": "2099-11-25"}
        things["list"] = make("/lists", name=SECRET)
        things["task"] = make("/tasks", **text, reminders=[10], recurrence="FREQ=DAILY")
        things["listed"] = make("/tasks", **text, list_id=things["list"])
        things["subtask"] = make("/tasks", **text, parent_id=things["task"])
        things["token"] = make("/tokens", name=SECRET, scopes=["read"])
        sent = client.post(f"{API}/assistant", json={"message": SECRET}).json()
        things["conversation"] = sent["conversation_id"]
        open_list = make("/lists", name="open")
        make("/tasks", title="open", list_id=open_list)
        client.put(
            f"{API}/lists/{things['list']}/shares/somebody-{SECRET}", json={"access": "read"}
        )
        client.post(f"{API}/tasks/{things['listed']}/complete", headers={"X-Run-Id": SECRET})
        document = client.get("/openapi.json").json()
    return World(service, document, owner, stranger, things, open_list)


@pytest.fixture
def stranger(world: World) -> Iterator[httpx.Client]:
    with world.client(world.stranger) as client:
        yield client


def send(client: httpx.Client, call: Call) -> httpx.Response:
    headers = {"X-Request-ID": "the-same"}
    return client.request(
        call.method, call.path, params=call.query, json=call.body, headers=headers
    )


def show(answer: httpx.Response, *told: str) -> tuple[int, str, dict[str, str]]:
    """Return all of an answer, without what the request itself said."""
    text = answer.text
    for each in told:
        text = text.replace(each, "*")
    headers = {k: v for k, v in answer.headers.items() if k not in UNIQUE_HEADERS}
    if answer.is_success:
        # Of a page that is empty either way, whatever was asked.
        assert SECRET not in text
    return answer.status_code, text, headers


def compare(client: httpx.Client, call: Call, thing: str, user: str) -> list[str]:
    """Ask about what is another's and about what is not there; return how the answers differ."""
    absent, nobody = str(uuid.uuid4()), f"owner-{uuid.uuid4()}"
    foreign = send(client, call.fill(thing, user))
    missing = send(client, call.fill(absent, nobody))
    assert SECRET not in foreign.text.replace(thing, "*"), (call, foreign.text)
    assert foreign.status_code < 500, (call, foreign.text)
    one, other = show(foreign, thing, user), show(missing, absent, nobody)
    return [] if one == other else [f"{call}: {one} is not {other}"]


def everything(world: World) -> bytes:
    """Return all that the owner has, without the times at which tokens were used."""
    with world.client(world.owner) as client:
        pages = ["tasks?limit=100", "lists", "tags", "tokens", "changes", "journal?limit=100"]
        pages += ["conversations", f"conversations/{world.things['conversation']}"]
        found = b"\n".join(client.get(f"{API}/{page}").content for page in pages)
    return re.sub(rb'"last_used_at":(null|"[^"]*")', b"", found)


def test_each_operation_that_takes_an_id_is_in_the_matrix(world: World) -> None:
    named = {call.name for call in list_calls(world.document, world.stranger)}

    for path, item in world.document["paths"].items():
        for operation in item.values():
            if "{" in path:
                assert operation["operationId"] in named, path
    assert {"list_tasks", "create_task", "change_tasks", "list_changes", "list_journal"} <= named


def test_what_is_anothers_answers_as_what_is_not_there(
    world: World, stranger: httpx.Client
) -> None:
    before = everything(world)
    calls = list(list_calls(world.document, world.stranger))
    differences = [
        difference
        for call in calls
        for thing in [*world.things.values(), *([SECRET] if "/tags/" in call.path else [])]
        for difference in compare(stranger, call, thing, world.owner)
    ]

    assert differences == []
    assert everything(world) == before


@pytest.mark.parametrize("scope", SCOPES)
def test_no_scope_of_a_strangers_token_opens_more(
    world: World, stranger: httpx.Client, scope: str
) -> None:
    own_list = stranger.post(f"{API}/lists", json={"name": "mine"}).json()["id"]
    before = everything(world)
    differences = []
    for restriction in (None, own_list):
        made = stranger.post(
            f"{API}/tokens", json={"name": "t", "scopes": [scope], "list_id": restriction}
        )
        with world.service.client(made.json()["token"]) as client:
            differences += [
                difference
                for call in list_calls(world.document, world.stranger)
                for thing in (world.things["list"], world.things["listed"])
                for difference in compare(client, call, thing, world.owner)
            ]

    assert differences == []
    assert everything(world) == before


def test_a_token_for_one_list_sees_nothing_of_the_owners_others(world: World) -> None:
    with world.client(world.owner) as client:
        made = client.post(
            f"{API}/tokens",
            json={"name": "t", "scopes": list(SCOPES), "list_id": world.open_list},
        ).json()
    things = {name: thing for name, thing in world.things.items() if name != "token"}
    before = everything(world)
    with world.service.client(made["token"]) as client:
        differences = []
        for call in filter(lambda call: call.has(ID), list_calls(world.document, world.owner)):
            for thing in things.values():
                absent = str(uuid.uuid4())
                foreign = send(client, call.fill(thing, world.owner))
                missing = send(client, call.fill(absent, world.owner))
                if show(foreign, thing) != show(missing, absent):
                    differences.append(f"{call}: {foreign.text} is not {missing.text}")

    assert differences == []
    assert everything(world) == before


def test_who_may_only_read_a_list_changes_nothing_of_it(world: World) -> None:
    reader = f"reader-{uuid.uuid4()}"
    with world.client(world.owner) as client:
        share = f"{API}/lists/{world.things['list']}/shares/{reader}"
        assert client.put(share, json={"access": "read"}).status_code == 200
    before = everything(world)
    changed = []
    with world.client(reader) as client:
        assert client.get(f"{API}/tasks/{world.things['listed']}").status_code == 200
        for call in list_calls(world.document, reader):
            # A token of the reader's own, for a list that they see, is theirs to make.
            if call.method != "get" and call.has(ID) and call.name != "create_token":
                for thing in (world.things["list"], world.things["listed"]):
                    answer = send(client, call.fill(thing, world.owner))
                    changed += [f"{call}: {answer.text}"] if answer.is_success else []

    assert changed == []
    assert everything(world) == before


def test_pages_show_a_stranger_nothing(world: World, stranger: httpx.Client) -> None:
    for path, item in world.document["paths"].items():
        if "get" in item and "{" not in path and path.startswith("/api/") and "event" not in path:
            answer = stranger.get(path, params={"q": SECRET} if path.endswith("/tasks") else {})
            assert answer.status_code == 200, path
            assert SECRET not in answer.text


def test_a_stranger_runs_the_same_statements_for_both(own_cluster: Cluster, world: World) -> None:
    if "TODO_DATABASE_URL" not in world.service.environment:
        # SQLite tells nobody its statements; they are made in the same place.
        return
    log = own_cluster.root / "log"
    asked = 0
    with world.client(world.stranger) as client:
        for call in list_calls(world.document, world.stranger):
            ran = []
            for thing, user in (
                (world.things["listed"], world.owner),
                (str(uuid.uuid4()), "nobody"),
                (world.things["list"], world.owner),
            ):
                begin = log.stat().st_size
                send(client, call.fill(thing, user))
                ran.append(read_statements(log, begin))
            assert ran[0] == ran[1] == ran[2], call
            asked += any("SELECT" in statement for statement in ran[0])
    # Some are refused for what else they lack, before anything is looked up.
    assert asked > 30


def read_statements(log: Path, begin: int) -> list[str]:
    """Return the statements that a server logged since, without names and values."""
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read().decode()
    entries = re.split(r"^[0-9-]+ [0-9:.]+ \w+ \[\d+\] ", text, flags=re.MULTILINE)
    found = []
    for entry in entries:
        kind = re.match(r"LOG: +(?:statement|execute [^:]+): (.*)", entry, flags=re.DOTALL)
        statement = " ".join(kind[1].split()) if kind else ""
        by_itself = BY_ITSELF.match(statement)
        if statement and not by_itself:
            found.append(statement)
    return found
