"""Conditional requests (RFC 9110, 13): entity tags, If-Match and If-None-Match."""

import re
from typing import Any

from fastapi import Request

from todo.core.errors import MalformedRequestError, VersionMismatchError

MAX_TAGS = 16
"""Maximum number of entity tags in `If-Match`; a list of all versions would act like `*`."""

IF_MATCH: dict[str, Any] = {"parameters": [{"$ref": "#/components/parameters/If-Match"}]}
"""`openapi_extra` of routes whose endpoint calls `read_if_match`."""

# Bare numbers are accepted too, for clients that omit the quotes.
_TAG = re.compile(r'[ \t,]*+((?:W/)?"[!#-~\x80-\xff]*+"|[0-9]++)[ \t]*+(?=,|$)')


def etag_for(version: int) -> str:
    """Return the entity tag of a resource version."""
    return f'"{version}"'


def find_if_match(request: Request) -> str | None:
    """Return the `If-Match` lines joined into one list (RFC 9110, 5.2), or None without them."""
    lines = request.headers.getlist("if-match")
    return ",".join(lines) if lines else None


def read_if_match(request: Request) -> frozenset[int] | None:
    """Return the versions that `If-Match` accepts, or None for any version.

    Raises:
        MalformedRequestError: The header is not a list of entity tags, or has too many.
        VersionMismatchError: No entity tag has the form of a version.
    """
    given = find_if_match(request)
    if given is None or given.strip() == "*":
        return None
    tags = _parse_tags(given)
    if len(tags) > MAX_TAGS:
        raise MalformedRequestError(
            f"If-Match has more than {MAX_TAGS} entity tags; send only the ETag that you have read."
        )
    # A weak tag never matches in a strong comparison (RFC 9110, 8.8.3.2).
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
    """Return the entity tags of a list; empty elements are allowed (RFC 9110, 5.6.1)."""
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


def matches_weakly(known: str, tag: str) -> bool:
    """Return whether a list of entity tags contains the tag, by weak comparison."""
    opaque = tag.removeprefix("W/")
    return known.strip() == "*" or any(
        part.strip().removeprefix("W/") == opaque for part in known.split(",")
    )
