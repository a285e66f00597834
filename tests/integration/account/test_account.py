"""The own account: its zone, and its end, on both databases."""

import uuid
from datetime import date, timedelta
from typing import Any

import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import UNSET, Service, open_service, run_admin
from tests.integration.users import LISTS, TASKS, Person, code, invite, read

ME = "/api/v1/me"
JOURNAL = "/api/v1/journal"
TOKENS = "/api/v1/tokens"


def test_an_account_is_there_before_its_first_change(alice: Person) -> None:
    assert read(alice.http.get(ME)) == {"user": alice.name, "zone": "UTC", "created_at": None}
    alice.create(TASKS, title="t")

    response = alice.http.get(ME)
    assert read(response)["created_at"]
    tag = response.headers["etag"]
    assert alice.http.get(ME, headers={"If-None-Match": tag}).status_code == 304


def test_no_cache_stores_what_another_account_has_the_same_tag_for(
    alice: Person, bob: Person
) -> None:
    for path in (ME, "/api/v1/tags"):
        answers = [person.http.get(path) for person in (alice, bob)]

        assert answers[0].headers["etag"] == answers[1].headers["etag"]
        assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 2


def test_the_zone_is_set_and_journaled(alice: Person) -> None:
    changed = read(alice.http.patch(ME, json={"zone": "Pacific/Auckland"}))
    read(alice.http.patch(ME, json={"zone": "Pacific/Auckland"}))

    assert changed == read(alice.http.get(ME))
    (entry,) = read(alice.http.get(JOURNAL))["items"]
    assert (entry["operation"], entry["kind"], entry["id"]) == ("update", "account", alice.name)
    assert (entry["before"], entry["after"]) == ({"zone": "UTC"}, {"zone": "Pacific/Auckland"})
    due = alice.create(TASKS, title="t", due_at="2126-01-01T12:00:00Z")
    assert due["due_zone"] == "Pacific/Auckland"
    assert code(alice.http.post("/api/v1/undo", json={"seq": 1})) == (409, "undo-conflict")


@pytest.mark.parametrize("body", [{"zone": "Mars"}, {"zone": ""}, {"zone": None}, {}, {"x": 1}])
def test_a_zone_that_is_none_is_refused(alice: Person, body: dict[str, Any]) -> None:
    assert alice.http.patch(ME, json=body).status_code == 422


def test_reminders_of_days_move_with_the_zone(cluster: Cluster) -> None:
    url = cluster.make_database()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service, invite(service) as make:
        service.wait_ready()
        alice = make("alice")
        day = date.today() + timedelta(days=30)  # noqa: DTZ011 - any day that is to come
        alice.create(TASKS, title="t", due_date=str(day))
        # As of an import: the least of all ids.
        least = uuid.UUID(int=0)
        cluster.query(url, f"UPDATE task SET id = '{least}'")  # noqa: S608 - of this test
        read(alice.http.patch(f"{TASKS}/{least}", json={"reminders": [0, 60]}))
        read(alice.http.patch(ME, json={"zone": "Asia/Kolkata"}))

        times = cluster.query(
            url, "SELECT (fire_at AT TIME ZONE 'UTC')::time::text FROM reminder ORDER BY fire_at"
        )
    assert times == [("17:30:00",), ("18:30:00",)]


def test_a_deleted_account_leaves_a_chain_without_content(cluster: Cluster) -> None:
    url = cluster.make_database()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service, invite(service) as make:
        service.wait_ready()
        alice, bob = make("alice"), make("bob")
        home = alice.create(LISTS, name="secret list")
        alice.share(home["id"], bob, "write")
        top = alice.create(TASKS, title="secret", list_id=home["id"], tags=["secret"])
        alice.create(TASKS, title="secret below", parent_id=top["id"], reminders=[1])
        theirs = bob.create(LISTS, name="of bob")
        bob.share(theirs["id"], alice, "write")
        alice.create(TASKS, title="in the list of bob", list_id=theirs["id"])
        headers = {"Idempotency-Key": "secret-key"}
        read(alice.http.post(TASKS, json={"title": "secret"}, headers=headers), 201)
        theirs_once = bob.http.post(TASKS, json={"title": "t"}, headers=headers)
        issued = alice.create(TOKENS, name="secret token", scopes=["read"])["token"]
        for person in (alice, bob):
            read(person.http.post("/api/v1/assistant", json={"message": "a secret"}))

        assert alice.http.delete(ME).status_code == 204

        assert read(alice.http.get(TASKS))["items"] == read(alice.http.get(LISTS))["items"] == []
        assert bob.http.get(f"{LISTS}/{home['id']}").status_code == 404
        assert alice.http.get(f"{LISTS}/{theirs['id']}").status_code == 404
        with service.client(issued) as http:
            assert http.get(TASKS).status_code == 401
        told = read(alice.http.get(JOURNAL))["items"]
        assert [(entry["operation"], entry["kind"]) for entry in told] == [("delete", "account")]
        dumped = cluster.query(url, "SELECT to_jsonb(journal)::text FROM journal")
        dumped += cluster.query(url, "SELECT body::text FROM idempotency WHERE user_id ~ 'alice'")
        assert not [row for row in dumped if "secret" in row[0]]
        owners = cluster.query(url, "SELECT owner FROM conversation")
        assert owners == [(bob.name,)]
        assert cluster.query(url, "SELECT count(*) FROM message") == [(2,)]
        # What was done in a list of bob's is in bob's journal.
        by_alice = read(bob.http.get(JOURNAL, params={"actor": alice.name}))["items"]
        assert [entry["operation"] for entry in by_alice] == ["unshare", "create"]

        again = bob.http.post(TASKS, json={"title": "t"}, headers=headers)
        assert again.content == theirs_once.content

        # It is an account like any other, and continues at the end of its chain.
        last = told[0]["seq"]
        alice.create(TASKS, title="again")
        page = read(alice.http.get("/api/v1/changes", params={"since": 0}))
        assert [change["seq"] for change in page["items"]] == [last, last + 1]
        assert alice.http.delete(ME).status_code == 204

        done = run_admin({**service.environment, "TODO_TOKEN_SECRET_FILE": UNSET}, "verify")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_deleting_what_is_not_there_or_twice_is_well(alice: Person) -> None:
    assert [alice.http.delete(ME).status_code for _ in range(2)] == [204, 204]


def test_tokens_without_the_scope_or_for_one_list_do_not_delete(
    service: Service,
    alice: Person,
) -> None:
    home = alice.create(LISTS, name="Home")
    narrow = [
        ({"name": str(uuid.uuid4()), "scopes": ["read", "write", "delete"]}, 403),
        ({"name": "n", "scopes": ["read", "write", "admin"], "list_id": home["id"]}, 403),
    ]
    for fields, status in narrow:
        issued = alice.create(TOKENS, **fields)["token"]
        with service.client(issued) as http:
            assert http.delete(ME).status_code == status
    assert read(alice.http.get(LISTS))["items"]
