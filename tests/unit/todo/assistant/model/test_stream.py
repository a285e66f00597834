import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from todo.assistant.model.client import ModelError, ModelToolCall
from todo.assistant.model.stream import AnswerBuilder, EventLines

WHOLE = {
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "delta": {
                "content": "x",
                "reasoning_content": "y",
                "tool_calls": [
                    {"index": 0, "id": "a", "function": {"name": "find", "arguments": "{}"}}
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
KINDS: tuple[object, ...] = (None, True, -1, 2**63, 1.5, "", "x", [], [[]], {}, {"x": {}})


def replace_each(value: object, other: object) -> Iterator[object]:
    """Yield a document once for each of its places, with something else in that place."""
    yield other
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: changed} for changed in replace_each(inner, other))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            for changed in replace_each(inner, other):
                yield [*value[:number], changed, *value[number + 1 :]]


def split(*pieces: bytes) -> list[bytes]:
    lines = EventLines()
    found = [data for piece in pieces for data in lines.feed(piece)]
    return [*found, *lines.end()]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: a\n\ndata: b\n\n"],
        [b"data:a\r\n\r\n: note\r\ndata:b\r\n\r\n"],
        [b"da", b"ta: a\n", b"\nid: 7\ndata: b"],
        [bytes([each]) for each in b"event: x\ndata: a\n\n\n\ndata: b\n"],
    ],
)
def test_events_are_found_however_they_arrive(pieces: list[bytes]) -> None:
    assert split(*pieces) == [b"a", b"b"]


def test_the_lines_of_one_event_are_joined() -> None:
    assert split(b"data: {\ndata: }\n\n") == [b"{\n}"]


def join(*pieces: dict[str, Any]) -> tuple[ModelToolCall, ...]:
    builder = AnswerBuilder(100)
    for piece in pieces:
        builder.add(json.dumps({"choices": [{"delta": {"tool_calls": [piece]}}]}).encode())
    return builder.finish().calls


def piece(arguments: object, name: str | None = None, **given: object) -> dict[str, Any]:
    return {**given, "function": {"name": name, "arguments": arguments}}


def test_pieces_of_several_calls_may_alternate() -> None:
    assert join(
        piece("{", "a", index=0, id="x"),
        piece("[", "b", index=1, id="y"),
        piece("}", index=0),
        piece("]", index=1),
    ) == (ModelToolCall("x", "a", "{}"), ModelToolCall("y", "b", "[]"))


def test_calls_that_all_have_the_number_0_are_told_apart_by_their_ids() -> None:
    assert join(piece("{}", "a", index=0, id="x"), piece("[]", "b", index=0, id="y")) == (
        ModelToolCall("x", "a", "{}"),
        ModelToolCall("y", "b", "[]"),
    )


def test_calls_without_numbers_and_ids_start_with_a_name() -> None:
    assert join(piece("{", "a"), piece("}"), piece("[]", "b")) == (
        ModelToolCall("call_0", "a", "{}"),
        ModelToolCall("call_1", "b", "[]"),
    )


def test_an_id_may_come_after_the_first_piece() -> None:
    assert join(piece("{", "a", index=0), piece("}", index=0, id="x")) == (
        ModelToolCall("x", "a", "{}"),
    )


@pytest.mark.parametrize(("arguments", "text"), [({"a": 1}, '{"a":1}'), (None, ""), ({}, "{}")])
def test_arguments_are_a_text_in_the_end(arguments: object, text: str) -> None:
    assert join(piece(arguments, "a", id="x")) == (ModelToolCall("x", "a", text),)


@pytest.mark.parametrize(
    "counts",
    [None, {}, *({"prompt_tokens": count} for count in (-1, "9", True, 10**9, 2**63))],
)
def test_tokens_that_no_server_has_counted_are_estimated(counts: object) -> None:
    builder = AnswerBuilder(400)
    choice = {"message": {"content": "x" * 8}}
    builder.add(json.dumps({"choices": [choice], "usage": counts}).encode())
    answer = builder.finish()

    assert (answer.prompt_tokens, answer.output_tokens) == (100, 2)


def test_no_nul_character_gets_into_a_text() -> None:
    builder = AnswerBuilder(1)

    assert builder.add(b'{"choices": [{"delta": {"content": "a\\u0000b"}}]}') == ("ab", True)
    assert builder.finish().text == "ab"


@pytest.mark.parametrize("other", KINDS, ids=json.dumps)
@pytest.mark.parametrize("whole", [WHOLE, {"error": {"type": "x", "code": 1}}], ids=["", "error"])
def test_an_answer_with_anything_in_any_place_is_read_or_invalid(
    whole: object, other: object
) -> None:
    for chunk in replace_each(whole, other):
        # The second time, it continues what came before.
        builder = AnswerBuilder(100)
        with contextlib.suppress(ModelError):
            for _ in range(2):
                builder.add(json.dumps(chunk).encode())
            builder.finish()
        builder.count()
