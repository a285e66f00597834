"""Every operation of the API on a million tasks, as requests of the accounts there."""

import uuid
from collections.abc import Callable

from tests.integration.bulk_data import BIG, GUEST, LIST, PARENT, RARE, RUN, TAG
from tests.integration.db.plan_world import World
from tests.integration.users import LISTS, TASKS, read

ASSISTANT = "/api/v1/assistant"
CONVERSATIONS = "/api/v1/conversations"
PLANS = "/api/v1/plans"
NO_TOKEN = str(uuid.UUID(int=0))

Scenario = Callable[[World], None]


def _tasks(world: World) -> None:
    world.make(title="New", tags=["one", "two"], due_date="2026-12-01", reminders=[10])
    world.make(title="Listed", list_id=LIST)
    world.make(user=GUEST, title="A guest's", list_id=LIST)
    world.make(title="Below", parent_id=PARENT)


def _task(world: World) -> None:
    made = world.make(title="One", tags=["one"])
    path = f"{TASKS}/{made['id']}"
    world.get(path)
    world.get(f"{TASKS}/{PARENT}", fields="title,tags")
    assert world.ask("GET", path, "stranger").status_code == 404
    world.done("PATCH", path, json={"title": "Two", "tags": ["two"], "due_date": "2026-12-01"})
    world.done("PATCH", path, json={"list_id": LIST}, headers={"idempotency-key": "plans"})
    world.done("PATCH", path, json={"parent_id": PARENT})
    world.done("DELETE", path)


def _completion(world: World) -> None:
    made = world.make(title="Daily", recurrence="FREQ=DAILY", due_date="2026-12-01")
    for action in ("complete", "reopen"):
        world.done("POST", f"{TASKS}/{made['id']}/{action}")
    # Looks into the journal for the due with which the rule was set.
    world.done("PATCH", f"{TASKS}/{made['id']}", json={"recurrence_from": "completion"})


def _batch(world: World) -> None:
    made = world.make(title="One")
    operations = [
        {"op": "create", "task": {"title": "Two"}},
        {"op": "update", "id": made["id"], "task": {"title": "Three"}},
        {"op": "complete", "id": made["id"]},
        {"op": "delete", "id": made["id"]},
    ]
    world.done("POST", f"{TASKS}/batch", json={"operations": operations})


def _quick_add(world: World) -> None:
    world.done("POST", "/api/v1/quick-add", json={"text": "Water the plants tomorrow"})
    world.done("POST", "/api/v1/quick-add?preview=true", json={"text": "Water the plants tomorrow"})


def _plans(world: World) -> None:
    made = world.make(title="One", list_id=LIST)
    operations = [
        {"op": "create", "task": {"title": "Two", "parent_id": PARENT}},
        {"op": "create", "task": {"title": "Three"}},
        {"op": "update", "id": made["id"], "task": {"list_id": None}},
        {"op": "share_list", "id": LIST, "user": "friend", "access": "read"},
        {"op": "delete", "id": made["id"]},
    ]
    plan, other = (world.make(PLANS, operations=operations) for _ in range(2))
    world.make(PLANS, GUEST, operations=[{"op": "create", "task": {"title": "x", "list_id": LIST}}])
    for user in (BIG, "small-1"):
        page = world.get(PLANS, user)
    world.get(PLANS, "small-1", cursor=page["next_cursor"])
    world.get(f"{PLANS}/{plan['id']}")
    world.done("POST", f"{PLANS}/{plan['id']}/apply")
    assert world.ask("POST", f"{PLANS}/{other['id']}/apply").status_code == 412
    world.done("DELETE", f"{PLANS}/{other['id']}")


def _assistant(world: World) -> None:
    body = {"message": "add buy milk"}
    # Reads the tasks of a list of another user as well.
    world.done("POST", ASSISTANT, GUEST, json=body)
    made = read(world.ask("POST", ASSISTANT, json=body))["conversation_id"]
    # A large one, with the id of the list.
    world.done("POST", ASSISTANT, json={**body, "conversation_id": LIST})
    world.done("POST", ASSISTANT, json=body, headers={"Idempotency-Key": "a key"})
    world.done("POST", ASSISTANT, json=body, headers={"Idempotency-Key": "a key"})
    world.done("POST", f"/api/{BIG}/chat", json={**body, "conversation_id": made})
    for user in (BIG, "small-1"):
        page = world.get(CONVERSATIONS, user)
    world.get(CONVERSATIONS, "small-1", cursor=page["next_cursor"])
    page = world.get(f"{CONVERSATIONS}/{LIST}")
    world.get(f"{CONVERSATIONS}/{LIST}", cursor=page["next_cursor"])
    world.done("DELETE", f"{CONVERSATIONS}/{made}")


