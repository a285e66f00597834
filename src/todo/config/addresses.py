"""Addresses in options: listen addresses, origins of front ends, other services."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

ForwardedHeader = Literal["x-forwarded-for", "forwarded", "none"]
"""Header in which a trusted proxy names the client (see `todo.api.proxy_headers`)."""

# Browsers send an origin in lower case and without a path; `*` and `null` are not origins.
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Address:
    """TCP address (host and port) or Unix socket (path)."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse `HOST:PORT`, `[IPV6]:PORT` or `unix:/absolute/path`.

    Raises:
        ValueError: The text has another form, or the port is not within 1..65535.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        # Capacity of sockaddr_un without its terminator.
        if not path.startswith("/") or len(path.encode()) > 107:  # noqa: PLR2004
            msg = "must be unix:/absolute/path of at most 107 bytes"
            raise ValueError(msg)
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not (colon and host and port.isascii() and port.isdigit())
        or not 0 < int(port) <= 65535  # noqa: PLR2004
        or (":" in host and not bracketed)
    ):
        msg = "must be HOST:PORT, [IPV6]:PORT or unix:/absolute/path"
        raise ValueError(msg)
    return Address(host=host.strip("[]"), port=int(port))


def parse_origins(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of origins.

    Raises:
        ValueError: An element is not an origin.
    """
    origins = tuple(name.strip().rstrip("/") for name in text.split(",") if name.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError("must be origins such as https://todo.example")
    return origins


def check_model_server(text: str) -> str:
    """Validate and return the address of a model server: a Unix socket, or its API's base URL.

    Raises:
        ValueError: The address is neither, or is not secure.
    """
    if text.startswith("unix:"):
        return str(parse_address(text))
    if "?" in text:
        raise ValueError("must be a URL without a query")
    return check_secure(text.rstrip("/"), example="https://model.example/v1")


def check_secure(text: str, *, example: str = "https://auth.example/api/auth/jwks") -> str:
    """Validate and return the URL of a server that can be trusted: over TLS, or on this machine.

    Raises:
        ValueError: The URL is invalid or not secure; the message contains the example.
    """
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        parts, host = None, ""
    # An @ may follow a password, which must not be in a URL.
    odd = not text.isascii() or not text.isprintable() or " " in text
    if parts is None or not host or odd or "@" in parts.netloc or parts.fragment:
        raise ValueError(f"must be a URL such as {example}")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_local(host)):
        raise ValueError("must start with https://, or http:// for this machine")
    return text


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
