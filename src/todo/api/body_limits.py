"""Limits on request bodies by route: bytes and JSON values (see `todo.api.request_body`)."""

import re
from typing import Any

from todo.core.errors import ValidationFailedError
from todo.core.validation_errors import field_error, shorten

MAX_KEYS = 64
"""Maximum number of keys in an object. Front ends may add fields of their own to a task."""
MAX_VALUES = 5000
"""Maximum number of values in a body. A full batch with all fields has 3,300."""

MCP_PATH = "/mcp"
"""Path of the MCP endpoint, where a call may add as many tasks as a batch."""

_Path = tuple[()] | tuple[Any, str]
"""Path of the enclosing container, and the key or index in it."""

_KIB = 1024
_BODY_BYTES = 16 * _KIB
# A description has up to 10,000 characters, each up to 12 bytes if escaped in JSON.
_TASK_BYTES = 192 * _KIB
_BATCH_BYTES = 1024 * _KIB
# Smaller than a batch, because a plan is stored with its operations.
_PLAN_BYTES = 256 * _KIB
_BATCH = "/api/v1/tasks/batch"
PLANS_PATH = "/api/v1/plans"
_ASSISTANT = "/api/v1/assistant"
# A chat message may be as long as a description.
_TASK = re.compile(r"/api/[^/]+/(?:tasks(?:/.*)?|chat)", re.DOTALL)


def find_body_limit(path: str) -> int:
    """Return the maximum size in bytes of a request body on a path."""
    if path in {_BATCH, MCP_PATH}:
        return _BATCH_BYTES
    if path == PLANS_PATH:
        return _PLAN_BYTES
    return _TASK_BYTES if path == _ASSISTANT or _TASK.fullmatch(path) else _BODY_BYTES


def refuse_many_values(body: object) -> None:
    """Reject parsed JSON with more values than any schema accepts.

    Otherwise, validation would report every unknown key or invalid item: 94,000 in a body of 1 MiB.

    Raises:
        ValidationFailedError: An object has too many keys, or the body has too many values.
    """
    waiting: list[tuple[_Path, object]] = [((), body)]
    total = 0
    while waiting:
        path, value = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        total += len(value)
        if isinstance(value, dict) and len(value) > MAX_KEYS:
            raise _refuse(path, "too_many_keys", f"must have at most {MAX_KEYS} keys")
        if total > MAX_VALUES:
            raise _refuse((), "too_many_values", f"must have at most {MAX_VALUES} values in all")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [((path, str(step)), each) for step, each in items]


def _refuse(path: _Path, code: str, message: str) -> ValidationFailedError:
    steps: list[str] = []
    while path:
        path, step = path
        steps.insert(0, shorten(step))
    return field_error(".".join(steps), message, code=code)
