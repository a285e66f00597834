"""Cost of the most expensive searches, in units of splitting one task into words."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_service

OWNER = "collector"
TASKS = 12_000
# Three times as many as a page by number passes over.
MAX_TASKS = 1500
FILL = """
INSERT INTO task (id, owner, title, description, priority, tags, due_key, recurrence_from,
    reminders, position, created_at, updated_at, version, words)
SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 'collector',
    'chore c' || n, repeat('some words that are never asked for ' || n % 97 || ' ', 25),
    0, '[]', '9999-12-31 00:00Z', 'schedule', '[]', n, now(), now(), 1,
    ' chore c' || n || ' §' || left(encode(sha256('collector'), 'hex'), 32)
        || repeat(' some words that are never asked for ' || n % 97, 25) || ' '
FROM generate_series(1, 12000) AS n
"""
# As a database does that splits words by itself.
TAKE_APART = (
    "SELECT count(to_tsvector('simple'::regconfig, translate(title || ' ' ||"
    " coalesce(description, ''), '!\"#$%&''()*+,-./:;<=>?@[\\]^_`{{|}}~', repeat(' ', 32))))"
    " FROM (SELECT * FROM task LIMIT {}) AS looked_at"
)


@pytest.fixture(scope="module")
def service(own_cluster: Cluster) -> Iterator[Service]:
    options = {
        "TODO_DATABASE_URL": own_cluster.make_database(),
        "TODO_DATABASE_MIGRATE": "startup",
        "TODO_DATABASE_STATEMENT_TIMEOUT_S": "600",
        "TODO_REQUEST_DEADLINE_S": "600",
    }
    with open_service(options) as service:
        service.wait_ready()
        own_cluster.query(options["TODO_DATABASE_URL"], FILL)
        own_cluster.query(options["TODO_DATABASE_URL"], "VACUUM ANALYZE task")
        yield service


def cpu_s(cluster: Cluster, url: str) -> float:
    """Return the processor time of the service's connections."""
    pids = cluster.query(
        url, "SELECT pid FROM pg_stat_activity WHERE application_name = 'todo-backend'"
    )
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for (pid,) in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def one_task_s(service: Service, own_cluster: Cluster) -> float:
    """Seconds of processor time that the words of one task cost."""
    name = service.environment["TODO_DATABASE_URL"].rpartition("?")[0].rpartition("/")[2]
    with own_cluster.connect(name) as connection:
        stat = Path(f"/proc/{connection.info.backend_pid}/stat")

        def used() -> int:
            fields = stat.read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        connection.execute(TAKE_APART.format(TASKS).encode())
        before = used()
        connection.execute(TAKE_APART.format(TASKS).encode())
        return (used() - before) / os.sysconf("SC_CLK_TCK") / TASKS


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/tasks", {"q": "chore", "sort": "relevance"}),
        ("/api/v1/tasks", {"q": "chore", "priority": "high"}),
        (f"/api/{OWNER}/tasks", {"search": "chore", "page": "101", "limit": "100"}),
        (f"/api/{OWNER}/tasks", {"search": "chore", "page": "6", "limit": "100"}),
        (f"/api/{OWNER}/tasks", {"search": "chore", "priority": "high", "page": "5"}),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_search_takes_a_bounded_number_of_texts_apart(
    service: Service,
    own_cluster: Cluster,
    one_task_s: float,
    path: str,
    query: dict[str, str],
) -> None:
    url = service.environment["TODO_DATABASE_URL"]
    with service.client(service.token(OWNER)) as client:
        client.get("/api/v1/tasks").raise_for_status()
        before = cpu_s(own_cluster, url)
        answer = client.get(path, params=query)
        spent_s = cpu_s(own_cluster, url) - before
    assert answer.status_code == (422 if query.get("page") == "101" else 200)
    assert spent_s / one_task_s < MAX_TASKS, f"{spent_s} s of {one_task_s * 1000:.3f} ms each"
