"""Repeated writes: each is executed once, also after crashes."""

import hashlib
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.integration.service import Service, open_folder
from tests.integration.stored import run_sql

if TYPE_CHECKING:
    from tests.integration.cluster import Cluster

PATH = "/api/v1/tasks"
CLIENTS = 50
BODY = {"title": "once", "tags": ["a", "b"], "due_date": "2026-12-24", "reminders": [60]}


class Backend:
    """A service that may be killed: its socket stays, so callers wait instead of being refused."""

    def __init__(self, service: Service, public: socket.socket) -> None:
        self.service = service
        self._public = public
        self.address = f"http://127.0.0.1:{public.getsockname()[1]}"

    def restart(self) -> None:
        self.service.stop(signal.SIGKILL)
        options = {k: v for k, v in self.service.environment.items() if k.startswith("TODO_")}
        self.service = Service(self.service.folder, options, inherited=[self._public])
        self.service.wait_started()

    def client(self, user: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.service.token(user)}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=120, verify=False)  # noqa: S501 - no TLS here


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    options = {"TODO_DATABASE_POOL_SIZE": "10", "TODO_DATABASE_MIGRATE": "startup"}
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("cluster")
        options["TODO_DATABASE_URL"] = cluster.make_database()
    with open_folder() as folder, socket.create_server(("127.0.0.1", 0), backlog=200) as public:
        backend = Backend(Service(folder, options, inherited=[public]), public)
        try:
            backend.service.wait_ready()
            yield backend
        finally:
            backend.service.stop(signal.SIGKILL)


@pytest.fixture
def client(backend: Backend, user: str) -> Iterator[httpx.Client]:
    with backend.client(user) as client:
        yield client


class Crowd:
    """Many clients that send the same request at the same moment, each until it is answered."""

    def __init__(self, backend: Backend, user: str, key: str) -> None:
        self._backend = backend
        self._user = user
        self._headers = {"Idempotency-Key": key}
        # They, and who starts them.
        self._together = threading.Barrier(CLIENTS + 1)
        self.interrupted = 0

    def send(self, meanwhile: Callable[[], None] = lambda: None) -> list[httpx.Response]:
        with ThreadPoolExecutor(CLIENTS) as threads:
            sending = [threads.submit(self._send) for _ in range(CLIENTS)]
            self._together.wait(120)
            meanwhile()
            return [each.result() for each in sending]

    def _send(self) -> httpx.Response:
        with self._backend.client(self._user) as client:
            self._together.wait(120)
            while True:
                try:
                    return client.post(PATH, json=BODY, headers=self._headers)
                except httpx.TransportError:
                    self.interrupted += 1
                    time.sleep(0.02)


def count(backend: Backend, table: str, user: str) -> int:
    column = "user_id" if table == "idempotency" else "owner"
    statement = f"SELECT count(*) FROM {table} WHERE {column} = ?"  # noqa: S608 - names of ours
    ((number,),) = run_sql(backend.service, statement, user)
    return int(number)


def assert_once(backend: Backend, user: str, answers: list[httpx.Response]) -> None:
    assert [answer.status_code for answer in answers] == [201] * len(answers)
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert count(backend, "task", user) == 1
    assert count(backend, "journal", user) == 1
    assert count(backend, "reminder", user) == 1
    assert count(backend, "idempotency", user) == 1


def is_replay(answer: httpx.Response) -> bool:
    return "idempotency-replayed" in answer.headers


def test_fifty_clients_with_one_key_make_one_task(backend: Backend, user: str) -> None:
    answers = Crowd(backend, user, "the key").send()

    assert_once(backend, user, answers)
    assert sum(map(is_replay, answers)) == CLIENTS - 1


def test_killed_in_the_middle_it_is_still_one(backend: Backend) -> None:
    interrupted = []
    for after_s in (0.0, 0.02, 0.05, 0.1, 0.2):
        user = f"user-{uuid.uuid4()}"
        crowd = Crowd(backend, user, "the key")

        def kill(after_s: float = after_s) -> None:
            time.sleep(after_s)
            backend.restart()

        answers = crowd.send(kill)

        assert_once(backend, user, answers)
        # The one that did it may have died before it could say so.
        assert sum(map(is_replay, answers)) >= CLIENTS - 1
        interrupted.append(crowd.interrupted)
    # Some died with their requests under way; otherwise this showed nothing.
    assert any(each > 0 for each in interrupted), interrupted


