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
"""Key of the ASGI scope: response header fields about the limit of the caller's token."""
CLIENT_KEY = "todo.client_key"
"""Key of a WebSocket's ASGI scope: rate limit key of the client's address, or None."""
REFUSED_TOKEN_CODE = 4401
"""Close code of a WebSocket without a valid token, like the status code 401."""


class RateLimit:
    """Rate limit with one evenly refilled token bucket per key.

    The response fields follow draft-ietf-httpapi-ratelimit-headers: `q` requests are allowed in `w`
    seconds; `r` are left, and the bucket is full after `t` seconds.

    Args:
        name: Subject of the limit, shown to callers.
        permits: Capacity of a bucket, and number of permits refilled per window.
        window_s: Length of the window in seconds.
        ipv6_prefix: Prefix length in bits for a limit by address (see `find_address_key`).
        refused: Called for every rejection.
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
        """Take one permit; return the fields `RateLimit-Policy` and `RateLimit` of the response.

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
        """Return the fields `RateLimit-Policy` and `RateLimit`, without taking a permit."""
        return self._render(self.find_left(key))

    def find_left(self, key: str) -> float:
        """Return the number of permits in a bucket, negative for a debt."""
        return self._level(key)

    def charge(self, key: str, permits: float, *, owe: bool = False) -> None:
        """Charge permits for a request that was already accepted.

        With `owe`, the bucket may go into debt by one window; otherwise missing permits are waived.
        """
        least = -self._most if owe else 0.0
        with self._buckets.lock:
            self._store(key, max(least, self._level(key) - permits))

    def find_wait_s(self, key: str) -> float:
        """Return the seconds until a bucket is out of debt."""
        return max(0.0, -self.find_left(key) / self._per_second)

    def _render(self, level: float) -> tuple[Field, Field]:
        full_s = (self._most - level) / self._per_second
        left = b"%s%d;t=%d" % (self._prefix, max(0.0, level), -int(-full_s // 1))
        return self._policy, (b"ratelimit", left)

    def _level(self, key: str) -> float:
        bucket = self._buckets.find(key)
        passed_s = self._clock() - bucket.at if bucket else 0.0
        # Shared buckets may date from before a reboot, which restarts the clock.
        if bucket is None or passed_s < 0:
            return self._most
        return min(self._most, bucket.level + passed_s * self._per_second)

    def _store(self, key: str, level: float) -> None:
        self._buckets.store(key, Bucket(level, self._clock()))


@lru_cache(maxsize=4096)
def find_address_key(
    address: str, *, is_proxied: bool = False, ipv6_prefix: int = 64
) -> str | None:
    """Return the rate limit key of a client address, or None if the address is exempt.

    A local peer that is not a trusted proxy is exempt: it is an unconfigured reverse proxy or the
    operator's own program, and serves many clients. Behind a trusted proxy all addresses count,
    including local ones in a header. IPv6 hosts can use many addresses of their network, so the
    first `ipv6_prefix` bits count as one client. `address` is an IP address, or `unix`.
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
