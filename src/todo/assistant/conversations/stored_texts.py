"""Texts of models and results of tools, made fit for the database and for JSON."""

import json

import orjson

from todo.assistant.turn.answer import Json

_MAX_CALLS_BYTES = 64 * 1024
"""Maximum size of the stored tool calls of an answer."""


def clean(text: str) -> str:
    """Return a text without characters that cannot be stored: NUL and lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def to_json(value: object) -> bytes:
    """Return a value as JSON, also with invalid characters of a model."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def shorten_calls(calls: list[Json]) -> list[Json]:
    """Return tool calls as a conversation keeps them: without results if those are large."""
    if len(to_json(calls)) <= _MAX_CALLS_BYTES:
        return calls
    kept = [{**each, "result": {"omitted": True}} for each in calls]
    if len(to_json(kept)) <= _MAX_CALLS_BYTES:
        return kept
    return [{**each, "arguments": {"omitted": True}} for each in kept]
