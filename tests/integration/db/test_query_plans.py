"""Every query of the API on a million tasks reads a bounded number of rows."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import bulk_data as crowd
from tests.integration.bulk_data import GUEST, LIST, PARENT, RARE, RUN, TAG, PlanLog
from tests.integration.cluster import open_cluster
from tests.integration.db.plan_scenarios import SCENARIOS, Scenario
from tests.integration.db.plan_world import World
from tests.integration.service import open_service
from tests.integration.users import TASKS, read


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_cluster() as cluster:
        cluster.stop()
        cluster.start(buffers="256MB")
        url = cluster.make_database()
        options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
        with open_service(options) as service:
            service.wait_ready()
        crowd.fill(cluster, url)
        # What it would ask of the schema is no request.
        del options["TODO_DATABASE_MIGRATE"]
        options["TODO_RATE_LIMIT_PER_MINUTE"] = "10000000"
        with open_service(options) as service:
            service.wait_ready()
            yield World(
                service,
                PlanLog(cluster.root / "log"),
                lambda change: cluster.query(url, f"{change}; ANALYZE task"),
            )


QUERIES: tuple[dict[str, str], ...] = (
    {},
    {"status": "open"},
    {"status": "completed"},
    {"priority": "high"},
    {"tag": TAG},
    {"tag": "none-has-it"},
    {"list": LIST},
    {"list": "none"},
    {"parent": PARENT},
    {"due": "overdue"},
    {"due": "today"},
    {"due": "none"},
    {"due_from": "2024-03-01T00:00:00Z", "due_to": "2024-03-02T00:00:00Z"},
    {"updated_since": "2025-11-01T00:00:00Z"},
    {"q": "chore"},
    {"q": RARE},
    {"q": "absent"},
    {"status": "open", "priority": "low", "tag": TAG, "list": LIST, "q": "chore"},
)
SORTS = ("created", "updated", "due", "priority", "title", "position")
QUESTIONS = [
    query | {"sort": sort, "order": order}
    for query in QUERIES
    for sort in SORTS
    for order in ("asc", "desc")
    if sort != "position" or "list" in query
]


@pytest.mark.parametrize("query", QUESTIONS, ids=lambda query: ",".join(query.values()))
def test_a_page_of_tasks(world: World, query: dict[str, str]) -> None:
    following = world.get(TASKS, **query)["next_cursor"]
    if following is not None:
        world.get(TASKS, **query, cursor=following)


def test_pages_follow_the_owners_index_where_there_are_few_owners(world: World) -> None:
    # Then PostgreSQL expects to find an owner's tasks soon in any order.
    world.analyze("ALTER TABLE task ALTER owner SET (n_distinct = 5)")
    try:
        for query in QUESTIONS:
            if query["sort"] == "created" and "list" not in query and "parent" not in query:
                world.get(TASKS, "small-1", **query)
    finally:
        world.analyze("ALTER TABLE task ALTER owner RESET (n_distinct)")


@pytest.mark.parametrize("query", [{"q": "chore"}, {"q": RARE}, {"q": "chore", "status": "open"}])
def test_a_search_by_relevance(world: World, query: dict[str, str]) -> None:
    assert world.get(TASKS, **query, sort="relevance")["items"]


def test_a_page_of_a_shared_list(world: World) -> None:
    for sort in ("created", "title", "position"):
        assert len(world.get(TASKS, GUEST, list=LIST, sort=sort)["items"]) == 20


# They ask for the schema's revision, or for nothing.
NO_STATEMENT = {"GET /", "GET /livez", "GET /readyz", "GET /startupz", "GET /health"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.strip("_"))
def test_an_operation(world: World, scenario: Scenario) -> None:
    scenario(world)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("overview", {}),
        ("overview", {"list": LIST}),
        ("lists_and_tags", {}),
        ("find_tasks", {"due": "week"}),
        ("changes_since", {}),
        ("add_tasks", {"tasks": [{"text": "Buy milk every day #x"}]}),
        ("undo", {"run_id": RUN}),
    ],
)
def test_a_tool_of_agents(world: World, tool: str, arguments: dict[str, Any]) -> None:
    params = {"name": tool, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = read(world.ask("POST", "/mcp", json=message))
    assert "result" in answer


def test_no_operation_of_the_api_is_left_out(world: World) -> None:
    with world.service.client() as client:
        paths = read(client.get("/openapi.json"))["paths"]
    operations = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways}
    assert operations - NO_STATEMENT == set().union(*SCENARIOS.values())
