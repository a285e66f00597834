"""Monitoring of a running backend: traces in the log, readiness and loop lag in the metrics."""

import re
import uuid

import httpx

from tests.integration.service import Service, open_service
from tests.machine_clock import wait_until

PATH = "/api/v1/tasks"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def scrape(service: Service) -> str:
    return service.get_check("metrics").text


def read_value(text: str, name: str) -> float:
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


def wait_for_metric(service: Service, pattern: str) -> None:
    wait_until(
        lambda: re.search(pattern, scrape(service), re.MULTILINE),
        pattern,
        within_s=60,
        explain=lambda: scrape(service),
    )


def events_of(service: Service, request_id: str) -> list[dict[str, object]]:
    # The answer goes out before the line does.
    service.wait_for(request_id)
    return [event for event in service.events if event.get("request_id") == request_id]


def ask(service: Service, **headers: str) -> str:
    """Send one request and return its id."""
    request_id = uuid.uuid4().hex
    with service.client(service.token()) as client:
        answer = client.get(PATH, headers={"X-Request-ID": request_id, **headers})
    assert answer.status_code == httpx.codes.OK
    assert "traceparent" not in answer.headers
    return request_id


def test_the_callers_trace_is_in_the_log(sqlite_service: Service) -> None:
    request_id = ask(sqlite_service, traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01")

    (event,) = events_of(sqlite_service, request_id)
    assert event["trace_id"] == TRACE_ID
    assert event["span_id"] != "00f067aa0ba902b7"


def test_each_request_without_a_trace_has_one_of_its_own(sqlite_service: Service) -> None:
    ids = [ask(sqlite_service), ask(sqlite_service, traceparent="00-nonsense")]

    traces = [event["trace_id"] for each in ids for event in events_of(sqlite_service, each)]
    assert len(set(traces)) == 2


def test_the_loops_lag_is_measured_all_the_time(sqlite_service: Service) -> None:
    wait_for_metric(sqlite_service, r"^todo_event_loop_lag_seconds_count ([2-9]|[1-9][0-9])")


def test_ready_is_what_the_database_says() -> None:
    with open_service({"TODO_DATABASE_URL": "postgresql+psycopg://todo@127.0.0.1:1/todo"}) as lost:
        lost.wait_started()

        assert "\ntodo_ready 0.0\n" in scrape(lost)


def test_a_service_that_can_answer_is_ready(service: Service) -> None:
    assert "\ntodo_ready 1.0\n" in scrape(service)


def test_a_write_is_counted_in_the_journal_and_its_repetition_as_a_replay(service: Service) -> None:
    before = scrape(service)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    with service.client(service.token(f"user-{uuid.uuid4()}")) as client:
        for _ in range(3):
            created = client.post(PATH, json={"title": "Water the plants"}, headers=key)
        client.post(f"{PATH}/{created.json()['id']}/complete")
        client.post(PATH, json={"title": ""})
    after = scrape(service)

    def grown(name: str) -> float:
        return read_value(after, name) - read_value(before, name)

    assert grown('todo_journal_entries_total{operation="create"}') == 1
    assert grown('todo_journal_entries_total{operation="complete"}') == 1
    assert grown('todo_journal_entries_total{operation="update"}') == 0
    assert grown("todo_idempotent_replays_total") == 2


def test_the_breaker_of_a_key_set_is_shown_where_there_is_one(sqlite_service: Service) -> None:
    with open_service({"TODO_JWKS_URL": "http://127.0.0.1:1/jwks"}) as service:
        service.wait_ready()

        assert (
            read_value(scrape(service), 'todo_breaker_state{breaker="key-set",state="closed"}') == 1
        )
    assert 'breaker="key-set"' not in scrape(sqlite_service)
