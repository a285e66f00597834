"""The journal through the API, on both databases."""

import uuid
from typing import Any

import httpx
import pytest

from tests.integration.service import Service
from tests.integration.users import MakeClient

TASKS = "/api/v1/tasks"
CHANGES = "/api/v1/changes"
JOURNAL = "/api/v1/journal"


def create(client: httpx.Client, **fields: object) -> dict[str, Any]:
    response = client.post(TASKS, json={"title": "buy milk", **fields})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def read(client: httpx.Client, path: str, **query: str | int) -> dict[str, Any]:
    response = client.get(path, params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def test_changes_are_told_from_a_number_on(client: httpx.Client) -> None:
    task = create(client)
    path = f"{TASKS}/{task['id']}"
    done = client.post(f"{path}/complete").json()
    client.delete(path)

    page = read(client, CHANGES)
    rest = read(client, CHANGES, since=2)

    told = [(c["seq"], c["operation"], c["kind"], c["id"], c["after"]) for c in page["items"]]
    assert told == [
        (1, "create", "task", task["id"], task),
        (2, "complete", "task", task["id"], done),
        (3, "delete", "task", task["id"], None),
    ]
    assert (page["next_since"], page["has_more"]) == (3, False)
    assert [change["seq"] for change in rest["items"]] == [3]
    assert read(client, CHANGES, since=3) == {"items": [], "next_since": 3, "has_more": False}


def test_pages_of_changes_follow_one_another(client: httpx.Client) -> None:
    for _ in range(5):
        create(client)
    seen: list[int] = []
    since, more = 0, True
    while more:
        page = read(client, CHANGES, since=since, limit=2)
        seen += [change["seq"] for change in page["items"]]
        since, more = page["next_since"], page["has_more"]

    assert (seen, since) == ([1, 2, 3, 4, 5], 5)


@pytest.mark.parametrize("since", ["-1", "1", "x", str(2**63 - 1), str(2**63)])
def test_a_number_that_the_journal_cannot_have_is_refused(client: httpx.Client, since: str) -> None:
    response = client.get(CHANGES, params={"since": since})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "since"


def test_a_read_of_the_same_changes_is_not_sent_again(client: httpx.Client) -> None:
    create(client)
    tag = client.get(CHANGES).headers["etag"]

    assert client.get(CHANGES, headers={"If-None-Match": tag}).status_code == 304
    create(client)
    assert client.get(CHANGES, headers={"If-None-Match": tag}).status_code == 200


def test_the_journal_says_who_did_what(client: httpx.Client) -> None:
    task = create(client)
    changed = client.patch(f"{TASKS}/{task['id']}", json={"title": "Grüße 🦊"}).json()

    newest, oldest = read(client, JOURNAL)["items"]

    user = task["owner"]
    assert newest == {
        "seq": 2,
        "at": changed["updated_at"],
        "actor": user,
        "token_id": None,
        "agent": None,
        "model": None,
        "run_id": None,
        "operation": "update",
        "kind": "task",
        "id": task["id"],
        "list_id": None,
        "before": task,
        "after": changed,
    }
    assert (oldest["seq"], oldest["before"], oldest["after"]) == (1, None, task)


def test_the_journal_is_filtered_by_thing_and_by_user(client: httpx.Client) -> None:
    first, second = create(client), create(client)
    client.post(f"{TASKS}/{first['id']}/complete")

    def seqs(**query: str | int) -> list[int]:
        return [entry["seq"] for entry in read(client, JOURNAL, **query)["items"]]

    assert seqs(entity=first["id"]) == [3, 1]
    assert seqs(entity=second["id"]) == [2]
    assert seqs(entity=first["id"], actor=first["owner"]) == [3, 1]
    assert seqs(actor="somebody") == []
    assert seqs(entity="nothing") == seqs(run_id="none") == []


def test_the_journal_is_filtered_by_token(service: Service, client: httpx.Client) -> None:
    create(client)
    ids = []
    for run in ("one", "two"):
        made = client.post("/api/v1/tokens", json={"name": run, "scopes": ["read", "write"]}).json()
        ids.append(made["id"])
        with service.client(made["token"]) as agent:
            create(agent)
            agent.post(TASKS, json={"title": "t"}, headers={"X-Run-Id": run})

    def seqs(**query: str) -> list[int]:
        return [entry["seq"] for entry in read(client, JOURNAL, **query)["items"]]

    assert seqs(token_id=ids[0]) == [4, 3]
    assert seqs(token_id=ids[1]) == [7, 6]
    assert seqs(token_id=ids[1], run_id="two") == [7]
    assert seqs(token_id=ids[0], run_id="two") == []
    assert seqs(token_id=ids[0], actor="somebody") == []
    assert seqs(token_id=str(uuid.UUID(int=0))) == []
    assert client.get(JOURNAL, params={"token_id": "x"}).status_code == 422


def test_pages_of_the_journal_follow_one_another(client: httpx.Client) -> None:
    for _ in range(5):
        create(client)
    first = read(client, JOURNAL, limit=3)
    second = read(client, JOURNAL, limit=3, before=first["next_before"])

    assert [entry["seq"] for entry in first["items"]] == [5, 4, 3]
    assert [entry["seq"] for entry in second["items"]] == [2, 1]
    assert second["next_before"] is None


def test_nobody_reads_of_others(make_client: MakeClient) -> None:
    alice, mallory = make_client(), make_client()
    task = create(alice)

    assert read(mallory, CHANGES)["items"] == read(mallory, JOURNAL)["items"] == []
    assert read(mallory, JOURNAL, entity=task["id"])["items"] == []
    absent, headers = str(uuid.uuid4()), {"X-Request-ID": "same"}
    for path in (CHANGES, JOURNAL):
        assert mallory.get(path, params={"list": absent}, headers=headers).status_code == 404
