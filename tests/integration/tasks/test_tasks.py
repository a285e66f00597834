import json
import uuid
from typing import Any

import httpx
import pytest

from tests.integration.service import Service
from tests.integration.users import MakeClient

PATH = "/api/v1/tasks"


def create(client: httpx.Client, title: str = "buy milk") -> dict[str, Any]:
    response = client.post(PATH, json={"title": title})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def test_a_created_task_is_at_its_location(client: httpx.Client) -> None:
    response = client.post(PATH, json={"title": "  Grüße 🦊 ", "description": "a\nb"})

    assert response.status_code == 201
    body = response.json()
    assert body["title"] == "Grüße 🦊"
    assert body["is_completed"] is False
    assert body["created_at"].endswith("+00:00")
    assert uuid.UUID(body["id"]).version == 7
    assert response.headers["location"] == f"{PATH}/{body['id']}"
    assert client.get(response.headers["location"]).json() == body


def test_pages_show_every_task_once_newest_first(client: httpx.Client) -> None:
    created = [create(client, f"task {number}")["id"] for number in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get(PATH, params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == created[::-1]


def test_the_last_full_page_has_no_successor(client: httpx.Client) -> None:
    create(client)
    create(client)

    assert client.get(PATH, params={"limit": 2}).json()["next_cursor"] is None


def test_the_list_filters_by_completion(client: httpx.Client) -> None:
    done, open_ = create(client)["id"], create(client)["id"]
    client.post(f"{PATH}/{done}/complete")

    def ids(status: str) -> list[str]:
        page = client.get(PATH, params={"status": status}).json()
        return [item["id"] for item in page["items"]]

    assert ids("completed") == [done]
    assert ids("open") == [open_]


def test_patch_tells_absent_from_null(client: httpx.Client) -> None:
    path = client.post(PATH, json={"title": "t", "description": "d"}).headers["location"]

    renamed = client.patch(path, json={"title": "u"}).json()
    cleared = client.patch(path, json={"description": None}).json()

    assert (renamed["title"], renamed["description"]) == ("u", "d")
    assert (cleared["title"], cleared["description"]) == ("u", None)
    assert client.patch(path, json={"title": None}).status_code == 422
    assert client.patch(path, json={}).json() == cleared


def test_a_word_for_a_truth_value_is_refused(client: httpx.Client) -> None:
    task = client.post("/api/v1/tasks", json={"title": "t"}).json()
    answer = client.patch(f"/api/v1/tasks/{task['id']}", json={"is_completed": "yes"})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.json()["errors"][0]["field"] == "is_completed"


def test_completing_twice_changes_nothing(client: httpx.Client) -> None:
    path = f"{PATH}/{create(client)['id']}"

    first = client.post(f"{path}/complete").json()
    second = client.post(f"{path}/complete").json()
    reopened = client.patch(path, json={"is_completed": False}).json()

    assert first["is_completed"] is True
    assert second == first
    assert (reopened["is_completed"], reopened["completed_at"]) == (False, None)


def test_a_deleted_task_is_gone(client: httpx.Client) -> None:
    path = f"{PATH}/{create(client)['id']}"

    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert client.get(PATH).json()["items"] == []


def test_another_owners_task_looks_like_none_at_all(make_client: MakeClient) -> None:
    alice, mallory = make_client(), make_client()
    path = f"{PATH}/{create(alice)['id']}"
    headers = {"X-Request-ID": "same"}
    calls = [
        ("GET", path, None),
        ("PATCH", path, {"title": "mine"}),
        ("DELETE", path, None),
        ("POST", f"{path}/complete", None),
    ]

    foreign = [mallory.request(m, p, json=body, headers=headers) for m, p, body in calls]
    assert alice.get(path).json()["title"] == "buy milk"
    assert alice.delete(path).status_code == 204
    absent = [mallory.request(m, p, json=body, headers=headers) for m, p, body in calls]

    assert [answer.status_code for answer in foreign] == [404] * 4
    assert [answer.content for answer in foreign] == [answer.content for answer in absent]
    assert mallory.get(PATH).json()["items"] == []


BAD_BODIES = {
    "not JSON": (b"{", 400, None),
    "not UTF-8": (b'{"title": "\xff"}', 400, None),
    "nested too deeply": (b"[" * 150_000, 400, None),
    "a NUL": (b'{"title": "a\\u0000b"}', 422, "title"),
    "a lone surrogate": (b'{"title": "\\ud800"}', 422, "title"),
    "empty title": (b'{"title": ""}', 422, "title"),
    "blank title": (b'{"title": "  "}', 422, "title"),
    "long title": (json.dumps({"title": "x" * 256}).encode(), 422, "title"),
    "long description": (
        json.dumps({"title": "t", "description": "x" * 10_001}).encode(),
        422,
        "description",
    ),
    "no title": (b"{}", 422, "title"),
    "a number": (b'{"title": 5}', 422, "title"),
    "an unknown field": (b'{"title": "t", "owner": "bob"}', 422, "owner"),
    "a list": (b"[]", 422, ""),
    "a huge number": (b'{"title": ' + b"9" * 10_000 + b"}", 400, None),
    "more than 192 KiB": (b'{"title": "' + b"x" * 192 * 1024 + b'"}', 413, None),
    "many keys": (json.dumps(dict.fromkeys(map(str, range(65)))).encode(), 422, ""),
    "many values": (json.dumps({"title": "t", "tags": [1] * 5000}).encode(), 422, ""),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_a_problem_of_the_caller(client: httpx.Client, name: str) -> None:
    body, status, field = BAD_BODIES[name]

    response = client.post(PATH, content=body, headers={"content-type": "application/json"})

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    if field is not None:
        assert [error["field"] for error in problem["errors"]] == [field]
    assert client.get(PATH).json()["items"] == []


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        ({"op": "create", "task": {"title": ""}}, ".task.title"),
        ({"op": "create"}, ".task"),
        ({"op": "create", "task": {"title": "t", "due_zone": "Mars/Olympus"}}, ".task.due_zone"),
        ({"op": "update", "id": "x", "task": {}}, ".id"),
        ({"op": "complete", "id": str(uuid.UUID(int=1)), "create": 1}, ".create"),
        ({"op": "undo"}, ""),
        ({"op": "create", "create": {"tags": []}, "task": {"title": "t"}}, ".create"),
        ({"op": "create", "task": {"title": "x", "tags": ["a", 5]}}, ".task.tags.1"),
    ],
    ids=str,
)
def test_a_bad_operation_of_a_batch_is_named_by_its_place(
    client: httpx.Client, operation: dict[str, Any], place: str
) -> None:
    batch = {"operations": [{"op": "create", "task": {"title": "t"}}, operation]}

    response = client.post(f"{PATH}/batch", json=batch)

    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [f"operations.1{place}"]
    assert client.get(PATH).json()["items"] == []


def test_two_tokens_are_one_too_many(client: httpx.Client) -> None:
    request = client.build_request("GET", PATH)
    request.headers = httpx.Headers([*request.headers.raw, (b"authorization", b"Bearer other")])

    assert client.send(request).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=AAAA", "cursor=é", "completed=7"],
)
def test_a_bad_query_names_the_parameter(client: httpx.Client, query: str) -> None:
    response = client.get(f"{PATH}?{query}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("due_date", 1764028800),
        ("due_date", "1764028800"),
        ("due_date", "2026-11-25T00:00:00Z"),
        ("due_at", 1764028800),
        ("due_at", "1764028800"),
        ("due_at", "0001-01-01T00:00:00+14:00"),
        ("due_at", "2026-11-25T10:00:00"),
        ("position", "5"),
        ("position", True),
        ("reminders", ["5"]),
    ],
)
def test_one_type_does_not_pass_for_another(
    client: httpx.Client, field: str, value: object
) -> None:
    answer = client.post(PATH, json={"title": "t", field: value})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].partition(".")[0] == field


