"""Proxy headers: address and scheme of a client behind trusted reverse proxies.

A proxy writes one header and may forward others unchanged, so the operator configures which one to
trust. Address and scheme come from that header only; with `X-Forwarded-For`, the scheme comes from
`X-Forwarded-Proto`. If the header does not identify the client, the client gets the address of the
nearest known hop and shares its rate limit.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from todo.config.addresses import ForwardedHeader

UNIX = "unix"

_PROTO = b"x-forwarded-proto"
# Maximum length that is logged of a header: its end, which the nearest proxy wrote.
_MAX_SHOWN = 200
_PORT = r":(?:\d{1,5}|_[\w.-]+)"
_HOP = re.compile(rf"\[([^\]]*)\](?:{_PORT})?|([^:\[\]]*)(?:{_PORT})?|([^\[\]]*)")
# Optional parameter of RFC 7239 and its separator. Addresses without quotes are accepted.
# Possessive quantifiers prevent backtracking: the time is linear in the header's length.
_PARAMETER = re.compile(
    r"""[ \t]*+(?:([!#$%&'*+.^_`|~0-9A-Za-z-]++)=("(?:[^"\\]|\\.)*+"|[^",;\s]++))?+"""
    r"[ \t]*+([;,]|$)"
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Client:
    """Address and scheme of a client.

    Attributes:
        address: Address of the client, or of the nearest known hop if the client is unknown.
        is_proxied: Whether the peer is a trusted proxy.
        doubtful: Content of a header that does not identify the client, otherwise None.
    """

    address: str
    scheme: str
    is_proxied: bool = False
    doubtful: str | None = None


class TrustedProxies:
    """Trusted reverse proxies, and the one forwarded header that they write.

    `names` are networks in CIDR form, addresses, or `unix`.
    """

    def __init__(self, names: Iterable[str], header: ForwardedHeader = "x-forwarded-for") -> None:
        listed = tuple(names)
        self._unix = UNIX in listed
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(name) for name in listed if name != UNIX
        )
        self._header = header
        self._name = b"" if header == "none" else header.encode()

    def resolve(self, peer: str, scheme: str, headers: Iterable[tuple[bytes, bytes]]) -> Client:
        """Return the client: the last hop that is not a trusted proxy.

        `peer` is the address of the socket's other end, or `unix`. Header names are in lower case.
        """
        if not self._trusts(peer):
            return Client(peer, scheme)
        lines: list[str] = []
        protos: list[str] = []
        for name, value in headers:
            if name == self._name:
                lines.append(value.decode("latin-1"))
            elif name == _PROTO and self._header == "x-forwarded-for":
                protos += value.decode("latin-1").split(",")
        if self._header == "forwarded":
            hops, protos = _parse_forwarded(lines)
        else:
            hops = [hop for line in lines for hop in line.split(",")]
        said = protos[-1].strip().lower() if protos else ""
        address, is_known = self._last_untrusted(peer, hops)
        return Client(
            address,
            said if said in {"http", "https"} else scheme,
            is_proxied=True,
            doubtful=None if is_known else ", ".join(lines)[-_MAX_SHOWN:],
        )

    def _last_untrusted(self, peer: str, hops: Sequence[str]) -> tuple[str, bool]:
        """Return the client's address and True, or the last known hop's address and False."""
        caller = peer
        for hop in reversed(hops):
            address = _parse_hop(hop)
            if address is None:
                return caller, False
            caller = address
            if not self._trusts(address):
                return caller, True
        return caller, bool(hops)

    def _trusts(self, peer: str) -> bool:
        if peer == UNIX:
            return self._unix
        if not self._networks:
            return False
        address = ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def _parse_forwarded(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the hops of `Forwarded` lines (RFC 7239), "" for unknown ones, and the last scheme."""
    elements = [element for line in lines for element in _parse_elements(line)]
    hops = [element.get("for", "") for element in elements]
    return hops, [element.get("proto", "") for element in elements[-1:]]


def _parse_elements(line: str) -> list[dict[str, str]]:
    """Return the elements of one line; a malformed line is a single empty element."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while match := _PARAMETER.match(line, position):
        name, value, end = match.groups()
        if name:
            if name.lower() in elements[-1]:
                break
            if value.startswith('"'):
                value = _ESCAPED.sub(r"\1", value[1:-1])
            elements[-1][name.lower()] = value
        if not end:
            return elements
        if end == ",":
            elements.append({})
        position = match.end()
    return [{}]


def _parse_hop(text: str) -> str | None:
    """Return the address of a hop without its port and zone, or None if it is not an address."""
    match = _HOP.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    found = next(part for part in match.groups() if part is not None)
    try:
        address = ip_address(found.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
