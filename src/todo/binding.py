"""Listening addresses: what an option such as `127.0.0.1:8000` or `unix:/path` names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address (host and port) or a Unix socket (path)."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `[IPV6]:PORT` or `unix:/absolute/path`.

    Raises:
        ValueError: The text is none of these, or the port is not within 1..65535.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        # 107 bytes and a terminator is what sockaddr_un holds.
        if not path.startswith("/") or len(path.encode()) > 107:  # noqa: PLR2004
            msg = "a Unix socket is written unix:/absolute/path (at most 107 bytes)"
            raise ValueError(msg)
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not (colon and host and port.isascii() and port.isdigit())
        or not 0 < int(port) <= 65535  # noqa: PLR2004
        or (":" in host and not bracketed)
    ):
        msg = "an address is written HOST:PORT, [IPV6]:PORT or unix:/absolute/path"
        raise ValueError(msg)
    return Address(host=host.strip("[]"), port=int(port))
