"""Texts of models and results of tools, as a conversation keeps them."""

from typing import Any

import orjson
import pytest

from todo.assistant.conversations.stored_texts import clean, shorten_calls, to_json


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Grüße 🦊", "Grüße 🦊"),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud83eb", "a?b"),
        ("", ""),
    ],
)
def test_a_text_is_what_a_database_takes(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("value", ["ü\0", {"a": ["\ud800", 1, None, True, 1.5]}, 2**70])
def test_every_value_becomes_json(value: object) -> None:
    text = to_json(value).decode()

    assert "\0" not in text
    assert "\ud800" not in text
    if not isinstance(value, int):
        orjson.loads(text)


def make_call(arguments: int, result: int) -> dict[str, Any]:
    return {
        "tool_name": "find_tasks",
        "arguments": {"text": "x" * arguments},
        "result": {"text": "y" * result},
    }


def test_small_calls_are_kept_as_they_are() -> None:
    calls = [make_call(10, 1000) for _ in range(10)]

    assert shorten_calls(calls) == calls


def test_large_results_are_left_out_before_arguments() -> None:
    (kept,) = shorten_calls([make_call(10, 100_000)])
    (nothing,) = shorten_calls([make_call(100_000, 100_000)])

    assert kept == {**make_call(10, 0), "result": {"omitted": True}}
    assert nothing == {
        "tool_name": "find_tasks",
        "arguments": {"omitted": True},
        "result": {"omitted": True},
    }
