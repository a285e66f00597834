"""Neutralization of chat template control tokens, such as `<|im_start|>`, in a model's input.

A model server may read them as tokens wherever they are, so a title could end the message that
quotes it, and begin one of the system. An escaped bracket is part of no token, and a model that
copies a title into the arguments of a tool, which are JSON, writes the same bracket.
"""

import re
from collections.abc import Mapping
from typing import Any

# <|im_start|>, DeepSeek's with wide bars, </s>, <start_of_turn>, <<SYS>>, [INST], [TOOL_CALLS].
_OPENING = re.compile(r"<(?=[|\uff5c<]|/?\w[\w.|-]{0,40}>)|\[(?=/?[A-Za-z][A-Z0-9_]{1,30}\])")


def neutralize(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message for a model without control tokens.

    Args:
        message: Message in the format of Chat Completions.
    """
    return {name: _escape(value) for name, value in message.items()}


def _escape(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return _OPENING.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    if isinstance(value, Mapping):
        return neutralize(value)
    return list(map(_escape, value)) if isinstance(value, list) else value