@pytest.mark.parametrize("name", ["due_from", "due_to", "updated_since"])
@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "7"])
def test_a_time_that_no_zone_can_show_is_refused(
    client: httpx.Client, name: str, value: str
) -> None:
    answer = client.get(PATH, params={name: value})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name)


@pytest.mark.parametrize("task_id", ["1", "%00", "nil", "..%2f.."])
def test_a_bad_id_is_refused(client: httpx.Client, task_id: str) -> None:
    assert client.get(f"{PATH}/{task_id}").status_code in {404, 422}


def test_unknown_routes_and_methods_are_problems(client: httpx.Client) -> None:
    missing, wrong = client.get("/api/v1/nothing"), client.put(PATH)

    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "header", [None, "Basic YTpi", "Bearer", "Bearer x.y.z", "Bearer " + "[" * 9000]
)
def test_without_a_good_token_there_is_nothing(service: Service, header: str | None) -> None:
    with service.client() as client:
        response = client.get(PATH, headers={"Authorization": header} if header else {})

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.json()["detail"] == "A valid bearer token is required."


def test_the_request_id_is_accepted_when_sane(client: httpx.Client) -> None:
    sane = client.get(PATH, headers={"X-Request-ID": "abc-1"})
    odd = client.get(PATH, headers={"X-Request-ID": 'x"} {'})

    assert sane.headers["x-request-id"] == "abc-1"
    assert uuid.UUID(odd.headers["x-request-id"]).version == 7


