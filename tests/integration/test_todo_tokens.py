"""API tokens: made, limited, revoked, and of no use to whoever reads the database."""

import contextlib
import hashlib
import json
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from tests.integration.service import SECRET, Service, call_admin

PATH = "/api/v1/tokens"
TASKS = "/api/v1/tasks"
ALL = ["admin", "assistant", "delete", "read", "write"]
Open = Callable[[str], httpx.Client]


@pytest.fixture
def connect(service: Service) -> Iterator[Open]:
    """A client for a token."""
    with contextlib.ExitStack() as stack:
        yield lambda token: stack.enter_context(service.client(token))


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4()}"


@pytest.fixture
def owner(service: Service, connect: Open, user: str) -> httpx.Client:
    """A fresh user with a JSON Web Token."""
    return connect(service.token(user))


def make(client: httpx.Client, *scopes: str, **options: object) -> dict[str, Any]:
    response = client.post(PATH, json={"name": "n", "scopes": scopes or ALL, **options})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def run_sql(service: Service, statement: str, *values: str) -> list[tuple[Any, ...]]:
    """Run a statement in the database itself; return its rows."""
    url = service.environment.get("TODO_DATABASE_URL", "")
    if url.startswith("postgresql"):
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
            cursor = connection.execute(statement.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []
    file = service.folder / "data" / "todo-backend" / "todo.db"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        return database.execute(statement, values).fetchall()


def test_a_token_stands_for_its_maker_and_is_shown_once(
    service: Service, owner: httpx.Client, connect: Open, user: str
) -> None:
    made = make(owner, "read", "write", name=" agent's ", agent="tidy/1")
    client = connect(made["token"])
    task = client.post(TASKS, json={"title": "t"}).json()

    assert made["token"].startswith("todo_" + made["id"].replace("-", "") + "_")
    assert made["scopes"] == ["read", "write"]
    assert (made["name"], made["owner"], made["version"]) == ("agent's", user, 1)
    assert task["owner"] == user
    assert owner.get(f"{TASKS}/{task['id']}").json() == task
    shown = owner.get(PATH)
    assert shown.json() == {"items": [{k: v for k, v in made.items() if k != "token"}]}
    secret = made["token"][38:]
    ((stored,),) = run_sql(service, "SELECT hash FROM api_token WHERE id = ?", made["id"])
    assert bytes(stored) == hashlib.sha256(secret.encode()).digest()
    entries = run_sql(
        service,
        "SELECT operation, agent, token_id, after FROM journal WHERE owner = ? ORDER BY seq",
        user,
    )
    assert [(entry[0], entry[1], entry[2] and str(entry[2])) for entry in entries] == [
        ("create", None, None),
        ("create", "tidy/1", made["id"]),
    ]
    assert secret not in json.dumps([entry[3] for entry in entries])
    assert secret not in json.dumps(service.events)


def test_a_revoked_token_is_refused_at_once(owner: httpx.Client, connect: Open) -> None:
    made = make(owner)
    client = connect(made["token"])
    for _ in range(3):
        assert client.get(TASKS).status_code == 200

    assert owner.delete(f"{PATH}/{made['id']}").status_code == 204

    refused = client.get(TASKS)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert client.post(TASKS, json={"title": "t"}).status_code == 401
    assert owner.get(PATH).json() == {"items": []}
    assert owner.delete(f"{PATH}/{made['id']}").status_code == 404


def test_an_expired_token_is_refused(owner: httpx.Client, connect: Open) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1.5)
    made = make(owner, expires_at=end.isoformat())
    client = connect(made["token"])

    assert client.get(TASKS).status_code == 200
    time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 0.1)
    assert client.get(TASKS).status_code == 401


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"list", "read"}),
        ("write", {"create", "change"}),
        ("delete", {"delete"}),
        ("assistant", set()),
        ("admin", {"tokens", "new token"}),
    ],
)
def test_each_scope_allows_its_own(
    owner: httpx.Client, connect: Open, scope: str, allowed: set[str]
) -> None:
    task = f"{TASKS}/{owner.post(TASKS, json={'title': 't'}).json()['id']}"
    client = connect(make(owner, scope)["token"])
    calls = {
        "list": ("GET", TASKS, None),
        "read": ("GET", task, None),
        "create": ("POST", TASKS, {"title": "u"}),
        "change": ("PATCH", task, {"title": "u"}),
        "tokens": ("GET", PATH, None),
        "new token": ("POST", PATH, {"name": "n", "scopes": [scope]}),
        "delete": ("DELETE", task, None),
    }
    answers = {
        name: client.request(method, path, json=body)
        for name, (method, path, body) in calls.items()
    }

    assert {name for name, answer in answers.items() if answer.is_success} == allowed
    refused = [answer for answer in answers.values() if not answer.is_success]
    assert {answer.status_code for answer in refused} == {403}
    assert {answer.json()["code"] for answer in refused} == {"insufficient-scope"}
    assert all("insufficient_scope" in answer.headers["www-authenticate"] for answer in refused)


