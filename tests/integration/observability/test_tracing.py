"""Spans as a collector of OpenTelemetry gets them, and what happens without its SDK."""

import signal
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from tests.integration.service import SOURCES, Service, open_folder, open_service

PATH = "/api/v1/tasks"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """Receives spans."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[ResourceSpans] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Span]:
        scopes = [scope for resource in self.received for scope in resource.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.received += ExportTraceServiceRequest.FromString(body).resource_spans
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def traced(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}


def ask(service: Service, path: str, traceparent: str = "") -> None:
    headers = {"traceparent": traceparent} if traceparent else {}
    with service.client(service.token()) as client:
        client.get(path, headers=headers)


def attributes(span: Span) -> dict[str, object]:
    found = {item.key: item.value for item in span.attributes}
    return {
        key: value.int_value or value.string_value or value.bool_value
        for key, value in found.items()
    }


def test_a_request_is_a_span_of_its_callers_trace_without_what_the_caller_wrote(
    collector: Collector,
) -> None:
    task = uuid.uuid4()
    with open_service(traced(collector)) as service:
        service.wait_ready()
        ask(service, f"{PATH}/{task}?fields=title", f"00-{TRACE_ID}-{PARENT_ID}-01")
        assert service.stop() == 0
        assert service.errors == ""
        (event,) = [e for e in service.events if e.get("trace_id") == TRACE_ID]

    (span,) = [span for span in collector.spans if span.trace_id.hex() == TRACE_ID]
    assert span.name == f"GET {PATH}/{{task_id}}"
    assert (span.parent_span_id.hex(), span.kind) == (PARENT_ID, Span.SPAN_KIND_SERVER)
    assert span.span_id.hex() == event["span_id"]
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": f"{PATH}/{{task_id}}",
        "http.response.status_code": 404,
        "url.scheme": "http",
    }
    resource = {a.key: a.value.string_value for a in collector.received[0].resource.attributes}
    assert resource["service.name"] == "todo-backend"


def test_what_the_caller_does_not_record_and_health_checks_are_not_sent(
    collector: Collector,
) -> None:
    with open_service(traced(collector)) as service:
        service.wait_ready()
        ask(service, PATH, f"00-{TRACE_ID}-{PARENT_ID}-00")
        ask(service, "/readyz")
        ask(service, "/nowhere")
        assert service.stop() == 0
        assert [e["route"] for e in service.events if e.get("trace_id") == TRACE_ID] == [PATH]

    assert [span.name for span in collector.spans] == ["GET"]


def test_invalid_trace_headers_are_not_logged(collector: Collector) -> None:
    with open_service(traced(collector)) as service:
        service.wait_ready()
        with service.client(service.token()) as client:
            client.get(PATH, headers={"traceparent": "0" * 600})
            traceparent = f"00-{TRACE_ID}-{PARENT_ID}-01"
            client.get(PATH, headers={"traceparent": traceparent, "tracestate": "no member"})
        assert service.stop() == 0
        assert [e for e in service.events if e["logger"].startswith("opentelemetry")] == []
        assert [e["level"] for e in service.events if e.get("trace_id") == TRACE_ID] == ["INFO"]


def test_a_failure_of_the_service_is_one_of_the_span(collector: Collector) -> None:
    lost = {"TODO_DATABASE_URL": "postgresql+psycopg://todo@127.0.0.1:1/todo"}
    with open_service(traced(collector) | lost) as service:
        service.wait_started()
        ask(service, PATH)
        assert service.stop() == 0

    (span,) = collector.spans
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["http.response.status_code"] == 503


def test_a_collector_that_is_away_costs_no_request_and_no_clean_end() -> None:
    with open_service({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) as service:
        service.wait_ready()
        ask(service, PATH)

        assert service.stop(signal.SIGTERM, timeout_s=8) == 0
        assert service.errors == ""


@pytest.mark.parametrize(
    "off",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_nothing_is_sent_when_it_is_switched_off(collector: Collector, off: dict[str, str]) -> None:
    with open_service(traced(collector) | off) as service:
        service.wait_ready()
        ask(service, PATH)
        assert service.stop() == 0

    assert collector.received == []


def refuse_start(options: dict[str, str]) -> str:
    """Start a service that ends by itself with 78; return its one line."""
    with open_folder() as folder:
        service = Service(folder, options)
        assert service.process.wait(20) == 78
        (line,) = service.errors.splitlines()
        return line


def test_without_the_sdk_the_start_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['opentelemetry.sdk'] = None\n"
    )
    path = f"{tmp_path}:{SOURCES}"

    line = refuse_start({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "PYTHONPATH": path})

    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set" in line
    assert "otel.lock" in line


def test_a_variable_that_opentelemetry_refuses_ends_the_start_in_one_line() -> None:
    line = refuse_start(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "-1"}
    )

    assert "OTEL_" in line
