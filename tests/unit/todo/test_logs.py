import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.auth.tokens import Tokens
from todo.logs import EventFormatter, redact, request_id_var

WORDS = st.text(st.characters(categories=["L", "N"]), min_size=8)


def make_record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("todo.test")
    return logger.makeRecord(
        "todo.test", logging.INFO, "f", 1, message, arguments, None, None, extra
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
    token = Tokens(b"s" * 32).issue(subject, lifetime_s=60)

    assert redact(f"got {token}, sorry") == "got [redacted], sorry"
    assert token not in redact(f"Authorization: Bearer {token}")


def test_plain_text_stays_as_it_is() -> None:
    text = "listening on 127.0.0.1:8000 for alice@example.org"

    assert redact(text) == text


def test_an_event_is_one_line_with_the_named_fields() -> None:
    request_id_var.set("id-1")
    try:
        line = EventFormatter().format(make_record("hello\n%s", "world", status=200))
    finally:
        request_id_var.set("")
    event = json.loads(line)

    assert "\n" not in line
    assert event.pop("timestamp").endswith("+00:00")
    assert event == {
        "level": "INFO",
        "logger": "todo.test",
        "message": "hello\nworld",
        "request_id": "id-1",
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
