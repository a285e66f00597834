"""Requests of Chat Completions, in the words that a server knows.

Some servers refuse what others need: newer models of OpenAI want `max_completion_tokens` and only
their own temperature, and a few servers do not know `stream_options`. Their response names the
parameter, and the request is sent again without it.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import orjson

from todo.assistant.model.client import ModelError, ModelRequest


@dataclass(frozen=True, slots=True)
class Dialect:
    """Request parameters that a server accepts."""

    max_tokens: bool = True
    temperature: bool = True
    stream_options: bool = True

    def adapt(self, response: bytes) -> Self | None:
        """Return what remains after a response with status 400, or None if nothing changes."""
        for name in (each.name for each in dataclasses.fields(self)):
            if getattr(self, name) and name.encode() in response:
                return dataclasses.replace(self, **{name: False})
        return None

    def render(self, model: str, request: ModelRequest) -> bytes:
        """Return the body of a request.

        Raises:
            ModelError: A text cannot be encoded.
        """
        body: dict[str, Any] = {"model": model, "messages": request.messages, "stream": True}
        body["max_tokens" if self.max_tokens else "max_completion_tokens"] = request.max_tokens
        if self.temperature:
            # The likeliest words: an intent is to be the same each time.
            body["temperature"] = 0
        if self.stream_options:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = request.tools
        if request.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        try:
            return orjson.dumps(body)
        except orjson.JSONEncodeError:
            # Half of a surrogate pair, which a model may have written.
            message = "the request cannot be encoded"
            raise ModelError("invalid", message, of_server=False) from None
