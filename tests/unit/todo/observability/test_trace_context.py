import contextvars
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, get_current_span

from todo.observability.trace_context import (
    SCOPE_KEY,
    Trace,
    begin_trace,
    extract_parent,
    trace_var,
)

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in pairs]


def begin(*pairs: tuple[str, str]) -> Trace:
    scope = {"headers": headers(("host", "todo"), *pairs)}
    return contextvars.copy_context().run(begin_trace, scope)


def parent_of(*pairs: tuple[str, str]) -> SpanContext:
    return get_current_span(extract_parent(headers(*pairs))).get_span_context()


def test_a_request_goes_on_with_its_callers_trace_under_a_span_of_its_own() -> None:
    trace = begin(("traceparent", PARENT))

    assert trace.trace_id == TRACE_ID
    assert re.fullmatch("[0-9a-f]{16}", trace.span_id)
    assert trace.span_id != SPAN_ID


def test_a_request_without_a_trace_begins_one() -> None:
    first, second = begin(), begin()

    assert re.fullmatch("[0-9a-f]{32}", first.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", first.span_id)
    assert first.trace_id != second.trace_id


@pytest.mark.parametrize(
    "value",
    [
        "",
        PARENT.upper(),
        f"{PARENT}-",
        f"{PARENT}-00",
        f"ff{PARENT[2:]}",
        f"0{PARENT[2:]}",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0",
        f"00-{TRACE_ID}-{SPAN_ID}-0g",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"cc-{TRACE_ID}-{SPAN_ID}-01.more",
        "é" * 55,
    ],
)
def test_an_invalid_parent_and_its_state_are_ignored(value: str) -> None:
    pairs = ("traceparent", value), ("tracestate", "a=1")

    assert not parent_of(*pairs).is_valid
    assert begin(*pairs).trace_id not in {TRACE_ID, "0" * 32}


def test_two_parents_are_none() -> None:
    assert not parent_of(("traceparent", PARENT), ("traceparent", PARENT)).is_valid


@pytest.mark.parametrize("ending", ["", "-", "-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_it_is_known(ending: str) -> None:
    trace = begin(("traceparent", f"cc{PARENT[2:]}{ending}"))

    assert trace.trace_id == TRACE_ID


def test_a_span_gets_the_flags_and_the_state_of_its_caller() -> None:
    parent = parent_of(("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2"))

    assert (f"{parent.span_id:016x}", parent.trace_flags.sampled) == (SPAN_ID, True)
    assert parent.trace_state.to_header() == "a=1,b=2"


def test_a_state_that_is_not_valid_is_dropped_without_the_parent() -> None:
    parent = parent_of(("traceparent", PARENT), ("tracestate", "a=1=2"))

    assert (parent.is_valid, parent.trace_state.to_header()) == (True, "")


@given(st.binary(max_size=80), st.binary(max_size=600))
def test_no_header_is_an_error(parent: bytes, state: bytes) -> None:
    extract_parent([(b"traceparent", parent), (b"tracestate", state)])
    extract_parent([(b"traceparent", PARENT.encode()), (b"tracestate", state)])


def test_a_trace_that_a_middleware_began_is_taken_as_it_is() -> None:
    begun = Trace(TRACE_ID, SPAN_ID)

    found = contextvars.copy_context().run(
        begin_trace, {"headers": headers(("traceparent", PARENT)), SCOPE_KEY: begun}
    )

    assert found is begun


def test_the_trace_is_that_of_the_request_alone() -> None:
    begin(("traceparent", PARENT))

    assert trace_var.get() is None
