"""Probe that determines whether a model calls tools.

Small models ignore tools or write a call into their text, and their servers do not enforce calls.
Such models get a JSON Schema instead, which servers do enforce.
"""

import json

from todo.assistant.model.client import ModelAnswer, ModelClient, ModelError, ModelRequest

_NUMBER = 7
_TOOL = "set_number"
# Reasoning models need the large max_tokens for their thoughts.
_REQUEST = ModelRequest(
    messages=(
        {"role": "system", "content": "You work only by calling tools."},
        {"role": "user", "content": f"Set the number to {_NUMBER}."},
    ),
    tools=(
        {
            "type": "function",
            "function": {
                "name": _TOOL,
                "description": "Set the number.",
                "parameters": {
                    "type": "object",
                    "properties": {"number": {"type": "integer"}},
                    "required": ["number"],
                    "additionalProperties": False,
                },
            },
        },
    ),
    max_tokens=512,
)
_BAD_REQUEST = {400, 422}


async def calls_tools(client: ModelClient, timeout_s: float | None) -> bool:
    """Return whether the model calls a tool when the request clearly requires it.

    Raises:
        ModelError: The server returned no usable answer.
    """
    try:
        return _is_call(await client.ask(_REQUEST, timeout_s=timeout_s))
    except ModelError as error:
        # A server without tool support rejects the request; an empty answer contains no call.
        if error.status in _BAD_REQUEST or (error.reason == "invalid" and not error.of_server):
            return False
        raise


def _is_call(answer: ModelAnswer) -> bool:
    for call in answer.calls:
        try:
            if call.name == _TOOL and json.loads(call.arguments) == {"number": _NUMBER}:
                return True
        except (ValueError, RecursionError):
            continue
    return False
