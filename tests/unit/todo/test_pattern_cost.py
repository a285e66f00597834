"""No text of a client makes a regular expression try the same characters again and again.

CPU time is measured, so a busy machine changes nothing: a linear scan of these inputs takes a few
milliseconds, a quadratic one a quarter of a second to minutes.
"""

import time
from collections.abc import Callable

import pytest
from fastapi import Request

from todo.api.body_limits import find_body_limit
from todo.api.conditional import read_if_match
from todo.api.proxy_headers import TrustedProxies
from todo.compat.field_aliases import read_fields
from todo.config.addresses import ForwardedHeader
from todo.core.errors import ProblemError
from todo.observability import logs, trace_context
from todo.schedule.rule import read_rule
from todo.server import http1_parser, http1_strict_parser
from todo.text.search_words import parse_query
from todo.transfer.ical.parser import read_components

LENGTH = http1_parser.MAX_HEAD_BYTES
MAX_S = 0.1


def resolve(header: ForwardedHeader, text: str) -> object:
    headers = [(header.encode(), text.encode("latin-1"))]
    return TrustedProxies(["127.0.0.0/8"], header).resolve("127.0.0.1", "http", headers)


def read_forwarded(text: str) -> object:
    return resolve("forwarded", text)


def read_x_forwarded_for(text: str) -> object:
    return resolve("x-forwarded-for", text)


def read_trace(text: str) -> object:
    raw = text.encode("latin-1")
    return trace_context.extract_parent(
        [(b"traceparent", b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01"), (b"tracestate", raw)]
    ), trace_context.extract_parent([(b"traceparent", raw)])


def read_head(text: str) -> object:
    raw = text.encode("latin-1")
    heads = [
        b"%b\r\n\r\n",
        b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n",
    ]
    return [
        http1_strict_parser.parse_head(each % raw) for each in heads
    ], http1_strict_parser.StrictParser().feed(raw)


def read_rule_text(text: str) -> object:
    try:
        return read_rule(text)
    except ValueError as error:
        return error


def read_calendar(text: str) -> object:
    data = f"BEGIN:VCALENDAR\r\n{text}\r\nEND:VCALENDAR\r\n"
    return read_components(data.encode("latin-1"), [])


def read_condition(text: str) -> object:
    headers = [(b"if-match", text.encode("latin-1"))]
    try:
        return read_if_match(Request({"type": "http", "headers": headers}))
    except ProblemError as error:
        return error


def read_names(text: str) -> object:
    return read_fields({text: None}, [])


READERS: list[Callable[[str], object]] = [
    read_forwarded,
    read_x_forwarded_for,
    read_trace,
    read_head,
    read_rule_text,
    read_calendar,
    read_names,
    read_condition,
    find_body_limit,
    logs.redact,
    parse_query,
]
STARTS = ["", "for=a;", 'for="', "a=", "GET /", "Host: ", "/api/", "FREQ=DAILY;", "A", "token"]
REPEATED = [
    *(" ", "\t", "a", "0", "=", ";", ",", '"', "\\", "-", ".", ":", "/", "%", "[", "]", "_"),
    *("a=", 'a="";', "\\a", '"a"', "eyJ", "bearer ", "a://", "a://b:", "recur", "\xb2", "\xe9"),
    *("\r\n", "\n", "\n ", "a: b\r\n", "FREQ=", "/tasks/", "token="),
]
ENDS = ["", '"', "!", "\0"]


def measure(
    reader: Callable[[str], object], start: str, repeated: str, end: str, length: int
) -> float:
    text = f"{start}{repeated * (length // len(repeated))}{end}"
    began = time.thread_time()
    reader(text)
    return time.thread_time() - began


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("repeated", REPEATED, ids=repr)
def test_the_time_of_a_reader_is_in_proportion_to_the_length(
    reader: Callable[[str], object], repeated: str
) -> None:
    for start in STARTS:
        for end in ENDS:
            took_s = measure(reader, start, repeated, end, LENGTH)
            if took_s > MAX_S:
                # A slow machine, or the garbage collector of a large process: the least of several
                # is that of the reader, and four times the length takes four times as long.
                took_s, quarter_s = (
                    min(measure(reader, start, repeated, end, length) for _ in range(5))
                    for length in (LENGTH, LENGTH // 4)
                )
                assert took_s < max(MAX_S, 8 * quarter_s), (start, end)
