"""JSON Web Key Sets: the public keys that verify tokens, fetched when they are needed."""

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
# Keys with one id that a token is tried against: an issuer that rotates has two.
_MAX_TRIED = 4
_MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192
# Kind of key -> the one algorithm that it is good for.
_ALGORITHMS = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
_ALIASES = {"Ed25519": "EdDSA"}
"""RFC 9864 names the curve, which the kind of the key says anyway."""
ALGORITHMS = frozenset([*_ALGORITHMS.values(), *_ALIASES])
# The public numbers of a key of any kind.
_NUMBERS = ("x", "y", "n", "e")
_BREAKER_FAILURES = 2

Fetch = Callable[[], Awaitable[tuple[bytes, float]]]
"""Returns a key set and the seconds for which it is fresh; raises OSError or ValueError."""


class Key(NamedTuple):
    """A public key, bound to one algorithm.

    Attributes:
        id: Its `kid`, None without one.
        algorithm: Algorithm that it verifies, one of `ALGORITHMS`.
        value: Key object.
        numbers: Published parameters that identify the key.
    """

    id: str | None
    algorithm: str
    value: "PyJWK"
    numbers: tuple[Any, ...]


Keys = Sequence[Key]
"""The usable keys of a set."""

_log = logging.getLogger("todo.auth")


class KeySet:
    """The keys of one source, with their freshness.

    The first token waits for the keys. From then on they are fetched in the background when they
    are no longer fresh, and the known ones stay in use until others arrive: a source that is slow
    or down costs no request anything. Only a token with an unknown key waits for a fetch, at most
    every `refetch_s` seconds.
    """

    def __init__(
        self, fetch: Fetch, *, refetch_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start without keys; the first token fetches them.

        Args:
            fetch: Asks the source; bounded in time and size.
            refetch_s: Minimum seconds between two fetches for the sake of an unknown key, and
                until a source that failed is asked again.
            clock: Seconds that only grow.
        """
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
            # Whatever went wrong, the source did not deliver.
            classify=lambda _error: Outcome.FAILURE,
        )

    @property
    def current(self) -> Keys | None:
        """The keys that were fetched last; when they are stale, a fetch starts."""
        if self._keys is not None and self._clock() >= self._fresh_until:
            self._start_loading()
        return self._keys

    async def find(self, key_id: str | None, algorithm: str) -> "list[PyJWK]":
        """Return the keys that may have signed a token; none if the source has none.

        Several keys may have one id.

        Args:
            key_id: Key ID in the token; None selects the only suitable key.
            algorithm: Algorithm in the token; keys of other algorithms do not match.

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
        # One key may be there twice, under two ids or two names of its algorithm.
        return [fitting[0].value] if len({key.numbers for key in fitting}) == 1 else []

    async def _refresh(self) -> None:
        # Never cancelled with the request: others wait for the same answer.
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
        # Known keys stay in use while the source is down.
        self._fresh_until = self._clock() + fresh_s
        # Also without requests, so that none is verified with keys that are long withdrawn.
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_later(fresh_s, self._start_loading)


def parse_key_set(text: bytes) -> Keys:
    """Return the usable keys of a JSON Web Key Set (RFC 7517).

    Raises:
        ValueError: The text is not a key set, or has no usable key.
    """
    from jwt import PyJWK  # noqa: PLC0415 - brings cryptography: only where keys are used
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
    """Return id, algorithm and content of each key that may verify a token.

    Raises:
        ValueError: It is not a key set, or no key in it is usable.
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
        # Some issuers write null for what a key does not have.
        jwk = {name: value for name, value in each.items() if value is not None}
        algorithm = _find_algorithm(jwk)
        if algorithm is not None:
            found.append((jwk.get("kid") or None, algorithm, jwk))
    if not found:
        raise ValueError(f"it has no key for {', '.join(sorted(ALGORITHMS))}")
    return found


def _find_algorithm(jwk: dict[str, Any]) -> str | None:
    """Return the algorithm to which a public key is bound, or None if it is unsupported."""
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
