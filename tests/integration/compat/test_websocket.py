import json
import signal
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.service import SECRET, Service, open_service
from tests.integration.sockets import Socket, connect, open_socket
from tests.integration.users import LISTS, TASKS, Person, read
from tests.machine_clock import CLOCK, wait_until
from todo.auth.tokens import TokenVerifier


def token_of(person: Person) -> str:
    return str(person.http.headers["authorization"]).removeprefix("Bearer ")


def path_of(person: Person) -> str:
    return f"/ws/tasks/{person.name}"


def header_of(person: Person) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {token_of(person)}".encode())]


@pytest.fixture
def page(service: Service, alice: Person) -> Iterator[Socket]:
    """A page of alice's that is connected."""
    with open_socket(service, path_of(alice), headers=header_of(alice)) as page:
        assert page.read()["type"] == "connected"
        yield page


def test_a_page_hears_of_tasks_as_its_front_end_knows_them(alice: Person, page: Socket) -> None:
    home = f"/api/{alice.name}/tasks"
    task = alice.create(home, title="t", due_date="2031-05-06T07:08")
    path = f"{home}/{task['id']}"

    created = page.read()
    assert (created["type"], created["task"], created["task_id"]) == (
        "task_created",
        task,
        task["id"],
    )
    done = read(alice.http.patch(f"{path}/complete"))
    updated = page.read()
    assert (updated["type"], updated["task"]) == ("task_updated", done)
    assert updated["timestamp"] == done["updated_at"]
    assert alice.http.delete(path).status_code == 200
    deleted = page.read()
    assert (deleted["type"], deleted["task_id"]) == ("task_deleted", task["id"])
    assert [created["seq"] + 1, updated["seq"] + 1] == [updated["seq"], deleted["seq"]]


def test_a_page_hears_of_what_comes_back(alice: Person, page: Socket) -> None:
    task = alice.create(TASKS, title="t")
    alice.http.delete(f"{TASKS}/{task['id']}", headers={"X-Run-Id": "r"})
    read(alice.http.post("/api/v1/undo", json={"run_id": "r"}))

    told = [page.read()["type"] for _ in range(4)]

    assert told == ["task_created", "task_deleted", "task_deleted", "task_created"]


def test_a_page_hears_of_nothing_but_own_tasks(alice: Person, bob: Person, page: Socket) -> None:
    bob.create(TASKS, title="t")
    list_id = alice.create(LISTS, name="Home")["id"]
    alice.share(list_id, bob, "write")
    task = bob.create(TASKS, title="u", list_id=list_id)

    assert page.read()["task"]["title"] == task["title"]
    assert page.is_silent(1)


def test_the_token_may_come_as_a_subprotocol(service: Service, alice: Person) -> None:
    with open_socket(service, path_of(alice), protocols=["bearer", token_of(alice)]) as page:
        assert page.protocol == "bearer"
        assert page.read() == {"type": "connected", "user_id": alice.name, "seq": 0}


def test_the_token_may_come_as_the_first_message(service: Service, alice: Person) -> None:
    with open_socket(service, path_of(alice)) as page:
        page.send({"type": "auth", "token": token_of(alice)})
        assert page.read()["type"] == "connected"
        alice.create(TASKS, title="t")
        assert page.read()["type"] == "task_created"


@pytest.mark.parametrize(
    "message",
    ["", "{", "hello", "[]", {"type": "auth"}, {"type": "auth", "token": 5}]
    + [{"type": "auth", "token": each} for each in ("", "x.y.z", "é", "x" * 5000)],
)
def test_without_a_good_token_the_socket_closes(
    service: Service, alice: Person, message: object
) -> None:
    with open_socket(service, path_of(alice)) as page:
        page.send(message)
        assert page.read_end()[0] == 4401
    assert service.process.poll() is None


def test_a_token_in_the_address_is_none(service: Service, alice: Person) -> None:
    with open_socket(service, f"{path_of(alice)}?token={token_of(alice)}") as page:
        page.send("hello")
        assert page.read_end()[0] == 4401
    assert token_of(alice) not in json.dumps(service.events) + service.errors


@pytest.mark.parametrize("protocols", [["bearer"], ["bearer", "x.y.z"]])
def test_a_bad_subprotocol_closes(service: Service, alice: Person, protocols: list[str]) -> None:
    with open_socket(service, path_of(alice), protocols=protocols) as page:
        assert page.read_end()[0] == 4401


def test_another_user_in_the_address_is_refused_without_a_hint(
    service: Service, alice: Person, bob: Person
) -> None:
    ends = []
    for name in (alice.name, f"nobody-{uuid.uuid4()}"):
        with open_socket(service, f"/ws/tasks/{name}", headers=header_of(bob)) as page:
            ends.append(page.read_end())

    assert ends[0] == ends[1]
    assert ends[0][0] == 4403


