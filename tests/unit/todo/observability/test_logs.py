import json
import logging
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.auth.api_tokens import make_secret, render_token
from todo.auth.tokens import TokenVerifier
from todo.observability.logs import (
    ACCESS_LOGGER,
    EventFormatter,
    LineHandler,
    redact,
    request_id_var,
)
from todo.observability.trace_context import Trace, trace_var

WORDS = st.text(st.characters(categories=["L", "N"]), min_size=8)


def make_record(
    message: str, *arguments: object, logger: str = "todo.test", **extra: object
) -> logging.LogRecord:
    return logging.getLogger(logger).makeRecord(
        logger, logging.INFO, "f", 1, message, arguments, None, None, extra
    )


@given(WORDS, st.sampled_from(["password=", "PASSWORD: ", "token=", "api_key=", '"secret": "']))
def test_what_follows_a_telling_name_is_redacted(secret: str, name: str) -> None:
    assert secret not in redact(f"{name}{secret}").removeprefix(name)


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=40))
def test_the_password_of_an_address_is_redacted(secret: str) -> None:
    text = redact(f"cannot reach postgresql://todo:{secret}@db/todo")

    assert text == "cannot reach postgresql://todo:[redacted]@db/todo"


@given(st.text(st.characters(categories=["L"]), min_size=1, max_size=50))
def test_a_token_is_redacted_wherever_it_is(subject: str) -> None:
    token = TokenVerifier(b"s" * 32).issue(subject, lifetime_s=60)

    assert redact(f"got {token}, sorry") == "got [redacted], sorry"
    assert token not in redact(f"Authorization: Bearer {token}")


def test_of_an_api_token_the_id_stays() -> None:
    token = render_token("01934c5e-0000-7000-8000-000000000001", make_secret())

    assert redact(f"got {token}, sorry") == (
        "got todo_01934c5e000070008000000000000001_[redacted], sorry"
    )


def test_plain_text_stays_as_it_is() -> None:
    text = "listening on 127.0.0.1:8000 for alice@example.org"

    assert redact(text) == text


def test_an_event_is_one_line_with_the_named_fields() -> None:
    request_id_var.set("id-1")
    trace_var.set(Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
    try:
        line = EventFormatter().format(make_record("hello\n%s", "world", status=200))
    finally:
        request_id_var.set("")
        trace_var.set(None)
    event = json.loads(line)

    assert "\n" not in line
    assert event.pop("timestamp").endswith("+00:00")
    assert event == {
        "level": "INFO",
        "logger": "todo.test",
        "message": "hello\nworld",
        "request_id": "id-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "status": 200,
    }


def test_a_traceback_is_redacted() -> None:
    record = make_record("failed")
    try:
        int("password=sesame-123")
    except ValueError:
        record.exc_info = sys.exc_info()

    line = EventFormatter().format(record)

    assert "ValueError" in line
    assert "sesame" not in line


@pytest.mark.parametrize("text", ["eyJ", "a.b.c", "tokens are issued by admin"])
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_time_is_that_of_the_event() -> None:
    formatter = EventFormatter()
    record = make_record("hello")
    times = []
    for created in (1767225599.999999, 1767225600.0, 1767225600.25, 1767225599.5):
        record.created = created
        times.append(json.loads(formatter.format(record))["timestamp"])

    assert times == [
        "2025-12-31T23:59:59.999999+00:00",
        "2026-01-01T00:00:00.000000+00:00",
        "2026-01-01T00:00:00.250000+00:00",
        "2025-12-31T23:59:59.500000+00:00",
    ]


def test_extra_text_is_redacted() -> None:
    line = EventFormatter().format(make_record("failed", address="https://me:sesame@host/"))

    assert json.loads(line)["address"] == "https://me:[redacted]@host/"


def test_an_access_event_has_the_same_fields() -> None:
    fields = {"method": "GET", "route": "/tasks", "status": 200, "duration_ms": 1.5}
    formatter = EventFormatter()

    event = json.loads(formatter.format(make_record("request", logger=ACCESS_LOGGER, **fields)))

    assert fields.items() <= event.items()
    assert list(event)[:4] == ["timestamp", "level", "logger", "message"]


@given(st.text(st.characters(), max_size=20), st.integers())
def test_whatever_an_event_holds_is_one_line_of_json(text: str, number: int) -> None:
    record = make_record("%s", text + "\ud800", number=number, odd=object())

    line = EventFormatter().format(record)

    assert "\n" not in line
    assert json.loads(line)["number"] == number


def test_each_event_is_written_at_once() -> None:
    reader, writer = os.pipe()
    handler = LineHandler(writer)
    handler.setFormatter(EventFormatter())
    try:
        handler.handle(make_record("one"))
        handler.handle(make_record("two"))
        lines = os.read(reader, 4096).splitlines()
    finally:
        os.close(reader)
        os.close(writer)

    assert [json.loads(line)["message"] for line in lines] == ["one", "two"]
