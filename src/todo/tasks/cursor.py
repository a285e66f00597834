"""The opaque cursor of a page: the id after which the next page begins."""

import base64
import binascii
from uuid import UUID

from todo.errors import ValidationFailedError

# Leaves room for another kind of cursor without mistaking an old one for it.
_VERSION = b"\x01"
_LENGTH = 17


def encode_cursor(after: UUID) -> str:
    """Return the cursor of the page that follows an id."""
    return base64.urlsafe_b64encode(_VERSION + after.bytes).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str) -> UUID:
    """Return the id after which the page begins.

    Raises:
        ValidationFailedError: The text is no cursor of this service.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _LENGTH or raw[:1] != _VERSION or encode_cursor(UUID(bytes=raw[1:])) != cursor:
        error = {"in": "query", "field": "cursor", "code": "invalid", "message": "not a cursor"}
        raise ValidationFailedError(errors=[error])
    return UUID(bytes=raw[1:])