def test_a_token_that_may_not_read_is_refused(service: Service, alice: Person) -> None:
    made = alice.create("/api/v1/tokens", name="t", scopes=["write"])
    header = [(b"authorization", f"Bearer {made['token']}".encode())]
    with open_socket(service, path_of(alice), headers=header) as page:
        assert page.read_end()[0] == 4403


def test_a_revoked_token_hears_no_more(service: Service, alice: Person) -> None:
    made = alice.create("/api/v1/tokens", name="t", scopes=["read"])
    header = [(b"authorization", f"Bearer {made['token']}".encode())]
    with open_socket(service, path_of(alice), headers=header) as page:
        assert page.read()["type"] == "connected"
        assert alice.http.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
        alice.create(TASKS, title="t")
        assert page.read_end()[0] == 4401


def test_an_expired_token_hears_no_more(service: Service, alice: Person) -> None:
    # Ten seconds of difference between clocks are tolerated.
    token = TokenVerifier(SECRET.encode()).issue(alice.name, lifetime_s=-5)
    with open_socket(service, path_of(alice), protocols=["bearer", token]) as page:
        assert page.read()["type"] == "connected"
        time.sleep(6)
        alice.create(TASKS, title="t")
        assert page.read_end()[0] == 4401


def test_a_token_for_one_list_hears_of_that_list(service: Service, alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    made = alice.create("/api/v1/tokens", name="t", scopes=["read"], list_id=list_id)
    header = [(b"authorization", f"Bearer {made['token']}".encode())]
    with open_socket(service, path_of(alice), headers=header) as page:
        assert page.read()["type"] == "connected"
        alice.create(TASKS, title="elsewhere")
        alice.create(TASKS, title="there", list_id=list_id)
        assert page.read()["task"]["title"] == "there"


def test_a_ping_is_answered(page: Socket) -> None:
    page.send("ping")
    page.send({"type": "ping"})
    page.send("whatever")

    assert [page.read(), page.read()] == [{"type": "pong"}, {"type": "pong"}]


def test_a_user_has_a_bounded_number_of_pages(service: Service, alice: Person) -> None:
    def is_refused() -> bool:
        with open_socket(service, path_of(alice), headers=header_of(alice)) as page:
            return page.read_first() == 4429

    pages = [Socket(connect(service), path_of(alice), header_of(alice)) for _ in range(20)]
    assert {page.read()["type"] for page in pages} == {"connected"}
    assert is_refused()

    for page in pages:
        page.close()
    wait_until(lambda: not is_refused(), "accepted again", within_s=60)


def test_what_is_no_handshake_is_refused(service: Service, alice: Person) -> None:
    with service.client(token_of(alice)) as client:
        plain = client.get(path_of(alice))
        lacking = client.get(
            path_of(alice), headers={"Connection": "Upgrade", "Upgrade": "websocket"}
        )
    assert plain.status_code == 404
    assert lacking.status_code == 400


def test_an_unknown_address_is_refused(service: Service) -> None:
    with pytest.raises(ConnectionRefusedError), open_socket(service, "/ws/nothing"):
        pass


def test_a_long_message_ends_the_connection_alone(service: Service, page: Socket) -> None:
    page.send("x" * 100_000)

    assert page.read_end()[0] == 1009
    assert service.process.poll() is None


def test_open_pages_are_counted_and_logged(service: Service, alice: Person) -> None:
    def count() -> float:
        with service.client(management=True) as management:
            lines = management.get("/metrics").text.splitlines()
        (line,) = [each for each in lines if each.startswith('todo_streams{kind="websocket"}')]
        return float(line.split()[1])

    with open_socket(service, path_of(alice), headers=header_of(alice)) as page:
        page.read()
        assert count() >= 1
    service.wait_for("websocket")
    (event, *_) = [each for each in service.events if each["message"] == "websocket"]
    assert event["route"] == "/ws/tasks/{user_id:path}"
    assert alice.name not in json.dumps(event)


def test_pages_are_closed_in_order_when_the_service_stops() -> None:
    with open_service({}) as service:
        service.wait_ready()
        header = [(b"authorization", f"Bearer {service.token('alice')}".encode())]
        with (
            open_socket(service, "/ws/tasks/alice", headers=header) as page,
            open_socket(service, "/ws/tasks/alice") as waiting,
        ):
            assert page.read()["type"] == "connected"
            began = CLOCK.now()
            service.process.send_signal(signal.SIGTERM)
            assert page.read_end()[0] == 1001
            assert waiting.read_end()[0] == 1001
            assert service.process.wait() == 0
        assert CLOCK.now() - began < 4
        assert service.errors == ""


def test_a_page_that_reads_nothing_holds_nobody_up(service: Service, alice: Person) -> None:
    with open_socket(service, path_of(alice), headers=header_of(alice)) as page:
        page.read()
        for _ in range(20):
            alice.http.post(TASKS, json={"title": "t", "description": "x" * 10_000})
        with service.client(token_of(alice)) as client:
            assert client.get(TASKS).status_code == httpx.codes.OK
