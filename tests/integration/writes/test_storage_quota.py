"""The storage quota of an account, on both databases."""

from collections.abc import Iterator

import pytest

from tests.integration.cluster import Cluster
from tests.integration.journal.test_undo import RICH, run_forty
from tests.integration.service import Service, open_service
from tests.integration.stored import run_sql
from tests.integration.tasks.test_reminders import soon, wait_reminded
from tests.integration.users import LISTS, TASKS, MakePerson, Person, code, invite, read

MAX_TASKS = 40
MAX_BYTES = 60_000
OPTIONS = {
    "TODO_STORAGE_QUOTA_TASKS": str(MAX_TASKS),
    "TODO_STORAGE_QUOTA_BYTES": str(MAX_BYTES),
}
LONG = "d" * 9_000
REFUSED = (403, "quota-exceeded")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def limited(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Service]:
    """A backend with quotas on each of the databases."""
    options = dict(OPTIONS)
    if request.param == "postgres":
        options["TODO_DATABASE_URL"] = cluster.make_database()
        options["TODO_DATABASE_MIGRATE"] = "startup"
    with open_service(options) as service:
        service.wait_ready()
        yield service


@pytest.fixture
def make_person(limited: Service) -> Iterator[MakePerson]:
    with invite(limited) as make:
        yield make


def stored(service: Service, person: Person) -> tuple[int | None, int | None]:
    """Return the stored numbers of tasks and bytes of the account."""
    ((tasks, size),) = run_sql(
        service, "SELECT tasks, size FROM account WHERE owner = ?", person.name
    )
    return tasks, size


def forget(service: Service, person: Person) -> None:
    """Make an account one from before the counters."""
    run_sql(service, "UPDATE account SET tasks = NULL, size = NULL WHERE owner = ?", person.name)


def fill(person: Person, count: int) -> None:
    operations = [{"op": "create", "task": {"title": "t"}}] * count
    read(person.http.post(f"{TASKS}/batch", json={"operations": operations}))


def test_an_account_holds_as_many_tasks_as_its_quota(alice: Person) -> None:
    fill(alice, MAX_TASKS - 1)
    last = alice.create(TASKS, title="the last")

    for answer in (
        alice.http.post(TASKS, json={"title": "one more"}),
        alice.http.post(
            f"{TASKS}/batch",
            json={"operations": [{"op": "create", "task": {"title": "t"}}] * 2},
        ),
    ):
        assert code(answer) == REFUSED
        assert "quota of 40 tasks" in answer.json()["detail"]
    read(alice.http.patch(f"{TASKS}/{last['id']}", json={"title": "changed"}))
    assert alice.http.delete(f"{TASKS}/{last['id']}").status_code == 204
    alice.create(TASKS, title="in its place")


def test_a_refused_write_is_counted_and_leaves_nothing(limited: Service, alice: Person) -> None:
    def refusals() -> float:
        with limited.client(management=True) as client:
            lines = client.get("/metrics").text.splitlines()
        (line,) = [each for each in lines if each.startswith("todo_over_quota_writes_total ")]
        return float(line.split()[1])

    fill(alice, MAX_TASKS)
    before, count = stored(limited, alice), refusals()

    assert code(alice.http.post(TASKS, json={"title": "one more"})) == REFUSED

    assert stored(limited, alice) == before
    assert refusals() == count + 1
    assert read(alice.http.get("/api/v1/changes", params={"limit": 1000}))["next_since"] == 40


def test_an_account_holds_as_many_bytes_as_its_quota(alice: Person) -> None:
    tasks = [alice.create(TASKS, title="t", description=LONG) for _ in range(6)]
    path = f"{TASKS}/{tasks[0]['id']}"

    more = alice.http.post(TASKS, json={"title": "t", "description": LONG})
    assert code(more) == REFUSED
    assert "quota of 60000 bytes" in more.json()["detail"]
    short = alice.create(TASKS, title="t", description="x" * 2_500)
    longer = alice.http.patch(f"{TASKS}/{short['id']}", json={"description": LONG})
    assert code(longer) == REFUSED
    read(alice.http.post(f"{path}/complete"))
    read(alice.http.patch(path, json={"description": None}))
    read(alice.http.patch(f"{TASKS}/{short['id']}", json={"description": LONG}))


def test_what_others_put_into_a_list_is_its_owners(make_person: MakePerson) -> None:
    alice, bob = make_person("alice"), make_person("bob")
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    fill(alice, MAX_TASKS - 1)
    bob.create(TASKS, title="in hers", list_id=home["id"])

    answer = bob.http.post(TASKS, json={"title": "one more", "list_id": home["id"]})

    assert code(answer) == REFUSED
    bob.create(TASKS, title="his own")


