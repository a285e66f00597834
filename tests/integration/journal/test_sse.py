"""Server-sent events: changes as they happen, to those who may see them."""

import contextlib
import json
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_service
from tests.integration.users import LISTS, TASKS, Person, invite
from tests.machine_clock import CLOCK, wait_until

EVENTS = "/api/v1/events"


class Listener:
    """One stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        self.read()

    def read(self) -> dict[str, str]:
        """Return the fields of the next event; of a stream that ended, none."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        return fields

    def next(self) -> tuple[int, str, dict[str, Any]]:
        """Return number, operation and change of the next event."""
        fields = self.read()
        return int(fields["id"]), fields["event"], json.loads(fields["data"])


@contextlib.contextmanager
def listen(
    person: Person, headers: dict[str, str] | None = None, **query: str | int
) -> Iterator[Listener]:
    with person.http.stream("GET", EVENTS, params=query, headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Listener(response)


def test_a_change_is_told_as_it_happens(alice: Person) -> None:
    alice.create(TASKS, title="before")
    with listen(alice) as events:
        task = alice.create(TASKS, title="Grüße\n🦊", description="a\nb")
        began = CLOCK.now()
        seq, operation, change = events.next()
        took_s = CLOCK.now() - began

        assert (seq, operation, change["after"]) == (2, "create", task)
        alice.http.delete(f"{TASKS}/{task['id']}")
        assert events.next()[:2] == (3, "delete")
    assert took_s < 1


def test_a_stream_goes_on_where_it_was_cut_off(alice: Person) -> None:
    for number in range(4):
        alice.create(TASKS, title=f"t{number}")

    with listen(alice, {"Last-Event-ID": "2"}, since=0) as events:
        assert [events.next()[0], events.next()[0]] == [3, 4]
    with listen(alice, since=3) as events:
        assert events.next()[0] == 4
        page = alice.http.get("/api/v1/changes", params={"since": 4}).json()
        assert page["items"] == []


@pytest.mark.parametrize("last", ["5", "-1", "x", "9" * 30])
def test_an_id_that_the_journal_cannot_have_is_refused(alice: Person, last: str) -> None:
    response = alice.http.get(EVENTS, headers={"Last-Event-ID": last})

    assert response.status_code == 422


def test_others_hear_nothing_but_of_lists_that_are_shared(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    assert bob.http.get(EVENTS, params={"list": home["id"]}).status_code == 404
    alice.share(home["id"], bob, "read")

    with listen(bob, list=home["id"]) as of_list, listen(bob) as of_bob:
        alice.create(TASKS, title="private")
        shared = alice.create(TASKS, title="shared", list_id=home["id"])
        assert of_list.next()[2]["after"] == shared

        alice.http.delete(f"{LISTS}/{home['id']}/shares/{bob.name}")
        alice.create(TASKS, title="secret", list_id=home["id"])
        assert of_list.read() == {}

        own = bob.create(TASKS, title="own")
        assert of_bob.next()[2]["after"] == own


def test_a_revoked_token_hears_nothing_more(service: Service, alice: Person) -> None:
    issued = alice.create("/api/v1/tokens", name="listener", scopes=["read"])
    with (
        service.client(issued["token"]) as http,
        http.stream("GET", EVENTS, params={"since": 0}) as response,
    ):
        events = Listener(response)
        assert events.next()[2]["kind"] == "token"
        alice.http.delete(f"/api/v1/tokens/{issued['id']}")
        assert events.read() == {}


def test_a_user_has_a_bounded_number_of_streams(service: Service, alice: Person) -> None:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(listen(alice)) for _ in range(10)]
        refused = alice.http.get(EVENTS)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
        with service.client(management=True) as management:
            assert 'todo_streams{kind="events"} 10.0' in management.get("/metrics").text
        del streams

    with service.client(management=True) as management:
        wait_until(
            lambda: 'todo_streams{kind="events"} 0.0' in management.get("/metrics").text,
            "closed",
            within_s=60,
        )
    with listen(alice):
        pass


def test_changes_of_another_process_arrive(cluster: Cluster) -> None:
    options = {"TODO_DATABASE_URL": cluster.make_database(), "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as one, open_service(options) as other:
        one.wait_ready()
        other.wait_ready()
        with invite(one) as make, other.client(one.token("carol")) as http:
            carol = make("carol")
            carol.http.headers["authorization"] = http.headers["authorization"]
            with listen(carol) as events:
                for number in range(3):
                    response = http.post(TASKS, json={"title": f"t{number}"})
                    began = CLOCK.now()
                    assert events.next()[2]["after"] == response.json()
                    assert CLOCK.now() - began < 5


def test_open_streams_end_in_order_when_the_process_stops() -> None:
    with open_service({}) as service, invite(service) as make:
        service.wait_ready()
        people = [make("alice"), make("bob")]
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(listen(person)) for person in people * 5]
            began = CLOCK.now()
            service.process.send_signal(signal.SIGTERM)
            ends = [events.read() for events in streams]
            code = service.process.wait()
            took_s = CLOCK.now() - began

    assert (ends, code) == ([{}] * 10, 0)
    assert took_s < 2
