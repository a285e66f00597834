"""Who the caller is when proxies stand between: believed only from trusted peers."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

UNIX = "unix"


@dataclass(frozen=True, slots=True)
class Caller:
    """The address and scheme that the request came with."""

    address: str
    scheme: str


class TrustedProxies:
    """The peers whose `Forwarded` and `X-Forwarded-*` headers are believed."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take networks in CIDR form, addresses, and the word `unix`."""
        listed = tuple(names)
        self._unix = UNIX in listed
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(name) for name in listed if name != UNIX
        )

    def resolve(self, peer: str, scheme: str, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Find the caller: the last hop that no trusted proxy vouches for.

        A proxy that writes one kind of header may pass on the other as the client sent it. So
        when both name a caller and differ, neither is believed.

        Args:
            peer: Address of the socket's other end, or `unix`.
            scheme: Scheme of this connection.
            headers: The request's headers, names in lower case.
        """
        direct = Caller(peer, scheme)
        if not self._trusts(peer):
            return direct
        chains: dict[bytes, list[str]] = {}
        for name, value in headers:
            if name in {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"}:
                chains.setdefault(name, []).extend(value.decode("latin-1").split(","))
        elements = [_parse_element(text) for text in chains.get(b"forwarded", [])]
        hops = [
            [element.get("for", "") for element in elements],
            chains.get(b"x-forwarded-for", []),
        ]
        schemes = [element.get("proto", "") for element in elements[-1:]]
        schemes += chains.get(b"x-forwarded-proto", [])[-1:]
        callers = {self._last_untrusted(peer, chain) for chain in hops if chain}
        names = {name.strip().lower() for name in schemes} & {"http", "https"}
        return Caller(
            callers.pop() if len(callers) == 1 else peer,
            names.pop() if len(names) == 1 else scheme,
        )

    def _last_untrusted(self, peer: str, chain: list[str]) -> str:
        caller = peer
        for hop in reversed(chain):
            address = _parse_hop(hop)
            if address is None:
                break
            caller = address
            if not self._trusts(address):
                break
        return caller

    def _trusts(self, peer: str) -> bool:
        if peer == UNIX:
            return self._unix
        if not self._networks:
            return False
        address = ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def _parse_element(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _equals, value in pairs}


def _parse_hop(text: str) -> str | None:
    """Return the address of a hop without its port, or None for what is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
