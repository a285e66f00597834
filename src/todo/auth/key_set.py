"""JSON Web Key Sets: public keys that verify tokens, fetched when needed."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from todo.core.circuit_breaker import AsyncBreaker, BreakerOpenError, Outcome
from todo.core.errors import KeySetUnavailableError

if TYPE_CHECKING:
    from jwt import PyJWK

MAX_BYTES = 64 * 1024
_MAX_KEYS = 64
# Maximum number of keys tried per key ID; an issuer that rotates keys has two.
_MAX_TRIED = 4
_MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192
# The only accepted algorithm for each kind of key.
_ALGORITHMS = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
_ALIASES = {"Ed25519": "EdDSA"}
"""Other names of algorithms: RFC 9864 includes the curve, which the key contains anyway."""
ALGORITHMS = frozenset([*_ALGORITHMS.values(), *_ALIASES])
# Public parameters of keys of any kind.
_NUMBERS = ("x", "y", "n", "e")
_BREAKER_FAILURES = 2

Fetch = Callable[[], Awaitable[tuple[bytes, float]]]
"""Returns a key set and the seconds for which it is fresh; raises OSError or ValueError."""


class Key(NamedTuple):
    """Public key for one algorithm; `numbers` are the public parameters that identify it."""

    id: str | None
    algorithm: str
    value: "PyJWK"
    numbers: tuple[Any, ...]


Keys = Sequence[Key]
"""Usable keys of a set."""

_log = logging.getLogger("todo.auth")


class KeySet:
    """Keys of one source, refreshed in the background.

    The first token waits for the keys. Afterwards stale keys stay in use until new ones are
    fetched, so that a slow or unavailable source delays no request. Only a token with an unknown
    key waits for a fetch, at most every `refetch_s` seconds.

    Args:
        fetch: Fetches the key set; bounded in time and size.
        refetch_s: Minimum seconds between fetches for unknown keys, and after a failure.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self, fetch: Fetch, *, refetch_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._refetch_s = refetch_s
        self._clock = clock
        self._keys: Keys | None = None
        self._fresh_until = 0.0
        self._asked_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self._next: asyncio.TimerHandle | None = None
        self.breaker = AsyncBreaker(
            failures=_BREAKER_FAILURES,
            reset_s=refetch_s,
            # Any error means that the source is unavailable.
            classify=lambda _error: Outcome.FAILURE,
        )

    @property
    def current(self) -> Keys | None:
        """Most recently fetched keys; if they are stale, a fetch starts."""
        if self._keys is not None and self._clock() >= self._fresh_until:
            self._start_loading()
        return self._keys

    async def find(self, key_id: str | None, algorithm: str) -> "list[PyJWK]":
        """Return the keys that may have signed a token; several keys may have the same ID.

        Keys of other algorithms never match. A token without a key ID matches only a single key.

        Raises:
            KeySetUnavailableError: No keys are known, and the source is unavailable.
        """
        if self.current is None:
            await self._refresh()
        found = self._look_up(key_id, algorithm)
        if not found and self._clock() - self._asked_at >= self._refetch_s:
            await self._refresh()
            found = self._look_up(key_id, algorithm)
        return found

    def _look_up(self, key_id: str | None, algorithm: str) -> "list[PyJWK]":
        if self._keys is None:
            raise KeySetUnavailableError(retry_after_s=self.breaker.retry_after_s)
        fitting = [key for key in self._keys if key.algorithm == _ALIASES.get(algorithm, algorithm)]
        if key_id:
            return [key.value for key in fitting if key.id == key_id][:_MAX_TRIED]
        if len({key.numbers for key in fitting}) > 1:
            fitting = [key for key in fitting if key.id is None]
        # A key may be listed twice, with two IDs or two names of its algorithm.
        return [fitting[0].value] if len({key.numbers for key in fitting}) == 1 else []

    async def _refresh(self) -> None:
        # The fetch is not canceled with the request, because others wait for the same result.
        await asyncio.wait({self._start_loading()})

    def _start_loading(self) -> asyncio.Task[None]:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        return self._loading

    async def _load(self) -> None:
        try:
            with self.breaker.calling():
                self._asked_at = self._clock()
                text, fresh_s = await self._fetch()
                self._keys = parse_key_set(text)
        except BreakerOpenError:
            fresh_s = self._refetch_s
        except Exception as error:  # noqa: BLE001 - a source may fail in any way
            fresh_s = self._refetch_s
            reason = str(error) or type(error).__name__
            _log.warning("the key set cannot be fetched: %s", reason)
        finally:
            self._loading = None
        if self._keys is None:
            return
        # Known keys stay in use while the source is unavailable.
        self._fresh_until = self._clock() + fresh_s
        # Fetch again even without requests, so that no key withdrawn long ago verifies a token.
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_later(fresh_s, self._start_loading)


def parse_key_set(text: bytes) -> Keys:
    """Parse a JSON Web Key Set (RFC 7517) and return its usable keys.

    Raises:
        ValueError: The text is not a key set, or has no usable key.
    """
    from jwt import PyJWK  # noqa: PLC0415 - imports cryptography: on first use
    from jwt.exceptions import PyJWTError  # noqa: PLC0415

    keys = []
    known = set()
    for key_id, algorithm, jwk in select_keys(text):
        try:
            key = PyJWK(jwk, algorithm)
        except (PyJWTError, ValueError, TypeError):
            continue
        if algorithm == "RS256" and not _MIN_RSA_BITS <= key.key.key_size <= _MAX_RSA_BITS:
            continue
        numbers = tuple(jwk.get(name) for name in _NUMBERS)
        if (key_id, algorithm, numbers) not in known:
            known.add((key_id, algorithm, numbers))
            keys.append(Key(key_id, algorithm, key, numbers))
    if not keys:
        raise ValueError("it has no valid key")
    return keys


def select_keys(text: bytes) -> list[tuple[str | None, str, dict[str, Any]]]:
    """Return ID, algorithm and JWK of each key that may verify a token.

    Raises:
        ValueError: The text is not a key set, or has no usable key.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    try:
        listed = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is not a JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise ValueError(f"`keys` must be a list of at most {_MAX_KEYS}")
    found = []
    for each in listed:
        if not isinstance(each, dict):
            continue
        # Some issuers write null for missing parameters.
        jwk = {name: value for name, value in each.items() if value is not None}
        algorithm = _find_algorithm(jwk)
        if algorithm is not None:
            found.append((jwk.get("kid") or None, algorithm, jwk))
    if not found:
        raise ValueError(f"it has no key for {', '.join(sorted(ALGORITHMS))}")
    return found


def _find_algorithm(jwk: dict[str, Any]) -> str | None:
    """Return the algorithm of a public key, or None if the key is unsupported."""
    if not isinstance(jwk.get("kid", ""), str):
        return None
    curve = jwk.get("crv")
    kind = jwk.get("kty")
    if not isinstance(kind, str) or not (curve is None or isinstance(curve, str)):
        return None
    algorithm = _ALGORITHMS.get((kind, curve))
    named = jwk.get("alg", algorithm)
    operations = jwk.get("key_ops", ["verify"])
    if (
        algorithm is None
        or not isinstance(named, str)
        or _ALIASES.get(named, named) != algorithm
        or jwk.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
        # A published private key is compromised.
        or "d" in jwk
    ):
        return None
    return algorithm
