"""Parser of a model server's answer: server-sent events, chunks and tool calls in pieces.

Servers differ: some send a call in one piece, some omit its index or ID, some send an empty
`choices` with the token counts, and some return one JSON object although a stream was requested.
The parser does no I/O.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from todo.assistant.model.client import ModelAnswer, ModelError, ModelToolCall, TokenCount

MAX_ANSWER_BYTES = 2 * 1024 * 1024
MAX_LINE_BYTES = 256 * 1024
MAX_TEXT_CHARACTERS = 64 * 1024
MAX_CALLS = 32
DONE = b"[DONE]"

# Average for English text, used if the server does not report token counts.
_BYTES_PER_TOKEN = 4
_MAX_TOKENS = 100_000_000


def estimate_tokens(size: int) -> int:
    """Return the estimated number of tokens of a text with `size` bytes."""
    return -(-size // _BYTES_PER_TOKEN)


class EventLines:
    """Parser that splits a stream of server-sent events into their data."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of each event that the piece completes.

        Raises:
            ModelError: The stream or a line is too long, or the server reports an error.
        """
        start = len(self._buffer)
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            raise ModelError("invalid", "the answer is too long")
        self._buffer += piece
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            start = 0
            yield from self._add(line)
        if len(self._buffer) > MAX_LINE_BYTES:
            raise ModelError("invalid", "a line of the answer is too long")

    def end(self) -> Iterator[bytes]:
        """Yield the data of the last event if the stream ended without a blank line."""
        yield from self._add(bytes(self._buffer).rstrip(b"\r"))
        yield from self._add(b"")

    def _add(self, line: bytes) -> Iterator[bytes]:
        if not line:
            if self._data:
                yield b"\n".join(self._data)
                self._data.clear()
            return
        name, _colon, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"error":
            raise ModelError("server-error", "the stream reports an error")


class AnswerBuilder:
    """Builder that joins the chunks of one answer and, if necessary, estimates its tokens."""

    def __init__(self, request_bytes: int) -> None:
        self._request_bytes = request_bytes
        self._texts: list[str] = []
        self._text_characters = 0
        self._calls: list[_Call] = []
        self._usage: Mapping[str, Any] = {}
        self._thought_bytes = 0
        self._has_choices = False
        self.has_chunks = False
        self.finish_reason = ""

    def add(self, data: bytes) -> tuple[str, bool]:
        """Add a chunk or a complete answer.

        Returns:
            Text of the chunk, and whether it contains any token.

        Raises:
            ModelError: The chunk is invalid or reports an error.
        """
        chunk = _object(data)
        self.has_chunks = True
        if error := chunk.get("error"):
            raise find_error(error)
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = chunk.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(each, dict) for each in choices):
            raise ModelError("invalid", "`choices` in the answer is not a list of objects")
        for choice in choices:
            # A tuple, because an invalid index may be unhashable.
            if choice.get("index") in (None, 0):
                return self._add_choice(choice)
        return "", False

    def finish(self) -> ModelAnswer:
        """Return the answer; raise ModelError if it contains neither text nor a call."""
        text = "".join(self._texts)
        calls = tuple(
            ModelToolCall(call.id or f"call_{number}", call.name, "".join(call.arguments))
            for number, call in enumerate(self._calls)
        )
        if not text.strip() and not calls:
            # An empty text is the model's fault, a missing choice the server's.
            raise ModelError("invalid", "the answer is empty", of_server=not self._has_choices)
        used = self.count()
        return ModelAnswer(text, calls, used.prompt, used.output)

    def count(self) -> TokenCount:
        """Return the tokens used so far."""
        size = self._thought_bytes + sum(len(text.encode()) for text in self._texts)
        size += sum(len(call.name) + sum(map(len, call.arguments)) for call in self._calls)
        return TokenCount(
            self._count("prompt_tokens", self._request_bytes),
            self._count("completion_tokens", size),
        )

    def _count(self, name: str, size: int) -> int:
        count = self._usage.get(name)
        if not isinstance(count, int) or isinstance(count, bool):
            return estimate_tokens(size)
        # A higher count is a mistake of the server and would overflow the database column.
        return count if 0 <= count <= _MAX_TOKENS else estimate_tokens(size)

    def _add_choice(self, choice: Mapping[str, Any]) -> tuple[str, bool]:
        self._has_choices = True
        reason = choice.get("finish_reason")
        if reason == "error":
            raise ModelError("server-error", "the answer ends with an error")
        if isinstance(reason, str):
            self.finish_reason = reason
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, dict):
            raise ModelError("invalid", "a piece of the answer is not an object")
        # The database cannot store NUL.
        text = _text(delta, "content").replace("\0", "")
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if text:
            self._texts.append(text)
            self._text_characters += len(text)
            if self._text_characters > MAX_TEXT_CHARACTERS:
                raise ModelError("invalid", "the text is too long")
        if isinstance(thought, str):
            self._thought_bytes += len(thought)
        calls = delta.get("tool_calls") or []
        if not isinstance(calls, list):
            raise ModelError("invalid", "the calls of the answer are not a list")
        for call in calls:
            self._add_call(call)
        return text, bool(text or thought or calls)

    def _add_call(self, piece: object) -> None:
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(piece, dict) or not isinstance(function, dict):
            raise ModelError("invalid", "a call of the answer is not an object")
        name = _text(function, "name")
        call = self._find_call(piece.get("index"), _text(piece, "id"), name)
        call.name = call.name or name
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = _render_arguments(arguments)
        if arguments is not None and not isinstance(arguments, str):
            raise ModelError("invalid", "the arguments of a call are not a text")
        call.arguments.append(arguments or "")

    def _find_call(self, index: object, identifier: str, name: str) -> "_Call":
        """Return the call that a piece continues, or a new one.

        A piece without an ID continues the call with its index. A new ID starts a call, because
        some servers send index 0 for every call. Without ID and index, a name starts a call.
        """
        known = [each for each in self._calls if index is None or each.index == index]
        if known:
            other = bool(identifier and known[-1].id and identifier != known[-1].id)
            starts = index is None and not identifier and bool(name and known[-1].name)
            if not other and not starts:
                known[-1].id = known[-1].id or identifier
                return known[-1]
        if len(self._calls) == MAX_CALLS:
            raise ModelError("invalid", "the answer has too many calls")
        call = _Call(index, identifier)
        self._calls.append(call)
        return call


@dataclass(slots=True)
class _Call:
    index: object
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


def find_error(error: object) -> ModelError:
    """Return the error that a server reports within an answer.

    The server's message is not logged: it may quote the request or part of the key.
    """
    details = error if isinstance(error, dict) else {}
    kind = str(details.get("type") or details.get("code") or "")
    if details.get("code") == 429 or "rate_limit" in kind:  # noqa: PLR2004
        return ModelError("rate-limited", "the answer reports a rate limit")
    return ModelError("server-error", "the answer reports an error")


def _render_arguments(arguments: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(arguments).decode()
    except orjson.JSONEncodeError:
        # orjson parses deeper nesting than it serializes. The nesting is the model's output.
        message = "the arguments of a call are nested too deeply"
        raise ModelError("invalid", message, of_server=False) from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ModelError("invalid", "the answer is not JSON") from None
    if not isinstance(value, dict):
        raise ModelError("invalid", "the answer is not an object")
    return value


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ModelError("invalid", f"`{name}` in the answer is not a text")
    return value
