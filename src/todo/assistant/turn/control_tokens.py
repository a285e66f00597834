"""Neutralization of chat template control tokens, such as `<|im_start|>`, in a model's input.

A model server may interpret them anywhere, so a title could end the message that quotes it and
start a system message. Escaping the bracket breaks the token. A model that copies the escaped title
into the JSON arguments of a tool still passes the original bracket.
"""

import re
from collections.abc import Mapping
from typing import Any

# <|im_start|>, DeepSeek's with wide bars, </s>, <start_of_turn>, <<SYS>>, [INST], [TOOL_CALLS].
_OPENING = re.compile(r"<(?=[|\uff5c<]|/?\w[\w.|-]{0,40}>)|\[(?=/?[A-Za-z][A-Z0-9_]{1,30}\])")


def neutralize(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Chat Completions message with all control tokens escaped."""
    return {name: _escape(value) for name, value in message.items()}


def _escape(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return _OPENING.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    if isinstance(value, Mapping):
        return neutralize(value)
    return list(map(_escape, value)) if isinstance(value, list) else value
