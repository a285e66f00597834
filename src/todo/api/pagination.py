"""Cursors that lead from one page to the next, and pages as JSON."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from todo.core.validation_errors import field_error

_Value = TypeVar("_Value")
_VERSION = 1


def encode_cursor(*position: Any) -> str:  # noqa: ANN401 - JSON
    """Return the cursor of the page after a position in an order."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, parse: Callable[..., _Value]) -> _Value:
    """Return the position after which a cursor continues.

    Args:
        cursor: Cursor from the request.
        parse: Converts the parts of a position, which may have any type; raises a ValueError,
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
    """Return the cursor of the page after a value, in the order of that value."""
    return encode_cursor(_VERSION, last)


def read_cursor(cursor: str, check: Callable[[str], _Value]) -> _Value:
    """Return the value after which a cursor continues.

    Args:
        cursor: Cursor from the request.
        check: Returns the value, or raises a ValueError.

    Raises:
        ValidationFailedError: The cursor is invalid, or belongs to another kind of page.
    """

    def parse(version: object, last: object) -> _Value:
        if version != _VERSION or not isinstance(last, str):
            raise ValueError
        return check(last)

    return decode_cursor(cursor, parse)


def render_page(items: list[bytes], next_cursor: str | None) -> bytes:
    """Return a page as JSON."""
    cursor = b"null" if next_cursor is None else f'"{next_cursor}"'.encode()
    return b'{"items":[%b],"next_cursor":%b}' % (b",".join(items), cursor)