def test_metrics_are_on_the_management_socket_only(service: Service, client: httpx.Client) -> None:
    client.get(f"{PATH}/{uuid.uuid4()}")
    with service.client(management=True) as management:
        text = management.get("/metrics").text

    assert 'method="GET",route="/api/v1/tasks/{task_id}",status="4xx"' in text
    assert 'todo_breaker_state{breaker="database",state="closed"} 1.0' in text
    assert "todo_build_info" in text
    assert client.get("/metrics").status_code == 404


def test_the_log_has_one_json_line_a_request_and_no_secret(
    service: Service, client: httpx.Client
) -> None:
    token = client.headers["authorization"].removeprefix("Bearer ")
    client.get(f"{PATH}?cursor={token[:60]}", headers={"X-Request-ID": "find-me"})
    # The answer goes out before the line does.
    service.wait_for("find-me")

    events = [event for event in service.events if event.get("request_id") == "find-me"]
    assert len(events) == 1
    wanted = {"timestamp", "level", "logger", "message", "request_id", "method", "route"}
    traced = {"trace_id", "span_id"}
    assert set(events[0]) == wanted | traced | {"status", "duration_ms", "client"}
    assert (events[0]["route"], events[0]["status"]) == (PATH, 422)
    assert token[:60] not in json.dumps(service.events)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/health"])
def test_health_is_public_and_quiet(client: httpx.Client, path: str) -> None:
    assert client.get(path).json() == {"status": "ok"}
    asked = client.head(path)
    assert (asked.status_code, asked.content) == (httpx.codes.OK, b"")


def test_a_body_without_the_type_of_json_is_told_so(client: httpx.Client) -> None:
    answer = client.post(PATH, content=b'{"title": "t"}')

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "Content-Type: application/json" in answer.json()["errors"][0]["message"]


def test_no_completed_task_is_overdue(client: httpx.Client) -> None:
    late = client.post(PATH, json={"title": "late", "due_date": "2020-01-01"}).json()
    done = client.post(PATH, json={"title": "done", "due_date": "2020-01-01"}).json()
    client.patch(f"{PATH}/{done['id']}", json={"is_completed": True})

    def find(**asked: str) -> list[str]:
        page = client.get(PATH, params={"due": "overdue", **asked}).json()
        assert page["next_cursor"] is None
        return [task["id"] for task in page["items"]]

    assert find() == find(status="open") == [late["id"]]
    assert find(status="completed") == []
