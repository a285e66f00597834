"""Responses from bytes: entity tags, conditional reads."""

import hashlib
import re
from dataclasses import dataclass, field

from fastapi import Request, Response

from todo.core.errors import MalformedRequestError, VersionMismatchError

JSON = "application/json"
MAX_TAGS = 16
"""Entity tags in one `If-Match`: a list of every possible version would be as good as `*`."""
# Clients that forget the quotes of a number are understood.
_TAG = re.compile(r'[ \t,]*+((?:W/)?"[!#-~\x80-\xff]*+"|[0-9]++)[ \t]*+(?=,|$)')


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response to a write, which a repeated request gets again.

    Attributes:
        status: Of the response.
        body: JSON, None for none.
        headers: Beside those that every response has.
        repeated: The body for a repeated request, where that must be another one.
    """

    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    repeated: bytes | None = None

    def render(self) -> Response:
        """Return the response."""
        return Response(
            self.body,
            status_code=self.status,
            headers=self.headers,
            media_type=None if self.body is None else JSON,
        )


def etag_for(version: int) -> str:
    """Return the entity tag of something with a version."""
    return f'"{version}"'


def version_of(body: bytes) -> int:
    """Return the version in a document, which is its last key."""
    return int(body[body.rindex(b":") + 1 : -1])


def json_response(request: Request, body: bytes, tag: str | None = None) -> Response:
    """Return the response to a read: 304 if the caller has the same already.

    Args:
        request: The request.
        body: JSON.
        tag: Its entity tag; a hash of the body by default.
    """
    tag = tag or f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    # The lines of a list are one list (RFC 9110, 5.2).
    known = ",".join(request.headers.getlist("if-none-match"))
    if known and _has_weakly(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)


def find_if_match(request: Request) -> str | None:
    """Return `If-Match`, the lines of which are one list (RFC 9110, 5.2); None where it is missing.

    This and `read_if_match` are the only readers of the header.
    """
    lines = request.headers.getlist("if-match")
    return ",".join(lines) if lines else None


def read_if_match(request: Request) -> frozenset[int] | None:
    """Return the versions that `If-Match` accepts, None for any.

    Raises:
        MalformedRequestError: It is not a list of entity tags, or has more than MAX_TAGS.
        VersionMismatchError: It names no version that there can be.
    """
    given = find_if_match(request)
    if given is None or given.strip() == "*":
        return None
    tags = _parse_tags(given)
    if len(tags) > MAX_TAGS:
        raise MalformedRequestError(
            f"If-Match has more than {MAX_TAGS} entity tags; send the ETag that you have read."
        )
    # A weak tag never matches strongly (RFC 9110, 8.8.3.2).
    numbers = (tag.strip('"') for tag in tags)
    versions = {
        int(number)
        for number in numbers
        if number.isascii() and number.isdigit() and len(number) < 20  # noqa: PLR2004 - a BIGINT
    }
    if not versions:
        raise VersionMismatchError
    return frozenset(versions)


def _parse_tags(text: str) -> list[str]:
    """Return the entity tags of a list; empty elements are allowed (RFC 9110, 5.6.1).

    Raises:
        MalformedRequestError: Something in it is not an entity tag, or there is none.
    """
    tags: list[str] = []
    position = 0
    while match := _TAG.match(text, position):
        tags.append(match[1])
        position = match.end()
    if not tags or text[position:].strip(" \t,"):
        raise MalformedRequestError(
            'If-Match is not a list of entity tags, such as "7"; send the ETag that you have read.'
        )
    return tags


def _has_weakly(known: str, tag: str) -> bool:
    """Whether a list of entity tags has one, by the weak comparison."""
    opaque = tag.removeprefix("W/")
    return known.strip() == "*" or any(
        part.strip().removeprefix("W/") == opaque for part in known.split(",")
    )
