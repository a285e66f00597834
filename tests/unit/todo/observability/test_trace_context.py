import contextvars
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.observability.trace_context import SCOPE_KEY, Trace, begin_trace, find_parent, trace_var

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in pairs]


def begin(*pairs: tuple[str, str]) -> Trace:
    scope = {"headers": headers(("host", "todo"), *pairs)}
    return contextvars.copy_context().run(begin_trace, scope)


def test_a_request_goes_on_with_its_callers_trace_under_a_span_of_its_own() -> None:
    trace = begin(("traceparent", PARENT), ("tracestate", "congo=t61rcWkgMzE"))

    assert (trace.trace_id, trace.sampled, trace.state) == (TRACE_ID, True, "congo=t61rcWkgMzE")
    assert re.fullmatch("[0-9a-f]{16}", trace.span_id)
    assert trace.span_id != SPAN_ID


def test_a_request_without_a_trace_begins_one_that_is_not_sampled() -> None:
    first, second = begin(), begin()

    assert re.fullmatch("[0-9a-f]{32}", first.trace_id)
    assert first.trace_id != second.trace_id
    assert first.headers() == {"traceparent": f"00-{first.trace_id}-{first.span_id}-00"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        PARENT.upper(),
        f" {PARENT}",
        f"{PARENT} ",
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
    assert find_parent(headers(("traceparent", value), ("tracestate", "a=1"))) is None


def test_two_parents_are_none() -> None:
    assert find_parent(headers(("traceparent", PARENT), ("traceparent", PARENT))) is None


@pytest.mark.parametrize("ending", ["", "-", "-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_it_is_known(ending: str) -> None:
    found = find_parent(headers(("traceparent", f"cc{PARENT[2:]}{ending}")))

    assert found == Trace(TRACE_ID, SPAN_ID, sampled=True)


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("02", False), ("ff", True)])
def test_of_the_flags_only_the_known_one_goes_on(flags: str, sampled: bool) -> None:  # noqa: FBT001
    trace = begin(("traceparent", f"{PARENT[:-2]}{flags}"))

    assert trace.headers()["traceparent"].endswith("-01" if sampled else "-00")


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (["a=1", "b=2"], "a=1,b=2"),
        (["a=1 ,\tb=2, ,"], "a=1,b=2"),
        (["tenant@vendor=x y"], "tenant@vendor=x y"),
        (["a=1,a=2"], ""),
        (["A=1"], ""),
        (["a"], ""),
        (["a=1=2"], ""),
        (["a=é"], ""),
        (["a="], ""),
        ([",".join(f"k{n}=1" for n in range(32))], ",".join(f"k{n}=1" for n in range(32))),
        ([",".join(f"k{n}=1" for n in range(33))], ""),
        ([",".join(f"k{n}={'x' * 200}" for n in range(3))], ""),
    ],
)
def test_a_state_that_is_not_valid_is_dropped_without_the_parent(
    values: list[str], state: str
) -> None:
    pairs = [("tracestate", value) for value in values]

    assert find_parent(headers(("traceparent", PARENT), *pairs)) == Trace(
        TRACE_ID, SPAN_ID, sampled=True, state=state
    )


@given(st.binary(max_size=80), st.binary(max_size=600))
def test_no_header_is_an_error(parent: bytes, state: bytes) -> None:
    find_parent([(b"traceparent", parent), (b"tracestate", state)])
    find_parent([(b"traceparent", PARENT.encode()), (b"tracestate", state)])


def test_a_trace_that_a_middleware_began_is_taken_as_it_is() -> None:
    begun = Trace(TRACE_ID, SPAN_ID)

    found = contextvars.copy_context().run(
        begin_trace, {"headers": headers(("traceparent", PARENT)), SCOPE_KEY: begun}
    )

    assert found is begun


def test_the_trace_is_that_of_the_request_alone() -> None:
    begin(("traceparent", PARENT))

    assert trace_var.get() is None
