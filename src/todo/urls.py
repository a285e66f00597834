"""Addresses of others, as options name them: origins of front ends, an issuer's key set."""

import re
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

ForwardedHeader = Literal["x-forwarded-for", "forwarded", "none"]
"""The header in which a trusted proxy names the client; see `todo.forwarded`."""

# Lower case, as browsers send it; no path, and neither `*` nor `null`.
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


def parse_origins(text: str) -> tuple[str, ...]:
    """Split a list of origins at its commas.

    Raises:
        ValueError: One of them is no origin.
    """
    origins = tuple(name.strip().rstrip("/") for name in text.split(",") if name.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError("must be origins such as https://todo.example")
    return origins


def check_secure(text: str) -> str:
    """Return an address whose answers can be trusted: over TLS, or on this machine.

    Raises:
        ValueError: It is none.
    """
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        parts, host = None, ""
    # Before an @ there would be a password, which belongs into no address.
    odd = not text.isascii() or not text.isprintable() or " " in text
    if parts is None or not host or odd or "@" in parts.netloc or parts.fragment:
        raise ValueError("must be an address such as https://auth.example/api/auth/jwks")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_local(host)):
        raise ValueError("must begin with https://, or http:// on this machine")
    return text


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
