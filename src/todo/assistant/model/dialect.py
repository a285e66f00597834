"""Chat Completions requests, adapted to the parameters that a server accepts.

Some servers reject what others need: newer models of OpenAI require `max_completion_tokens` and
their default temperature, and a few servers do not support `stream_options`. Their error response
names the parameter, and the request is repeated without it.
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
        """Return the dialect without the parameter that an error response names, or None."""
        for name in (each.name for each in dataclasses.fields(self)):
            if getattr(self, name) and name.encode() in response:
                return dataclasses.replace(self, **{name: False})
        return None

    def render(self, model: str, request: ModelRequest) -> bytes:
        """Return the request body; raise ModelError if a text cannot be encoded."""
        body: dict[str, Any] = {"model": model, "messages": request.messages, "stream": True}
        body["max_tokens" if self.max_tokens else "max_completion_tokens"] = request.max_tokens
        if self.temperature:
            # Greedy sampling: the same message should always yield the same intent.
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
            # A lone surrogate, which a model may have written.
            message = "the request cannot be encoded"
            raise ModelError("invalid", message, of_server=False) from None
