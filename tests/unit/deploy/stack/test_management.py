"""The backend's metrics, read out of its text exposition."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError
from deploy.stack import addresses, management

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = r"""# HELP todo_build_info Version of the program, and the schema revision that it requires.
# TYPE todo_build_info gauge
todo_build_info{schema="0013",version="0.1.0"} 1.0
todo_ready 1.0
todo_database_schema_info{oldest_program="0013",revision="0014"} 1.0
todo_http_requests_total{method="GET",route="/api/v1/tasks/{task_id}",status="2xx"} 40.0
todo_http_requests_total{method="GET",route="a\"b\\c",status="2xx"} 2.0
todo_http_requests_total{method="POST",route="/api/v1/tasks",status="5xx"} 1.0
todo_database_pool_connections{state="in_use"} 3.0
todo_database_pool_connections{state="idle"} 1.0
todo_database_pool_size 10.0
todo_database_pool_waiters 2.0
todo_breaker_state{breaker="database",state="closed"} 0.0
todo_breaker_state{breaker="database",state="open"} 1.0
todo_event_loop_lag_seconds_bucket{le="0.001"} 50.0
todo_event_loop_lag_seconds_bucket{le="0.005"} 99.0
todo_event_loop_lag_seconds_bucket{le="5.0"} 100.0
todo_event_loop_lag_seconds_bucket{le="+Inf"} 100.0
todo_event_loop_lag_seconds_count 100.0
todo_event_loop_lag_seconds_sum 0.2
process_start_time_seconds 1.79600942857e+09
process_resident_memory_bytes 1.048576e+08
"""


def figures(text: str) -> management.Figures:
    return management.find_figures(management.parse(text))


def test_the_figures_of_a_process_are_those_of_its_metrics() -> None:
    found = figures(TEXT)

    assert (found.version, found.schema) == ("0.1.0", "0013")
    assert (found.database_schema, found.oldest_program) == ("0014", "0013")
    assert found.requests == {"2xx": 42, "5xx": 1}
    assert found.pool == management.Pool(size=10, in_use=3, idle=1, waiters=2)
    assert found.breakers == {"database": "open"}
    assert found.loop_lag == management.LoopLag(samples=100, p99_s=0.005, mean_s=0.002)
    assert found.started_at == "2026-11-30T03:30:28.570000+00:00"
    assert found.memory_bytes == 100 * 1024 * 1024


def test_labels_may_hold_quotes_and_braces() -> None:
    routes = {sample.labels.get("route") for sample in management.parse(TEXT)}

    assert {"/api/v1/tasks/{task_id}", 'a"b\\c'} <= routes


def test_a_database_that_was_never_reached_has_no_schema_yet() -> None:
    text = "\n".join(line for line in TEXT.splitlines() if "schema_info" not in line)

    assert figures(text).database_schema is None


def test_a_lag_above_every_bucket_is_not_made_up() -> None:
    text = TEXT.replace('le="5.0"} 100', 'le="5.0"} 98').replace('"0.005"} 99', '"0.005"} 98')

    lag = figures(text).loop_lag
    assert lag is not None
    assert lag.p99_s is None


def test_without_a_measurement_there_is_no_lag() -> None:
    assert figures('todo_build_info{version="1"} 1.0\n').loop_lag is None


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 503)
        self.end_headers()
        self.wfile.write(b"up 1.0\n")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[addresses.Address]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield addresses.parse(f"127.0.0.1:{running.server_port}")
        running.shutdown()
        thread.join()


def test_metrics_of_another_program_are_not_taken_for_the_backends(
    server: addresses.Address,
) -> None:
    assert management.get(server, "/readyz") == (503, b"up 1.0\n")
    with pytest.raises(DeployError, match="is not the backend"):
        management.fetch_figures(server)


def test_an_address_without_a_server_gives_one_line() -> None:
    with pytest.raises(DeployError, match=r"no response from 127\.0\.0\.1:1: .*refused"):
        management.get(addresses.parse("127.0.0.1:1"), "/readyz")
