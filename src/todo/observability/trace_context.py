"""W3C Trace Context: the trace that a request belongs to, from its headers to log and calls.

https://www.w3.org/TR/trace-context/ (version 00 of `traceparent`).
"""

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import Scope

SCOPE_KEY = "todo.trace"
"""Where in an ASGI scope a middleware leaves the trace that it began."""

_SAMPLED = 1
# A later version may append fields, but keeps these four.
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_MAX_MEMBERS = 32
_LONGEST_STATE = 512
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = re.compile(
    rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """This request's place in a trace.

    Attributes:
        trace_id: Id of the whole, 32 hexadecimal digits.
        span_id: Id of this request's part in it, 16 hexadecimal digits.
        sampled: Whether the caller records the trace.
        state: What systems on the way keep in it, to be passed on; may be empty.
    """

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""

    def headers(self) -> dict[str, str]:
        """Return the headers with which a call to another service continues the trace."""
        found = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"}
        if self.state:
            found["tracestate"] = self.state
        return found


trace_var: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the request that is served now."""


def begin_trace(scope: Scope) -> Trace:
    """Begin this request's part of its trace and keep it in `trace_var`.

    Args:
        scope: The request's; a trace under `SCOPE_KEY` is taken as it is.
    """
    trace: Trace | None = scope.get(SCOPE_KEY)
    if trace is None:
        parent = find_parent(scope["headers"])
        if parent is None:
            # Nobody asked for this trace: not sampled.
            ids = os.urandom(24).hex()
            trace = Trace(ids[:32], ids[32:])
        else:
            trace = Trace(parent.trace_id, os.urandom(8).hex(), parent.sampled, parent.state)
    trace_var.set(trace)
    return trace


def find_parent(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """Return the caller's place in a trace, or None without a valid `traceparent`."""
    parents = []
    states = []
    for name, value in headers:
        if name == b"traceparent":
            parents.append(value)
        elif name == b"tracestate":
            states.append(value)
    if len(parents) != 1:
        return None
    match = _TRACEPARENT.fullmatch(parents[0])
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"00" and more:
        return None
    return Trace(
        trace_id.decode(),
        span_id.decode(),
        bool(int(flags, 16) & _SAMPLED),
        _find_state(states) if states else "",
    )


def _find_state(values: list[bytes]) -> str:
    """Return the valid state of all its headers; what is not valid is dropped as a whole."""
    members = [
        stripped
        for member in b",".join(values).decode("latin-1").split(",")
        if (stripped := member.strip(" \t"))
    ]
    keys = [match[1] for member in members if (match := _MEMBER.fullmatch(member))]
    state = ",".join(members)
    valid = (
        len(keys) == len(members) == len(set(keys))
        and len(members) <= _MAX_MEMBERS
        and len(state) <= _LONGEST_STATE
    )
    return state if valid else ""
