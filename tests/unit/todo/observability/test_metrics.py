import contextlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from todo.core.circuit_breaker import AsyncBreaker, Outcome
from todo.db.schema_version import SchemaVersion
from todo.journal.schemas import Operation
from todo.observability.backup_metrics import BackupState
from todo.observability.metrics import LIMITS, OPERATIONS, PLAN_OUTCOMES, STREAMS, Metrics
from todo.observability.update_metrics import UpdateState

if TYPE_CHECKING:
    from todo.db.database import Database

MANUAL = (Path(__file__).parents[4] / "docs" / "monitoring" / "README.md").read_text()


class Pool:
    """A pool with three of ten connections in use."""

    def checkedout(self) -> int:
        return 3

    def checkedin(self) -> int:
        return 1

    def size(self) -> int:
        return 10


def make_breaker(failures: int = 1) -> AsyncBreaker:
    return AsyncBreaker(failures=failures, reset_s=0.001, classify=lambda _error: Outcome.FAILURE)


@pytest.fixture
def metrics() -> Metrics:
    database = SimpleNamespace(
        pool=Pool(),
        waiters=2,
        breaker=make_breaker(),
        schema_version=SchemaVersion("0013", oldest_program="0012"),
    )
    metrics = Metrics(cast("Database", database))
    metrics.export_assistant()
    metrics.backups.state = BackupState(
        succeeded_at=1.0,
        size=2,
        duration_s=3,
        failed_at=None,
        receiving=True,
        lag=4,
        drilled_at=1.0,
    )
    metrics.backups.update = UpdateState(1.0, "refused", 2)
    return metrics


def samples(metrics: Metrics, name: str) -> dict[str, float]:
    """Labels -> value of every sample of a name."""
    text = metrics.render(ready=True).decode()
    lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in lines}


def test_a_request_is_counted_by_its_method_route_and_class_of_status(metrics: Metrics) -> None:
    metrics.observe("GET", "/tasks", 200, 0.004)
    metrics.observe("GET", "/tasks", 204, 0.3)
    metrics.observe("GET", "/tasks", 503, 11.0)

    assert samples(metrics, "todo_http_requests_total") == {
        'method="GET",route="/tasks",status="2xx"': 2,
        'method="GET",route="/tasks",status="5xx"': 1,
    }


def test_a_duration_is_in_every_bucket_that_it_does_not_exceed(metrics: Metrics) -> None:
    metrics.observe("GET", "/tasks", 200, 0.005)
    metrics.observe("GET", "/tasks", 200, 0.3)

    labels = 'method="GET",route="/tasks",status="2xx"'
    found = samples(metrics, "todo_http_request_duration_seconds_bucket")
    counts = {key.partition('le="')[2].partition('"')[0]: value for key, value in found.items()}
    assert (counts["0.0025"], counts["0.005"], counts["0.25"], counts["0.5"]) == (0, 1, 1, 2)
    assert (counts["10.0"], counts["+Inf"]) == (2, 2)
    assert samples(metrics, "todo_http_request_duration_seconds_count") == {labels: 2}
    assert samples(metrics, "todo_http_request_duration_seconds_sum") == {labels: 0.305}


def test_methods_that_a_caller_invents_share_one_label(metrics: Metrics) -> None:
    for method in ("BREW", "PROPFIND", "brew"):
        metrics.observe(method, "unmatched", 405, 0.001)

    found = samples(metrics, "todo_http_requests_total")

    assert found == {'method="other",route="unmatched",status="4xx"': 3}


def test_every_label_that_is_known_is_there_from_the_start(metrics: Metrics) -> None:
    assert samples(metrics, "todo_journal_entries_total") == {
        f'operation="{name}"': 0 for name in OPERATIONS
    }
    assert samples(metrics, "todo_rate_limited_requests_total") == {
        f'limit="{name}"': 0 for name in LIMITS
    }
    assert samples(metrics, "todo_plans_total") == {
        f'outcome="{name}"': 0 for name in PLAN_OUTCOMES
    }
    assert samples(metrics, "todo_streams") == {f'kind="{name}"': 0 for name in STREAMS}


def test_the_operations_are_those_of_the_journal() -> None:
    assert set(OPERATIONS) == set(get_args(Operation))


def test_what_others_tell_is_counted(metrics: Metrics) -> None:
    metrics.count_journal("create")
    metrics.count_journal("create", 99)
    metrics.count_limited("token")
    metrics.count_plan("applied")
    metrics.count_replay()
    metrics.count_retry()
    metrics.observe_loop_lag(0.02)

    assert samples(metrics, "todo_journal_entries_total")['operation="create"'] == 100
    assert samples(metrics, "todo_rate_limited_requests_total")['limit="token"'] == 1
    assert samples(metrics, "todo_plans_total")['outcome="applied"'] == 1
    assert samples(metrics, "todo_idempotent_replays_total") == {"": 1}
    assert samples(metrics, "todo_database_retries_total") == {"": 1}
    assert samples(metrics, "todo_event_loop_lag_seconds_bucket")['le="0.025"'] == 1


def test_a_stream_is_open_until_its_block_ends(metrics: Metrics) -> None:
    with contextlib.ExitStack() as ends:
        ends.enter_context(metrics.streaming("events"))
        assert samples(metrics, "todo_streams")['kind="events"'] == 1

    assert samples(metrics, "todo_streams")['kind="events"'] == 0


def test_the_pool_is_read_when_asked(metrics: Metrics) -> None:
    assert samples(metrics, "todo_database_pool_connections") == {
        'state="in_use"': 3,
        'state="idle"': 1,
    }
    assert samples(metrics, "todo_database_pool_size") == {"": 10}
    assert samples(metrics, "todo_database_pool_waiters") == {"": 2}


def test_the_schema_is_that_of_the_database_and_not_of_the_program(metrics: Metrics) -> None:
    assert samples(metrics, "todo_database_schema_info") == {
        'oldest_program="0012",revision="0013"': 1
    }


def test_each_change_of_a_breaker_is_counted(metrics: Metrics) -> None:
    breaker = make_breaker()
    metrics.watch_breaker("keys", breaker)
    with pytest.raises(ConnectionError), breaker.calling():
        raise ConnectionError

    state = samples(metrics, "todo_breaker_state")
    transitions = samples(metrics, "todo_breaker_transitions_total")

    assert state['breaker="keys",state="open"'] == 1
    assert state['breaker="database",state="closed"'] == 1
    assert transitions['breaker="keys",state="open"'] == 1
    assert transitions['breaker="database",state="open"'] == 0


@pytest.mark.parametrize("ready", [True, False])
def test_readiness_is_what_the_scrape_found(metrics: Metrics, ready: bool) -> None:  # noqa: FBT001
    assert f"\ntodo_ready {float(ready)}\n" in metrics.render(ready=ready).decode()


def test_the_manual_explains_every_metric_and_no_other(metrics: Metrics) -> None:
    metrics.observe("GET", "/tasks", 200, 0.1)
    families = text_string_to_metric_families(metrics.render(ready=True).decode())
    exported = {
        # The parser takes the ending of a counter off.
        f"{family.name}_total" if family.type == "counter" else family.name: family.documentation
        for family in families
        if family.name.startswith("todo_")
    }
    rows = re.findall(r"^\| `(todo_\w+)` \|[^|]*\| ([^|]+) \|", MANUAL, re.MULTILINE)

    assert dict(rows) == exported
