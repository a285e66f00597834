"""Sanitization of model output and tool results for the database and for JSON."""

import json

import orjson

from todo.assistant.turn.answer import Json

_MAX_CALLS_BYTES = 64 * 1024
"""Maximum size of an answer's stored tool calls, in bytes."""


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, which the database cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def to_json(value: object) -> bytes:
    """Serialize a value as JSON; replace lone surrogates, which orjson rejects."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def shorten_calls(calls: list[Json]) -> list[Json]:
    """Return tool calls for storage; omit results, then arguments, if they are too large."""
    if len(to_json(calls)) <= _MAX_CALLS_BYTES:
        return calls
    kept = [{**each, "result": {"omitted": True}} for each in calls]
    if len(to_json(kept)) <= _MAX_CALLS_BYTES:
        return kept
    return [{**each, "arguments": {"omitted": True}} for each in kept]
