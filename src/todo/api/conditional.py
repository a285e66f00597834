"""Conditional requests (RFC 9110, 13): entity tags, If-Match and If-None-Match."""

import re
from typing import Any

from fastapi import Request

from todo.core.errors import MalformedRequestError, VersionMismatchError

MAX_TAGS = 16
"""Entity tags in one `If-Match`: a list of every possible version would be as good as `*`."""

IF_MATCH: dict[str, Any] = {"parameters": [{"$ref": "#/components/parameters/If-Match"}]}
"""The `openapi_extra` of a route whose endpoint calls `read_if_match`."""

# Clients that forget the quotes of a number are understood.
_TAG = re.compile(r'[ \t,]*+((?:W/)?"[!#-~\x80-\xff]*+"|[0-9]++)[ \t]*+(?=,|$)')


def etag_for(version: int) -> str:
    """Return the entity tag of something with a version."""
    return f'"{version}"'


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
            f"If-Match has more than {MAX_TAGS} entity tags; send only the ETag that you have read."
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
        MalformedRequestError: An element is not an entity tag, or the list is empty.
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


def matches_weakly(known: str, tag: str) -> bool:
    """Return whether a list of entity tags has one, by the weak comparison."""
    opaque = tag.removeprefix("W/")
    return known.strip() == "*" or any(
        part.strip().removeprefix("W/") == opaque for part in known.split(",")
    )
