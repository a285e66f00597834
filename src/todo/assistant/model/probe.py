"""Test whether the model of a server calls tools.

Small models write a call into their text, or ignore tools, and their servers do not enforce a call.
They are asked with a JSON Schema, which servers do enforce.
"""

import json

from todo.assistant.model.client import ModelAnswer, ModelClient, ModelError, ModelRequest

_NUMBER = 7
_TOOL = "set_number"
# Models that think first need room for it.
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
        ModelError: The server gave no answer.
    """
    try:
        return _is_call(await client.ask(_REQUEST, timeout_s=timeout_s))
    except ModelError as error:
        # Servers without tools refuse them; a model that answers nothing calls nothing.
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