def test_killed_after_each_answer_nothing_is_done_again(
    backend: Backend, client: httpx.Client, user: str
) -> None:
    headers = {"Idempotency-Key": "k"}
    created = client.post(PATH, json=BODY, headers=headers)
    path = created.headers["location"]
    changes = [
        ("PATCH", path, {"title": "changed"}),
        ("POST", f"{path}/complete", None),
        ("POST", f"{path}/reopen", None),
        ("POST", f"{PATH}/batch", {"operations": [{"op": "create", "task": {"title": "two"}}]}),
        ("DELETE", path, None),
    ]
    for number, (method, address, body) in enumerate(changes):
        key = {"Idempotency-Key": f"k-{number}"}
        first = client.request(method, address, json=body, headers=key)
        assert first.is_success
        journal = count(backend, "journal", user)
        if number % 2 == 0:
            client.close()
            backend.restart()
            client = backend.client(user)
        again = client.request(method, address, json=body, headers=key)

        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert is_replay(again)
        assert not is_replay(first)
        assert count(backend, "journal", user) == journal
    client.close()


def test_the_same_key_with_another_request_is_refused(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    created = client.post(PATH, json=BODY, headers=headers)
    path = created.headers["location"]
    others = [
        client.post(PATH, json={**BODY, "title": "twice"}, headers=headers),
        client.patch(path, json=BODY, headers=headers),
        client.delete(path, headers=headers),
    ]

    assert [answer.status_code for answer in others] == [422] * 3
    assert {answer.json()["code"] for answer in others} == {"idempotency-key-reused"}
    assert len(client.get(PATH).json()["items"]) == 1


def test_each_line_of_a_condition_belongs_to_the_request(client: httpx.Client) -> None:
    path = client.post(PATH, json=BODY).headers["location"]

    def change(*tags: str) -> httpx.Response:
        lines = [("Idempotency-Key", "k"), *(("If-Match", tag) for tag in tags)]
        return client.patch(path, json={"title": "twice"}, headers=lines)

    assert change('"1"', '"7"').status_code == 200
    assert is_replay(change('"1"', '"7"'))
    assert change('"1"', '"8"').json()["code"] == "idempotency-key-reused"
    assert change('"1"').json()["code"] == "idempotency-key-reused"


FIRST = (
    b'{"title": "once \\u00e9/\\ud83d\\ude00", "position": 1, "tags": ["a", "b"],'
    b' "due_at": null, "recurrence_from": "schedule"}'
)
SAME = {
    "the keys in another order": (
        b'{"recurrence_from": "schedule", "tags": ["a", "b"], "due_at": null, "position": 1,'
        b' "title": "once \\u00e9/\\ud83d\\ude00"}'
    ),
    "no blanks": FIRST.replace(b'": ', b'":').replace(b', "', b',"'),
    "lines and tabs": FIRST.replace(b", ", b"\r\n,\t"),
    "blanks around it": b"\n " + FIRST + b"\n",
    "fewer escapes": FIRST.replace(b"\\u00e9", "é".encode()),
    "no surrogates": FIRST.replace(b"\\ud83d\\ude00", "\U0001f600".encode()),
    "more escapes": FIRST.replace(b"once ", b"\\u006fnce\\u0020"),
    "other digits in an escape": FIRST.replace(b"\\u00e9", b"\\u00E9"),
    "an escaped slash": FIRST.replace(b"/", b"\\/"),
    "escapes in a key": FIRST.replace(b'"title"', b'"t\\u0069tle"'),
    "a key twice, whose last value counts": FIRST.replace(b"{", b'{"title": "no", ', 1),
}
OTHER = {
    "another value": FIRST.replace(b"once", b"twice"),
    "another order of an array": FIRST.replace(b'"a", "b"', b'"b", "a"'),
    "a fraction": FIRST.replace(b": 1,", b": 1.0,"),
    "a number as text": FIRST.replace(b": 1,", b': "1",'),
    "a key less": FIRST.replace(b' "due_at": null,', b""),
    "a key more": FIRST.replace(b"{", b'{"priority": "none", ', 1),
    "a key twice, with another last value": FIRST.replace(b"{", b'{"position": 1, ', 1).replace(
        b', "position": 1', b', "position": 2'
    ),
    "letters decomposed": FIRST.replace(b"\\u00e9", b"e\\u0301"),
    "a blank in a text": FIRST.replace(b"once ", b"once  "),
    "the other case": FIRST.replace(b'"a"', b'"A"'),
}


def post(client: httpx.Client, body: bytes, key: str = "k", path: str = PATH) -> httpx.Response:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    return client.post(path, content=body, headers=headers)


@pytest.mark.parametrize("name", SAME)
def test_a_body_that_says_the_same_in_other_letters_is_the_same_request(
    client: httpx.Client, name: str
) -> None:
    first = post(client, FIRST)
    again = post(client, SAME[name])

    assert first.status_code == 201, first.text
    assert again.status_code == 201, again.text
    assert is_replay(again)
    assert again.content == first.content


@pytest.mark.parametrize("name", OTHER)
def test_a_body_that_says_something_else_is_another_request(
    client: httpx.Client, name: str
) -> None:
    post(client, FIRST)
    # What is not acceptable by itself is refused before anybody looks for its key.
    code = "validation-failed" if name == "a number as text" else "idempotency-key-reused"

    answer = post(client, OTHER[name])

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code


def test_objects_within_a_batch_may_have_their_keys_in_another_order_too(
    client: httpx.Client,
) -> None:
    path = f"{PATH}/batch"
    one = b'{"operations":[{"op":"create","task":{"title":"t","tags":["a"],"due_date":null}}]}'
    same = b'{"operations":[{"task":{"due_date":null,"tags":["a"],"title":"t"},"op":"create"}]}'
    other = b'{"operations":[{"task":{"due_date":null,"tags":["b"],"title":"t"},"op":"create"}]}'
    first = post(client, one, path=path)

    assert is_replay(post(client, same, path=path))
    assert post(client, same, path=path).content == first.content
    assert post(client, other, path=path).json()["code"] == "idempotency-key-reused"


def test_what_comes_with_an_operation_without_a_body_is_compared_as_it_came(
    client: httpx.Client,
) -> None:
    path = f"{post(client, FIRST).headers['location']}/complete"

    for number, body in enumerate((b"", b"not JSON", b"[" * 5000, b"\xff")):
        assert post(client, body, f"c-{number}", path).status_code == 200
        assert is_replay(post(client, body, f"c-{number}", path))
        assert post(client, body + b"x", f"c-{number}", path).status_code == 422


def test_a_key_from_before_the_upgrade_knows_its_request(
    backend: Backend, client: httpx.Client, user: str
) -> None:
    first = post(client, FIRST)
    head = f"POST {PATH}?\n{None}\n\n".encode()
    run_sql(
        backend.service,
        "UPDATE idempotency SET fingerprint = ? WHERE user_id = ?",
        hashlib.sha256(head + FIRST).digest(),
        user,
    )

    again = post(client, FIRST)
    assert is_replay(again)
    assert again.content == first.content
    assert post(client, OTHER["another value"]).json()["code"] == "idempotency-key-reused"


def test_a_key_is_of_its_user_alone(backend: Backend, client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    mine = client.post(PATH, json=BODY, headers=headers).json()
    with backend.client(f"user-{uuid.uuid4()}") as other:
        theirs = other.post(PATH, json=BODY, headers=headers)

    assert not is_replay(theirs)
    assert theirs.json()["id"] != mine["id"]


def test_a_refused_request_leaves_its_key_free(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}

    assert client.post(PATH, json={"title": ""}, headers=headers).status_code == 422
    absent = f"{PATH}/{uuid.uuid4()}"
    assert client.patch(absent, json={"title": "t"}, headers=headers).status_code == 404
    assert client.post(PATH, json=BODY, headers=headers).status_code == 201


@pytest.mark.parametrize(("hours", "replayed"), [(23.9, True), (24.1, False)])
def test_an_answer_is_kept_for_24_hours(
    backend: Backend, client: httpx.Client, user: str, hours: float, *, replayed: bool
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post(PATH, json=BODY, headers=headers)
    then = datetime.now(UTC) - timedelta(hours=hours)
    run_sql(
        backend.service,
        "UPDATE idempotency SET created_at = ? WHERE user_id = ?",
        then.isoformat(timespec="microseconds"),
        user,
    )
    again = client.post(PATH, json=BODY, headers=headers)

    assert is_replay(again) is replayed
    assert (again.content == first.content) is replayed
    assert count(backend, "task", user) == (1 if replayed else 2)
    # With the time over, the key is good for another request as well.
    if not replayed:
        assert is_replay(client.post(PATH, json=BODY, headers=headers))


def test_keys_whose_time_is_over_are_removed_by_later_writes(
    backend: Backend, client: httpx.Client, user: str
) -> None:
    for number in range(5):
        client.post(PATH, json=BODY, headers={"Idempotency-Key": f"k-{number}"})
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="microseconds")
    run_sql(backend.service, "UPDATE idempotency SET created_at = ? WHERE user_id = ?", old, user)

    assert client.post(PATH, json=BODY, headers={"Idempotency-Key": "new"}).status_code == 201
    assert count(backend, "idempotency", user) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    answer = client.post(PATH, json=BODY, headers=[(b"Idempotency-Key", key.encode())])

    assert answer.status_code == 400
    assert client.get(PATH).json()["items"] == []
