"""API tokens: made, limited, revoked, and of no use to a reader of the database."""

import contextlib
import hashlib
import json
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from tests.integration.service import SECRET, Service
from tests.integration.stored import run_sql
from tests.integration.tokens import PATH, TASKS, Open, make


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
