"""Reminders that fall due arrive as events, once, on both databases."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.integration.cluster import Cluster
from tests.integration.service import open_service
from tests.integration.users import TASKS, Person, invite, read
from tests.machine_clock import CLOCK, find_slowness_by_load

CHANGES = "/api/v1/changes"


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def wait_reminded(http: httpx.Client, since: int, timeout_s: float = 120) -> list[dict[str, Any]]:
    """Return the reminders after a number, once there is one."""
    deadline = CLOCK.now() + timeout_s
    while CLOCK.now() < deadline:
        items = read(http.get(CHANGES, params={"since": since}))["items"]
        found = [change for change in items if change["operation"] == "remind"]
        if found:
            return found
        time.sleep(0.1)
    return []


def test_a_task_that_is_due_in_a_moment_reminds(alice: Person) -> None:
    task = alice.create(TASKS, title="now", due_at=soon(65), reminders=[1, 60])

    (reminded,) = wait_reminded(alice.http, 1)
    late = datetime.fromisoformat(reminded["at"]) - datetime.fromisoformat(task["due_at"])

    assert (reminded["id"], reminded["after"]) == (task["id"], task)
    assert (
        timedelta() <= late + timedelta(minutes=1) < timedelta(seconds=8 * find_slowness_by_load())
    )
    entry = read(alice.http.get("/api/v1/journal"))["items"][0]
    assert (entry["agent"], entry["before"]) == ("reminders", None)


def test_what_is_done_moved_or_past_does_not_remind(alice: Person) -> None:
    at = soon(67)
    done, moved, gone, past, kept = (
        alice.create(TASKS, title=title, due_at=at, reminders=[1])
        for title in ("done", "moved", "gone", "past", "kept")
    )
    read(alice.http.post(f"{TASKS}/{done['id']}/complete"))
    read(alice.http.patch(f"{TASKS}/{moved['id']}", json={"due_at": soon(3600)}))
    read(alice.http.patch(f"{TASKS}/{past['id']}", json={"due_at": soon(30)}))
    alice.http.delete(f"{TASKS}/{gone['id']}")

    assert [change["id"] for change in wait_reminded(alice.http, 5)] == [kept["id"]]


def test_of_several_processes_one_reminds(cluster: Cluster) -> None:
    options = {"TODO_DATABASE_URL": cluster.make_database(), "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as one, open_service(options) as other, invite(one) as make:
        one.wait_ready()
        other.wait_ready()
        people = [make(f"user-{number}") for number in range(5)]
        for person in people:
            for number in range(5):
                person.create(TASKS, title=f"t{number}", due_at=soon(3600), reminders=[1])
        cluster.query(options["TODO_DATABASE_URL"], "UPDATE reminder SET fire_at = now()")

        for person in people:
            assert wait_reminded(person.http, 5)
        time.sleep(1)
        for person in people:
            assert len(wait_reminded(person.http, 5)) == 5


def test_what_fell_due_while_nobody_looked_is_delivered_late(cluster: Cluster) -> None:
    url = cluster.make_database()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service, invite(service) as make:
        service.wait_ready()
        alice = make("alice")
        alice.create(TASKS, title="t", due_at=soon(600), reminders=[1])
        service.stop()
        cluster.query(url, "UPDATE reminder SET fire_at = now() - interval '1 day'")
        token = alice.http.headers["authorization"].removeprefix("Bearer ")
    with open_service(options) as service, service.client(token) as http:
        service.wait_ready()
        assert len(wait_reminded(http, 1)) == 1
