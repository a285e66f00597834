"""Listen addresses of socket units: parsing, comparison and connections."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import ipaddress
import os
import socket
from pathlib import Path

_MAX_PORT = 65535
_MAX_PATH_BYTES = 107
"""Maximum length of a path in sockaddr_un, without its terminator."""
_TCP_LISTEN = "0A"
_TCP_INODE = 9
_UNIX_INODE = 6
_UNIX_PATH = 7
"""Column numbers in the tables of /proc/net."""
_ACCEPTS = 0x10000
"""__SO_ACCEPTCON in /proc/net/unix."""


@dataclasses.dataclass(frozen=True)
class Address:
    """A TCP address, or the path of a Unix socket.

    Attributes:
        text: Address in systemd's notation ("127.0.0.1:8000", "/run/todo.sock").
        ip: IP address of a TCP socket; None otherwise.
        port: Port of a TCP socket; 0 otherwise.
        path: Path of a Unix socket, with a leading "@" if it is abstract; empty otherwise.
        place: File and line of the address, if it comes from a file.
    """

    text: str = dataclasses.field(compare=False)
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    port: int = 0
    path: str = ""
    place: str = dataclasses.field(default="", compare=False)

    @property
    def host(self) -> str:
        """IP address without the port, as in a URL."""
        return self.text.rpartition(":")[0]

    @property
    def url(self) -> str:
        """URL of the address for clients."""
        return f"unix:{self.path}" if self.path else f"http://{self.text}"

    def overlaps(self, other: Address, *, ipv6_only: bool = False) -> bool:
        """Return whether the addresses conflict; with `ipv6_only`, `[::]` does not include IPv4."""
        if self.ip is None or other.ip is None:
            return self == other
        return self.port == other.port and (
            self.ip == other.ip
            or self._includes(other, ipv6_only=ipv6_only)
            or other._includes(self, ipv6_only=ipv6_only)
        )

    def find_bind_error(self) -> int:
        """Return the errno of binding to the address; 0 if it is free, or cannot be tested."""
        if self.ip is None or self.ip.is_link_local:
            return 0
        family = socket.AF_INET if self.ip.version == 4 else socket.AF_INET6  # noqa: PLR2004
        try:
            with socket.socket(family) as probe:
                # As in systemd, a port in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((str(self.ip), self.port))
        except OSError as error:
            return error.errno or -1
        return 0

    def open_http(self, timeout_s: float) -> http.client.HTTPConnection:
        """Return an HTTP connection to the address, which is not opened yet."""
        if self.path:
            return _UnixConnection(self.path, timeout_s)
        return http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=timeout_s)

    def _includes(self, other: Address, *, ipv6_only: bool) -> bool:
        if self.ip is None or other.ip is None or not self.ip.is_unspecified:
            return False
        both = self.ip.version == 6 and not ipv6_only  # noqa: PLR2004
        return both or self.ip.version == other.ip.version


def parse(text: str, *, place: str = "") -> Address:
    """Parse an address in the format of ListenStream=.

    Args:
        text: `IPV4:PORT`, `[IPV6]:PORT`, a port for all addresses, or a path.
        place: File and line of the address.

    Raises:
        ValueError: The text is not an address; the message is the reason.
    """
    if text.startswith(("/", "@")):
        if len(os.fsencode(text)) > _MAX_PATH_BYTES:
            message = f"the path of a Unix socket must have at most {_MAX_PATH_BYTES} bytes"
            raise ValueError(message)
        return Address(text, path=text, place=place)
    # In systemd, a port by itself means all addresses.
    every = "[::]" if Path("/proc/net/if_inet6").exists() else "0.0.0.0"  # noqa: S104
    text = f"{every}:{text}" if text.isdigit() else text
    host, _, port = text.rpartition(":")
    port = port.partition("%")[0]
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        ip = None
    if ip is None or (ip.version == 6) == (bare == host) or not _is_number(port):  # noqa: PLR2004
        message = "an address must be IPV4:PORT, [IPV6]:PORT, a port, or an absolute path"
        raise ValueError(message)
    if not 0 < int(port) <= _MAX_PORT:
        message = f"a port must be a number from 1 to {_MAX_PORT}"
        raise ValueError(message)
    return Address(text, ip, int(port), place=place)


def parse_shown(text: str) -> Address:
    """Parse an address that systemd prints; for an unsupported kind, only the text is set."""
    with contextlib.suppress(ValueError):
        return parse(text)
    return Address(text)


def find_listening() -> dict[Address, set[str]]:
    """Return the addresses on which this machine listens -> inodes of the sockets."""
    found: dict[Address, set[str]] = {}
    for name in ("tcp", "tcp6"):
        for fields in _rows(name):
            if fields[3] == _TCP_LISTEN:
                found.setdefault(_decode(fields[1]), set()).add(fields[_TCP_INODE])
    for fields in _rows("unix"):
        if len(fields) > _UNIX_PATH and int(fields[3], 16) & _ACCEPTS:
            path = " ".join(fields[_UNIX_PATH:])
            found.setdefault(Address(path, path=path), set()).add(fields[_UNIX_INODE])
    return found


def _rows(table: str) -> list[list[str]]:
    path = Path("/proc/net") / table
    lines = path.read_text(errors="surrogateescape").splitlines() if path.exists() else []
    return [line.split() for line in lines[1:]]


def _decode(local: str) -> Address:
    """Parse an address in /proc/net: 32-bit words in the machine's byte order."""
    digits, _, port = local.partition(":")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = b"".join(socket.htonl(word).to_bytes(4, "big") for word in words)
    ip = ipaddress.ip_address(packed)
    host = f"[{ip}]" if ip.version == 6 else str(ip)  # noqa: PLR2004
    return Address(f"{host}:{int(port, 16)}", ip, int(port, 16))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP connection over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = f"\0{path[1:]}" if path.startswith("@") else path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