def _lists(world: World) -> None:
    made = world.make(LISTS, name="Small")
    path = f"{LISTS}/{made['id']}"
    for user in (BIG, GUEST, "small-1"):
        world.get(LISTS, user)
    world.get(path)
    world.done("PATCH", path, json={"name": "Smaller"})
    world.make(title="In it", list_id=made["id"])
    world.done("DELETE", path, params={"tasks": "delete"})


def _shares(world: World) -> None:
    path = f"{LISTS}/{LIST}/shares"
    world.get(path)
    world.done("PUT", f"{path}/friend", json={"access": "read"})
    world.done("DELETE", f"{path}/friend")


def _tags(world: World) -> None:
    world.make(title="Tagged", tags=["old"])
    for user in (BIG, "small-1"):
        world.get("/api/v1/tags", user)
    world.done("PATCH", "/api/v1/tags/old", json={"name": "new"})
    world.done("DELETE", "/api/v1/tags/new")
    # Too many tasks have it, which is known without counting them.
    assert world.ask("DELETE", f"/api/v1/tags/{TAG}").status_code == 409


def _changes(world: World) -> None:
    for query in ({}, {"since": 20_000}, {"since": 0, "list": LIST}, {"since": 39_000}):
        world.get("/api/v1/changes", **query)
    world.get("/api/v1/changes", GUEST, list=LIST)


def _events(world: World) -> None:
    with world.service.client(world.service.token(BIG)) as client:
        world.plans.read()
        with client.stream("GET", "/api/v1/events", headers={"last-event-id": "0"}) as stream:
            assert next(stream.iter_bytes())
    world.hold("GET /api/v1/events")


def _journal(world: World) -> None:
    world.get("/api/v1/journal")
    for query in (
        {"before": 20_000},
        {"run_id": RUN},
        {"run_id": "no-such-run"},
        {"token_id": NO_TOKEN},
        {"token_id": NO_TOKEN, "run_id": RUN},
        {"actor": BIG},
        {"actor": "nobody"},
        {"entity": PARENT},
        {"list": LIST},
        {"list": LIST, "actor": "nobody"},
        {"entity": "none", "run_id": RUN, "actor": BIG},
    ):
        world.get("/api/v1/journal", **query)
    world.get("/api/v1/journal", GUEST, list=LIST)


def _runs(world: World) -> None:
    for query in ({}, {"before": 20_000}, {"list": LIST}, {"before": 3}):
        world.get("/api/v1/runs", **query)
    world.get("/api/v1/runs", GUEST, list=LIST)


def _undo(world: World) -> None:
    for run in ("first", "second"):
        made = read(
            world.ask("POST", TASKS, json={"title": "Undone"}, headers={"x-run-id": run}), 201
        )
        world.done(
            "PATCH",
            f"{TASKS}/{made['id']}",
            json={"title": "Again", "tags": ["x"]},
            headers={"x-run-id": run},
        )
    world.done("POST", "/api/v1/undo", json={"run_id": "first"})
    last = world.get("/api/v1/journal", run_id="second")["items"][0]["seq"]
    world.done("POST", "/api/v1/undo", json={"seq": last})
    token = world.make("/api/v1/tokens", name="tidy", scopes=["write"])
    bearer = {"authorization": f"Bearer {token['token']}"}
    for run in ("third", "fourth"):
        headers = {**bearer, "x-run-id": run}
        world.done("POST", TASKS, json={"title": "Undone"}, headers=headers)
    world.done("POST", "/api/v1/undo", json={"run_id": "third"})
    world.done("POST", "/api/v1/undo", json={"run_id": "fourth", "token_id": token["id"]})
    world.done("POST", TASKS, json={"title": "Undone"}, headers=bearer)
    missing = {"token_id": NO_TOKEN}
    assert world.ask("POST", "/api/v1/undo", json=missing).status_code == 404


