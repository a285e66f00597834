"""W3C Trace Context: the trace of a request, for its log lines and its span.

OpenTelemetry's propagator reads the headers; FastAPI imports it at startup anyway.
"""

import os
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

SCOPE_KEY = "todo.trace"
"""Key of the ASGI scope: the trace that a middleware has started."""

_PROPAGATOR = TraceContextTextMapPropagator()
_NO_PARENT = Context()


@dataclass(frozen=True, slots=True)
class Trace:
    """Position of a request in a trace: IDs with 32 and 16 hexadecimal digits."""

    trace_id: str
    span_id: str

    @classmethod
    def of(cls, span: SpanContext) -> "Trace":
        """Return the IDs of a span."""
        return cls(format_trace_id(span.trace_id), format_span_id(span.span_id))


trace_var: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""Trace of the current request."""


def begin_trace(scope: Scope) -> Trace:
    """Return the trace of a request and store it in `trace_var`.

    A trace under `SCOPE_KEY` is used; otherwise the caller's trace continues or a new one begins.
    """
    trace: Trace | None = scope.get(SCOPE_KEY)
    if trace is None:
        parent = extract_parent(scope["headers"])
        if parent is _NO_PARENT:
            ids = os.urandom(24).hex()
            trace = Trace(ids[:32], ids[32:])
        else:
            span = get_current_span(parent).get_span_context()
            trace = Trace(format_trace_id(span.trace_id), os.urandom(8).hex())
    trace_var.set(trace)
    return trace


def extract_parent(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """Return a context with the caller's span, or an empty one without a valid `traceparent`."""
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        if name in (b"traceparent", b"tracestate"):
            fields.setdefault(name.decode(), []).append(value.decode("latin-1"))
    # The propagator would use the first of several.
    if len(fields.get("traceparent", ())) != 1:
        return _NO_PARENT
    return _PROPAGATOR.extract(fields, _NO_PARENT)