def test_a_token_grants_no_more_than_its_maker_has(owner: httpx.Client, connect: Open) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds")
    maker = make(
        owner,
        *("admin", "read"),
        agent="maker",
        expires_at=end,
        writes_per_hour=5,
        require_key=True,
        require_match=True,
    )
    client = connect(maker["token"])
    key = {"Idempotency-Key": str(uuid.uuid4())}
    wish = {
        "name": "more",
        "scopes": ["read"],
        "agent": "another",
        "expires_at": "2999-01-01T00:00:00Z",
        "writes_per_hour": 1000,
        "require_key": False,
        "require_match": False,
    }

    refused = client.post(PATH, json={"name": "n", "scopes": ["read", "write"]}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient-scope")
    made = client.post(PATH, json=wish, headers=key).json()

    same = ("agent", "expires_at", "writes_per_hour", "require_key", "require_match")
    assert {name: made[name] for name in same} == {name: maker[name] for name in same}
    narrow = connect(make(owner, "admin")["token"])
    assert narrow.post(PATH, json={"name": "n", "scopes": ["read"]}).status_code == 403


def test_a_token_is_bound_to_a_list_that_its_maker_sees(
    service: Service, owner: httpx.Client, connect: Open
) -> None:
    mine, other = (make_list(owner) for _ in range(2))
    foreign = make_list(connect(service.token(f"user-{uuid.uuid4()}")))
    bound = make(owner, list_id=mine)
    client = connect(bound["token"])

    assert bound["list_id"] == mine
    assert make(client, "read")["list_id"] == mine
    answers = []
    for unseen in (other, foreign, str(uuid.uuid4())):
        answer = client.post(PATH, json={"name": "n", "scopes": ["read"], "list_id": unseen})
        answers.append((answer.status_code, answer.json()["errors"]))
    assert answers == [answers[0]] * 3
    assert answers[0][0] == 422
    free = make(owner)
    assert {item["list_id"] for item in client.get(PATH).json()["items"]} == {mine}
    assert client.delete(f"{PATH}/{free['id']}").status_code == 404
    assert client.get(f"{TASKS}?list={other}").status_code == 404
    assert client.post(TASKS, json={"title": "t", "list_id": mine}).status_code == 201
    assert owner.post(TASKS, json={"title": "t", "list_id": other}).status_code == 201
    assert [task["list_id"] for task in client.get(TASKS).json()["items"]] == [mine]


def make_list(client: httpx.Client) -> str:
    made: str = client.post("/api/v1/lists", json={"name": "l"}).json()["id"]
    return made


def test_changes_are_counted_by_the_hour(
    service: Service, owner: httpx.Client, connect: Open
) -> None:
    made = make(owner, writes_per_hour=3)
    client = connect(made["token"])
    batch = [{"op": "create", "task": {"title": str(number)}} for number in range(3)]
    created = [client.post(TASKS, json={"title": "t"}) for _ in range(2)]
    assert [answer.status_code for answer in created] == [201, 201]
    task = f"{TASKS}/{created[0].json()['id']}"

    too_many = client.post(f"{TASKS}/batch", json={"operations": batch})
    assert too_many.status_code == 429
    assert client.patch(task, json={}).status_code == 200
    assert client.patch(task, json={"title": "u"}).status_code == 200
    refused = client.patch(task, json={"title": "v"})

    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert '"writes";q=3;w=3600' in refused.headers.get_list("ratelimit-policy")
    assert client.get(task).json()["title"] == "u"
    assert len(client.get(TASKS).json()["items"]) == 2
    assert owner.patch(task, json={"title": "w"}).status_code == 200
    earlier = (datetime.now(UTC) - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    hour = earlier.isoformat(timespec="microseconds")
    run_sql(service, "UPDATE api_token SET hour = ? WHERE id = ?", hour, made["id"])
    assert client.patch(task, json={"title": "v"}).status_code == 200
    with service.client(management=True) as management:
        assert 'todo_rate_limited_requests_total{limit="writes"}' in management.get("/metrics").text


def test_no_change_escapes_the_count(service: Service, owner: httpx.Client) -> None:
    token = make(owner, writes_per_hour=5)["token"]

    def create(number: int) -> int:
        with service.client(token) as client:
            return client.post(TASKS, json={"title": str(number)}).status_code

    with ThreadPoolExecutor(12) as threads:
        answers = Counter(threads.map(create, range(24)))

    assert answers == {201: 5, 429: 19}
    assert len(owner.get(TASKS).json()["items"]) == 5


def test_a_token_may_require_keys_and_matches(owner: httpx.Client, connect: Open) -> None:
    client = connect(make(owner, require_key=True, require_match=True)["token"])
    key, match = {"Idempotency-Key": "k"}, {"If-Match": '"1"'}

    assert client.post(TASKS, json={"title": "t"}).status_code == 428
    task = f"{TASKS}/{client.post(TASKS, json={'title': 't'}, headers=key).json()['id']}"
    key = {"Idempotency-Key": "l"}
    assert client.patch(task, json={"title": "u"}, headers=key).status_code == 428
    assert client.patch(task, json={"title": "u"}, headers=match).status_code == 428
    assert client.patch(task, json={"title": "u"}, headers={**key, **match}).status_code == 200


def test_a_repeated_request_makes_one_token_and_does_not_show_it_again(
    service: Service, owner: httpx.Client, user: str
) -> None:
    body = {"name": "n", "scopes": ["read"]}
    key = {"Idempotency-Key": "once"}

    first, second = (owner.post(PATH, json=body, headers=key) for _ in range(2))

    assert second.status_code == 201
    assert second.json() == {**first.json(), "token": None}
    assert len(owner.get(PATH).json()["items"]) == 1
    kept = run_sql(service, "SELECT body FROM idempotency WHERE user_id = ?", user)
    assert first.json()["token"].encode()[38:] not in bytes(kept[0][0])


def test_a_token_of_another_user_looks_like_none_at_all(
    service: Service, owner: httpx.Client, connect: Open
) -> None:
    made = make(owner)
    stranger = connect(service.token(f"user-{uuid.uuid4()}"))
    same = {"X-Request-ID": "same"}

    foreign = stranger.delete(f"{PATH}/{made['id']}", headers=same)
    assert owner.delete(f"{PATH}/{made['id']}", headers={"If-Match": '"2"'}).status_code == 412
    assert owner.delete(f"{PATH}/{made['id']}", headers={"If-Match": '"1"'}).status_code == 204
    absent = stranger.delete(f"{PATH}/{made['id']}", headers=same)

    assert foreign.status_code == 404
    assert foreign.content == absent.content
    assert stranger.get(PATH).json() == {"items": []}


def test_a_user_has_a_bounded_number_of_tokens(owner: httpx.Client) -> None:
    made = [make(owner, "read")["id"] for _ in range(100)]
    body = {"name": "n", "scopes": ["read"]}

    assert owner.post(PATH, json=body).status_code == 409
    assert owner.delete(f"{PATH}/{made[0]}").status_code == 204
    assert owner.post(PATH, json=body).status_code == 201
    assert len(owner.get(PATH).json()["items"]) == 100


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": " ", "scopes": ["read"]}, "name"),
        ({"name": "n"}, "scopes"),
        ({"name": "n", "scopes": []}, "scopes"),
        ({"name": "n", "scopes": ["everything"]}, "scopes.0"),
        ({"name": "n", "scopes": ["read"], "list_id": "x"}, "list_id"),
        ({"name": "n", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "n", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        (
            {"name": "n", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59-12:00"},
            "expires_at",
        ),
        (
            {"name": "n", "scopes": ["read"], "expires_at": "0001-01-01T00:00:00+12:00"},
            "expires_at",
        ),
        ({"name": "n", "scopes": ["read"], "expires_at": 32503680000}, "expires_at"),
        ({"name": "n", "scopes": ["read"], "writes_per_hour": "5"}, "writes_per_hour"),
        ({"name": "n", "scopes": ["read"], "writes_per_hour": 0}, "writes_per_hour"),
        ({"name": "n", "scopes": ["read"], "agent": "a b"}, "agent"),
        ({"name": "n", "scopes": ["read"], "owner": "bob"}, "owner"),
    ],
)
def test_a_token_that_cannot_be_names_the_field(
    owner: httpx.Client, body: dict[str, object], field: str
) -> None:
    response = owner.post(PATH, json=body)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_changed_token_is_refused(owner: httpx.Client, connect: Open) -> None:
    token, other = (make(owner)["token"] for _ in range(2))
    changed = "A" if token[-1] != "A" else "B"
    bad = [
        token[:-1],
        token[:-1] + changed,
        token + "x",
        token.upper(),
        token[:38] + other[38:],
        "todo_" + "0" * 32 + token[37:],
        "todo_",
        "todo_" + "x" * 5000,
        "todo_\x00",
    ]

    for text in bad:
        with contextlib.suppress(httpx.LocalProtocolError):
            assert connect(text).get(TASKS).status_code == 401, text


def test_a_json_web_token_that_says_less_makes_no_tokens(connect: Open, user: str) -> None:
    claims = {"sub": user, "exp": int(time.time()) + 60, "scope": "read write"}
    client = connect(jwt.encode(claims, SECRET, "HS256"))

    assert client.get(TASKS).status_code == 200
    assert client.get(PATH).status_code == 403
    assert client.post(PATH, json={"name": "n", "scopes": ["read"]}).status_code == 403


def find_shown(client: httpx.Client, token_id: str) -> dict[str, Any]:
    return next(each for each in client.get(PATH).json()["items"] if each["id"] == token_id)


def wait_for_use(client: httpx.Client, token_id: str) -> datetime:
    while (shown := find_shown(client, token_id))["last_used_at"] is None:
        time.sleep(0.05)
    return datetime.fromisoformat(shown["last_used_at"])


def test_the_last_use_of_a_token_is_shown(owner: httpx.Client, connect: Open) -> None:
    used, unused = make(owner, "read"), make(owner, "read")
    before = datetime.now(UTC)

    assert connect(used["token"]).get(TASKS).status_code == 200

    assert before <= wait_for_use(owner, used["id"]) <= datetime.now(UTC)
    assert find_shown(owner, unused["id"])["last_used_at"] is None
    assert connect(unused["token"][:-1] + "!").get(TASKS).status_code == 401
    assert find_shown(owner, unused["id"])["last_used_at"] is None


def test_a_use_within_a_minute_of_the_last_one_is_not_stored(
    service: Service, owner: httpx.Client, connect: Open
) -> None:
    token = make(owner, "read")
    client = connect(token["token"])

    def use_after(age_s: int) -> tuple[str, Callable[[], str]]:
        text = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="microseconds")
        change = "UPDATE api_token SET last_used_at = ? WHERE id = ?"
        run_sql(service, change, text, token["id"])
        assert client.get(TASKS).status_code == 200
        return text, lambda: str(find_shown(owner, token["id"])["last_used_at"])

    before, find_stored = use_after(61)
    while datetime.fromisoformat(find_stored()) == datetime.fromisoformat(before):
        time.sleep(0.05)
    before, find_stored = use_after(10)
    # Longer than a use waits before it is stored.
    time.sleep(1)
    assert datetime.fromisoformat(find_stored()) == datetime.fromisoformat(before)


def test_an_operator_lists_the_tokens_of_a_user(
    service: Service, owner: httpx.Client, connect: Open, user: str
) -> None:
    end = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = make(owner, "read", "write", name="tidy\x1b[2J", expires_at=end)
    make(owner, "admin", name="second")
    connect(made["token"]).get(TASKS)
    used = wait_for_use(owner, made["id"])

    done = call_admin(service.environment, "tokens", "--owner", user)
    heading, second, first = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert heading.split() == [
        "id",
        "owner",
        "name",
        "scopes",
        "created",
        "expires",
        "last",
        "used",
    ]
    assert second.split()[1:4] == [user, "second", "admin"]
    assert second.split()[-2:] == ["never", "never"]
    assert first.startswith(f"{made['id']}  {user}  tidy\ufffd[2J  read write  ")
    assert first.endswith(f"  {end[:19]}Z  {used.isoformat()[:19]}Z")
    as_json = call_admin(service.environment, "tokens", "--owner", user, "--json").stdout
    assert [json.loads(line)["name"] for line in as_json.splitlines()] == ["second", made["name"]]
    assert made["token"][38:] not in done.stdout + as_json
    everybody = call_admin(service.environment, "tokens").stdout
    assert made["id"] in everybody
    assert call_admin(service.environment, "tokens", "--owner", "x").stdout == "no API tokens\n"


def test_an_operator_revokes_tokens_and_the_journal_says_so(
    service: Service, owner: httpx.Client, connect: Open, user: str
) -> None:
    one, two, three = (make(owner, name=f"n{number}") for number in range(3))

    unknown = call_admin(service.environment, "revoke", one["id"], "todo_x")
    assert (unknown.returncode, unknown.stdout) == (64, "")
    assert "no API token has the id todo_x" in unknown.stderr
    assert connect(one["token"]).get(TASKS).status_code == 200

    done = call_admin(service.environment, "revoke", one["id"].replace("-", ""))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"revoked {one['id']} (n0, of {user})\n"
    assert connect(one["token"]).get(TASKS).status_code == 401
    assert connect(two["token"]).get(TASKS).status_code == 200

    done = call_admin(service.environment, "revoke", "--owner", user)
    assert done.stdout.count("revoked") == 2
    for token in (two, three):
        assert connect(token["token"]).get(TASKS).status_code == 401
    again = call_admin(service.environment, "revoke", "--owner", user)
    assert (again.returncode, again.stdout) == (0, f"no API tokens of {user}\n")
    entries = run_sql(
        service, "SELECT operation, agent FROM journal WHERE owner = ? ORDER BY seq", user
    )
    assert entries == [("create", None)] * 3 + [("delete", "todo.admin revoke")] * 3
    verified = call_admin(service.environment, "verify", "--owner", user)
    assert verified.returncode == 0, verified.stdout + verified.stderr
