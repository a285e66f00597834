"""W3C Trace Context: the trace that a request belongs to, for its log lines and its span.

OpenTelemetry's propagator reads the headers. FastAPI imports it at start in any case.
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
"""Key of an ASGI scope under which a middleware stores the trace that it started."""

_PROPAGATOR = TraceContextTextMapPropagator()
_NO_PARENT = Context()


@dataclass(frozen=True, slots=True)
class Trace:
    """This request's place in a trace.

    Attributes:
        trace_id: ID of the trace, 32 hexadecimal digits.
        span_id: ID of this request's span, 16 hexadecimal digits.
    """

    trace_id: str
    span_id: str

    @classmethod
    def of(cls, span: SpanContext) -> "Trace":
        """Return the IDs of a span."""
        return cls(format_trace_id(span.trace_id), format_span_id(span.span_id))


trace_var: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the request that is served now."""


def begin_trace(scope: Scope) -> Trace:
    """Start this request's part of its trace and keep it in `trace_var`.

    Args:
        scope: The request's; a trace under `SCOPE_KEY` is used as it is.
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
    """Return a context with the caller's span; an empty one without a valid `traceparent`."""
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        if name in (b"traceparent", b"tracestate"):
            fields.setdefault(name.decode(), []).append(value.decode("latin-1"))
    # Of several, the propagator would take the first.
    if len(fields.get("traceparent", ())) != 1:
        return _NO_PARENT
    return _PROPAGATOR.extract(fields, _NO_PARENT)