def _account(world: World) -> None:
    for user in (BIG, "small-1"):
        world.get("/api/v1/me", user)
        world.done("PATCH", "/api/v1/me", user, json={"zone": "Europe/Berlin"})
    world.done("DELETE", "/api/v1/me", "small-1")


def _tokens(world: World) -> None:
    made = world.make("/api/v1/tokens", name="A program's", scopes=["read"])
    for user in (BIG, "small-2"):
        world.get("/api/v1/tokens", user)
    with world.service.client(made["token"]) as client:
        world.plans.read()
        assert client.get(TASKS).status_code == 200
    world.hold("GET with an API token")
    world.done("DELETE", f"/api/v1/tokens/{made['id']}")


def _front_ends(world: World) -> None:
    path = f"/api/{BIG}/tasks"
    for query in (
        {},
        {"page": 3, "limit": 100},
        {"search": "chore", "status": "pending"},
        {"search": RARE},
        {"priority": "high", "sort": "title", "order": "desc"},
        {"due_status": "overdue"},
        {"status": "completed", "sort": "priority"},
        {"tags": "errand", "offset": 7},
    ):
        assert world.ask("GET", path, params=query).is_success
    made = world.make(path, title="Theirs")
    one = f"{path}/{made['id']}"
    world.get(one)
    world.done("PUT", one, json={"title": "Changed"})
    world.done("PATCH", one, json={"title": "Again"})
    for path in ("complete", "status", "toggle"):
        world.done("PATCH", f"{one}/{path}")
    world.done("DELETE", one)


SCENARIOS: dict[Scenario, set[str]] = {
    _tasks: {"POST /api/v1/tasks", "GET /api/v1/tasks"},
    _task: {
        "GET /api/v1/tasks/{task_id}",
        "PATCH /api/v1/tasks/{task_id}",
        "DELETE /api/v1/tasks/{task_id}",
    },
    _completion: {
        "POST /api/v1/tasks/{task_id}/complete",
        "POST /api/v1/tasks/{task_id}/reopen",
    },
    _batch: {"POST /api/v1/tasks/batch"},
    _quick_add: {"POST /api/v1/quick-add"},
    _plans: {
        "POST /api/v1/plans",
        "GET /api/v1/plans",
        "GET /api/v1/plans/{plan_id}",
        "POST /api/v1/plans/{plan_id}/apply",
        "DELETE /api/v1/plans/{plan_id}",
    },
    _assistant: {
        "POST /api/v1/assistant",
        "GET /api/v1/conversations",
        "GET /api/v1/conversations/{conversation_id}",
        "DELETE /api/v1/conversations/{conversation_id}",
        "POST /api/{user_id}/chat",
    },
    _lists: {
        "POST /api/v1/lists",
        "GET /api/v1/lists",
        "GET /api/v1/lists/{list_id}",
        "PATCH /api/v1/lists/{list_id}",
        "DELETE /api/v1/lists/{list_id}",
    },
    _shares: {
        "GET /api/v1/lists/{list_id}/shares",
        "PUT /api/v1/lists/{list_id}/shares/{user}",
        "DELETE /api/v1/lists/{list_id}/shares/{user}",
    },
    _tags: {"GET /api/v1/tags", "PATCH /api/v1/tags/{name}", "DELETE /api/v1/tags/{name}"},
    _changes: {"GET /api/v1/changes"},
    _events: {"GET /api/v1/events"},
    _journal: {"GET /api/v1/journal"},
    _runs: {"GET /api/v1/runs"},
    _undo: {"POST /api/v1/undo"},
    _account: {"GET /api/v1/me", "PATCH /api/v1/me", "DELETE /api/v1/me"},
    _tokens: {
        "POST /api/v1/tokens",
        "GET /api/v1/tokens",
        "DELETE /api/v1/tokens/{token_id}",
    },
    _front_ends: {
        "GET /api/{user_id}/tasks",
        "POST /api/{user_id}/tasks",
        "GET /api/{user_id}/tasks/{task_id}",
        "PUT /api/{user_id}/tasks/{task_id}",
        "PATCH /api/{user_id}/tasks/{task_id}",
        "DELETE /api/{user_id}/tasks/{task_id}",
        "PATCH /api/{user_id}/tasks/{task_id}/complete",
        "PATCH /api/{user_id}/tasks/{task_id}/status",
        "PATCH /api/{user_id}/tasks/{task_id}/toggle",
    },
}
