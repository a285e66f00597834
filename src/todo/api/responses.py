"""Responses rendered from bytes, with entity tags and conditional reads."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response

from todo.api.conditional import matches_weakly

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """Response to a write, which a repeated request receives again.

    Attributes:
        body: JSON, or None for an empty response.
        headers: Headers in addition to those of every response.
        repeated: Body for a repeated request, if it differs.
    """

    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    repeated: bytes | None = None

    def render(self) -> Response:
        """Render the response."""
        return Response(
            self.body,
            status_code=self.status,
            headers=self.headers,
            media_type=None if self.body is None else JSON,
        )


def declare_headers(*names: str) -> dict[str, Any]:
    """Return a `responses` entry that declares headers of `components.headers`."""
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def json_response(
    request: Request, body: bytes, tag: str | None = None, *, is_number_of_account: bool = False
) -> Response:
    """Return the response to a read, or 304 if the client already has this version.

    The entity tag is by default a hash of the body. `is_number_of_account` states that the tag is
    the number of an account's latest change; another account can have the same tag for the same
    URL. Browsers revalidate by tag regardless of `Vary`, so they must not store such a response.
    """
    tag = tag or f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    control = "no-store" if is_number_of_account else "private, no-cache"
    headers = {"etag": tag, "cache-control": control, "vary": "Authorization"}
    # Several lines form one list (RFC 9110, 5.2).
    known = ",".join(request.headers.getlist("if-none-match"))
    if known and matches_weakly(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)
