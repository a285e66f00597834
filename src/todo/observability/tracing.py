"""OpenTelemetry tracing: one span per request, exported by OTLP over HTTP.

OpenTelemetry's SDK is imported and used only if its variables name a destination for spans. FastAPI
could trace as well, but its spans contain path and query, which may include text of tasks. Here, as
in the log, a span contains only the template of the path.
"""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo import __version__
from todo.core.exit import ExitCode, FatalError
from todo.observability.trace_context import SCOPE_KEY, Trace, extract_parent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE_NAME = "todo-backend"
# A receiver that hangs must not delay the exit of the process.
_CLOSING_S = 2.0
_QUIET_PATHS = {"/livez", "/readyz", "/startupz", "/health"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Telemetry:
    """Provider of tracers, whose spans are exported."""

    def __init__(self, provider: "TracerProvider") -> None:
        self.provider = provider

    def close(self) -> None:
        """Export the remaining spans, within a timeout."""
        sending = threading.Thread(target=self.provider.shutdown, daemon=True)
        sending.start()
        sending.join(_CLOSING_S)


def open_telemetry(environ: Mapping[str, str]) -> Telemetry | None:
    """Set up tracing if the environment names a destination for spans.

    Raises:
        FatalError: OpenTelemetry's SDK is not installed, or rejects a variable.
    """
    wanted = next((name for name in _ENDPOINTS if environ.get(name)), None)
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if wanted is None or off or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        message = (
            f"{wanted} is set, but OpenTelemetry's SDK and exporter are not installed (missing "
            f"{error.name}): install the packages of otel.lock, or unset it"
        )
        raise FatalError(ExitCode.CONFIGURATION, message) from None
    own = {"service.version": __version__}
    if not environ.get("OTEL_SERVICE_NAME"):
        own["service.name"] = _SERVICE_NAME
    try:
        provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
    except ValueError as error:
        message = f"an OpenTelemetry variable (OTEL_…) is invalid: {error}"
        raise FatalError(ExitCode.CONFIGURATION, message) from None
    return Telemetry(provider)


class Spans:
    """Middleware that records each request as a span of its caller's trace."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self._app = app
        self._tracer = telemetry.provider.get_tracer(_SERVICE_NAME, __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _QUIET_PATHS:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(
            method,
            context=extract_parent(scope["headers"]),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
        )
        scope[SCOPE_KEY] = Trace.of(span.get_span_context())
        # The server sends this status code if the application sends none.
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            span.set_attribute("http.response.status_code", status)
            if route := getattr(scope.get("route"), "path", None):
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
            if status >= 500:  # noqa: PLR2004
                span.set_status(StatusCode.ERROR)
            span.end()
