"""Cursor pagination for collections that are sorted by one value."""

import base64
import binascii
from collections.abc import Callable
from typing import TypeVar

import orjson

from todo.core.validation_errors import field_error

_Value = TypeVar("_Value")
_VERSION = 1


def render_cursor(last: str) -> str:
    """Return the cursor of the page after a value."""
    raw = orjson.dumps([_VERSION, last])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def read_cursor(cursor: str, check: Callable[[str], _Value]) -> _Value:
    """Return the value after which a cursor continues.

    Args:
        cursor: As a caller sent it.
        check: Returns the value, or raises a ValueError.

    Raises:
        ValidationFailedError: It is not a cursor of such a page.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, last = orjson.loads(raw)
        known = version == _VERSION and isinstance(last, str)
        value = check(last) if known else None
    except (binascii.Error, ValueError, TypeError):
        value = None
    if value is None:
        message = "not a cursor of this list"
        raise field_error("cursor", message, place="query")
    return value


def render_page(items: list[bytes], next_cursor: str | None) -> bytes:
    """Return a page as JSON."""
    cursor = b"null" if next_cursor is None else f'"{next_cursor}"'.encode()
    return b'{"items":[%b],"next_cursor":%b}' % (b",".join(items), cursor)
