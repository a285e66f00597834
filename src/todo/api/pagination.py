"""Pagination: cursors, and pages as JSON."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from todo.core.validation_errors import field_error

_Value = TypeVar("_Value")
_VERSION = 1


def encode_cursor(*position: Any) -> str:  # noqa: ANN401 - JSON
    """Return the cursor of the page that follows a position in a sort order."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, parse: Callable[..., _Value]) -> _Value:
    """Return the position encoded in a cursor.

    `parse` converts the parts of the position, which may have any type; it raises a ValueError,
    TypeError, AttributeError or OverflowError if they are invalid.

    Raises:
        ValidationFailedError: The cursor is invalid, or belongs to another kind of page.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return parse(*orjson.loads(raw))
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError):
        raise field_error("cursor", "is not a cursor of this collection", place="query") from None


def render_cursor(last: str) -> str:
    """Return the cursor of the page that follows a value."""
    return encode_cursor(_VERSION, last)


def read_cursor(cursor: str, check: Callable[[str], _Value]) -> _Value:
    """Return the value encoded in a cursor; `check` converts it or raises a ValueError.

    Raises:
        ValidationFailedError: The cursor is invalid, or belongs to another kind of page.
    """

    def parse(version: object, last: object) -> _Value:
        if version != _VERSION or not isinstance(last, str):
            raise ValueError
        return check(last)

    return decode_cursor(cursor, parse)


def render_page(items: list[bytes], next_cursor: str | None) -> bytes:
    """Render a page as JSON."""
    cursor = b"null" if next_cursor is None else f'"{next_cursor}"'.encode()
    return b'{"items":[%b],"next_cursor":%b}' % (b",".join(items), cursor)
