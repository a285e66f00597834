"""Rate limits: one token bucket for each key, in bounded memory."""

import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from todo.api.rate_buckets import Bucket, Buckets, LocalBuckets
from todo.core.errors import RateLimitedError

_WINDOW_S = 60

Field = tuple[bytes, bytes]

CALLER_FIELDS = "todo.caller_rate_limit"
"""Key of the ASGI scope: the response headers about the limit of the caller's token."""
CLIENT_KEY = "todo.client_key"
"""Key of a WebSocket's ASGI scope with what its client's address is counted by, or None."""
REFUSED_TOKEN_CODE = 4401
"""Closes a WebSocket without a valid token, as the status 401 answers a request."""


class RateLimit:
    """Buckets that hold the permits of a window, mostly a minute, and refill evenly.

    The fields say so as in draft-ietf-httpapi-ratelimit-headers: `q` requests in `w` seconds; `r`
    are left, and after `t` seconds all are again.
    """

    def __init__(
        self,
        name: str,
        permits: float,
        *,
        window_s: int = _WINDOW_S,
        ipv6_prefix: int = 64,
        refused: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        buckets: Buckets | None = None,
    ) -> None:
        """Start with full buckets.

        Args:
            name: Subject of the limit, shown to callers.
            permits: Capacity of a bucket, which is also the number of permits that a window
                refills.
            window_s: Length of a window.
            ipv6_prefix: Prefix length for a limit by address, see `find_address_key`.
            refused: Called for every rejection.
            clock: Monotonic clock in seconds.
            buckets: Storage of the buckets; None for buckets of this limit only.
        """
        self.ipv6_prefix = ipv6_prefix
        self._name = name
        self._most = float(permits)
        self._per_second = permits / window_s
        self._refused = refused
        self._clock = clock
        self._buckets = LocalBuckets() if buckets is None else buckets
        self._policy = (b"ratelimit-policy", f'"{name}";q={int(permits)};w={window_s}'.encode())
        self._prefix = f'"{name}";r='.encode()

    def take(self, key: str) -> tuple[Field, Field]:
        """Take one permit, and return the header fields that show what is left.

        Raises:
            RateLimitedError: No permit is left.
        """
        with self._buckets.lock:
            level = self._level(key)
            if level >= 1:
                self._store(key, level - 1)
        if level < 1:
            self._refused()
            wait_s = -int((level - 1) / self._per_second // 1)
            raise RateLimitedError(
                headers={
                    "Retry-After": str(wait_s),
                    "RateLimit-Policy": self._policy[1].decode(),
                    "RateLimit": f'"{self._name}";r=0;t={wait_s}',
                }
            )
        return self._render(level - 1)

    def render_left(self, key: str) -> tuple[Field, Field]:
        """Return the header fields that show what is left, and take nothing."""
        return self._render(self.find_left(key))

    def find_left(self, key: str) -> float:
        """Return how many permits a bucket has now."""
        return self._level(key)

    def charge(self, key: str, permits: float, *, owe: bool = False) -> None:
        """Charge permits for a request that was accepted.

        Args:
            key: Key of the bucket.
            permits: Number of permits.
            owe: Whether the bucket goes into debt, at most by one window; otherwise missing
                permits are waived.
        """
        least = -self._most if owe else 0.0
        with self._buckets.lock:
            self._store(key, max(least, self._level(key) - permits))

    def find_wait_s(self, key: str) -> float:
        """Return the seconds until a bucket that owes something has permits again."""
        return max(0.0, -self.find_left(key) / self._per_second)

    def _render(self, level: float) -> tuple[Field, Field]:
        full_s = (self._most - level) / self._per_second
        left = b"%s%d;t=%d" % (self._prefix, max(0.0, level), -int(-full_s // 1))
        return self._policy, (b"ratelimit", left)

    def _level(self, key: str) -> float:
        """Return the current level of a bucket."""
        bucket = self._buckets.find(key)
        passed_s = self._clock() - bucket.at if bucket else 0.0
        # A file of shared buckets may be from before a boot, when the clock restarted.
        if bucket is None or passed_s < 0:
            return self._most
        return min(self._most, bucket.level + passed_s * self._per_second)

    def _store(self, key: str, level: float) -> None:
        self._buckets.store(key, Bucket(level, self._clock()))


@lru_cache(maxsize=4096)
def find_address_key(
    address: str, *, is_proxied: bool = False, ipv6_prefix: int = 64
) -> str | None:
    """Return the key by which a caller's address is counted, or None if it is not limited.

    A peer on this machine that is not a trusted proxy is not limited: it is a reverse proxy that
    the operator has not named, or the operator's own program, and speaks for many. Through a
    trusted proxy everything is counted, also an address on this machine that a header names.
    A network assigns IPv6 addresses to a host as freely as ports, so a prefix counts as one.

    Args:
        address: An IP address, or the word for a Unix socket.
        is_proxied: Whether a trusted proxy sent the request.
        ipv6_prefix: Length in bits of the IPv6 prefix that counts as one caller.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address if is_proxied else None
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback and not is_proxied:
        return None
    if isinstance(found, IPv6Address):
        return f"{int(found) >> (128 - ipv6_prefix):x}/{ipv6_prefix}"
    return str(found)