def test_an_undo_does_not_exceed_the_quota(alice: Person) -> None:
    task = alice.create(TASKS, title="t")
    assert alice.http.delete(f"{TASKS}/{task['id']}").status_code == 204
    fill(alice, MAX_TASKS)

    assert code(alice.http.post("/api/v1/undo", json={"seq": 2})) == REFUSED


def test_an_account_from_before_is_counted_by_its_first_write(
    limited: Service, alice: Person
) -> None:
    fill(alice, MAX_TASKS - 1)
    expected = stored(limited, alice)
    forget(limited, alice)
    task = alice.create(TASKS, title="the last")
    assert alice.http.delete(f"{TASKS}/{task['id']}").status_code == 204
    assert stored(limited, alice) == expected
    alice.create(TASKS, title="the last")
    forget(limited, alice)

    assert code(alice.http.post(TASKS, json={"title": "one more"})) == REFUSED


def test_the_task_of_the_least_id_is_counted(limited: Service, alice: Person) -> None:
    fill(alice, 1)
    expected = stored(limited, alice)
    least = "00000000-0000-0000-0000-000000000000"
    run_sql(limited, "UPDATE task SET id = ? WHERE owner = ?", least, alice.name)
    forget(limited, alice)

    task = alice.create(TASKS, title="makes it count")
    assert alice.http.delete(f"{TASKS}/{task['id']}").status_code == 204

    assert stored(limited, alice) == expected


def test_the_counters_are_exact_after_mixed_changes(limited: Service, alice: Person) -> None:
    old = alice.create(LISTS, name="Old")
    tasks = [alice.create(TASKS, **RICH, list_id=old["id"]) for _ in range(6)]
    tasks += [alice.create(TASKS, title=f"plain {n} ü", tags=["a"]) for n in range(6)]
    run_forty(alice.http, tasks, old)
    read(alice.http.post("/api/v1/undo", json={"run_id": "run-1"}))
    read(alice.http.patch("/api/v1/tags/a", json={"name": "renamed"}))
    gone = alice.create(LISTS, name="Gone")
    alice.create(TASKS, title="goes as well", list_id=gone["id"])
    answer = alice.http.delete(f"{LISTS}/{gone['id']}", params={"tasks": "delete"})
    assert answer.status_code == 204
    kept = stored(limited, alice)
    assert kept[0] == 12

    forget(limited, alice)
    task = alice.create(TASKS, title="makes it count")
    assert alice.http.delete(f"{TASKS}/{task['id']}").status_code == 204

    assert stored(limited, alice) == kept


def test_undoing_an_entry_of_an_earlier_form_keeps_the_counters_exact(
    limited: Service, alice: Person
) -> None:
    home = alice.create(LISTS, name="Home")
    task, gone = (alice.create(TASKS, title=f"as it was {n}") for n in range(2))
    read(alice.http.patch(f"{TASKS}/{task['id']}", json={"title": "changed"}))
    read(alice.http.patch(f"{LISTS}/{home['id']}", json={"name": "House"}))
    made = alice.create(TASKS, title="made")
    assert alice.http.delete(f"{TASKS}/{gone['id']}").status_code == 204
    shorter = "UPDATE journal SET after = replace(after, '+00:00\"', 'Z\"') WHERE owner = ?"
    run_sql(limited, shorter, alice.name)

    for seq in (4, 5, 6, 7):
        read(alice.http.post("/api/v1/undo", json={"seq": seq}))
    kept = stored(limited, alice)

    assert alice.http.get(f"{TASKS}/{made['id']}").status_code == 404
    forget(limited, alice)
    task = alice.create(TASKS, title="makes it count")
    assert alice.http.delete(f"{TASKS}/{task['id']}").status_code == 204
    assert stored(limited, alice) == kept


def test_a_reminder_adds_nothing_to_what_an_account_holds(limited: Service, alice: Person) -> None:
    fill(alice, MAX_TASKS - 2)
    alice.create(TASKS, title="soon", due_at=soon(63), reminders=[1])
    before = stored(limited, alice)

    assert len(wait_reminded(alice.http, MAX_TASKS - 1)) == 1

    assert stored(limited, alice) == before
    alice.create(TASKS, title="the last")


def test_a_deleted_account_holds_nothing(limited: Service, alice: Person) -> None:
    fill(alice, 3)
    assert alice.http.delete("/api/v1/me").status_code == 204

    assert stored(limited, alice) == (0, 0)


def test_without_a_quota_the_counters_are_kept_but_nothing_is_counted(
    sqlite_service: Service, postgres_service: Service
) -> None:
    for service in (sqlite_service, postgres_service):
        with invite(service) as make:
            person = make("carol")
            fill(person, MAX_TASKS + 1)
            assert stored(service, person)[0] == MAX_TASKS + 1
            forget(service, person)
            person.create(TASKS, title="t")
            assert stored(service, person) == (None, None)
