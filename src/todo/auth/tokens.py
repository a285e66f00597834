"""JSON Web Tokens: issued with a shared secret, verified with it or with a key set."""

import contextlib
import functools
import hashlib
import hmac
import logging
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from todo.auth.key_set import ALGORITHMS, Keys, KeySet
from todo.core.caller import SCOPES, Caller
from todo.core.errors import UnauthorizedError
from todo.core.exit import ExitCode, FatalError

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32
MAX_SUBJECT_LENGTH = 255
LEEWAY_S = 10
# Longer tokens are rejected before parsing, because parsing costs time and precedes verification.
_MAX_TOKEN_LENGTH = 4096
_MAX_KEY_ID_LENGTH = 255
_KEY_ID_BYTES = 6
# Maximum number of cached verifications, because a token is sent with many requests.
_MAX_VERIFIED = 4096
_INVALID = 'Bearer error="invalid_token"'

_log = logging.getLogger("todo.auth")


class VerifiedToken(NamedTuple):
    """Result of a token's verification.

    Attributes:
        expires_at: Unix time of the expiry, including the leeway.
        keys: Key set that contains the token's key; None for a shared secret.
    """

    caller: Caller
    expires_at: float
    keys: Keys | None


class TokenVerifier:
    """Verifier of all accepted tokens, which also issues tokens with the shared secret.

    Each key is bound to one algorithm. A token's header only selects among the keys, so that no
    public key is ever used as a shared secret.

    Args:
        secret: Shared secret for signing and verification, or None.
        previous_secret: Previous shared secret, which is still accepted.
        audience: Required audience; None accepts only tokens without an audience.
        issuer: Required issuer; None does not check the issuer.
        keys: Public keys of another issuer.
    """

    def __init__(
        self,
        secret: bytes | None,
        *,
        previous_secret: bytes | None = None,
        audience: str | None = None,
        issuer: str | None = None,
        keys: KeySet | None = None,
    ) -> None:
        self._secret = secret
        self._secrets = {find_key_id(each): each for each in (secret, previous_secret) if each}
        self._audience = audience
        self._issuer = issuer
        self.keys = keys
        self._verified: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    def issue(self, subject: str, *, lifetime_s: int, scopes: Collection[str] | None = None) -> str:
        """Return a new token that expires after `lifetime_s` seconds; all scopes by default.

        Raises:
            ValueError: The subject is empty, too long or not printable, or no secret is configured.
        """
        import jwt  # noqa: PLC0415 - imports cryptography: on first use

        if self._secret is None:
            raise ValueError("no shared secret is configured")
        if not is_subject(subject):
            msg = f"the subject must be 1 to {MAX_SUBJECT_LENGTH} printable characters"
            raise ValueError(msg)
        now = int(time.time())
        claims: dict[str, Any] = {"sub": subject, "iat": now, "exp": now + lifetime_s}
        if scopes is not None:
            claims["scope"] = " ".join(sorted(set(scopes)))
        if self._audience is not None:
            claims["aud"] = self._audience
        if self._issuer is not None:
            claims["iss"] = self._issuer
        headers = {"kid": find_key_id(self._secret)}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM, headers=headers)

    async def verify(self, token: str) -> VerifiedToken:
        """Verify a token; the result is cached.

        Raises:
            UnauthorizedError: The token is rejected; only the log contains the reason.
            KeySetUnavailableError: The key of the token cannot be fetched.
        """
        if len(token) > _MAX_TOKEN_LENGTH:
            raise refuse("too long")
        # A digest, so that no token remains in memory that could be replayed.
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._verified.get(digest)
        if known is not None and time.time() < known.expires_at and self._is_current(known):
            self._verified.move_to_end(digest)
            return known
        fresh = await self._verify_signature(token)
        self._verified[digest] = fresh
        if len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return fresh

    def _is_current(self, known: VerifiedToken) -> bool:
        # A withdrawn key is rejected from the next fetch on.
        return known.keys is None or (self.keys is not None and known.keys is self.keys.current)

    async def _verify_signature(self, token: str) -> VerifiedToken:
        import jwt  # noqa: PLC0415 - imports cryptography: on first use

        from todo.auth.jws import JWS, JWT  # noqa: PLC0415 - likewise

        try:
            header = JWS.get_unverified_header(token)
            values, keys = await self._choose_keys(header)
            decode = functools.partial(
                JWT.decode,
                token,
                algorithms=[header["alg"]],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                # The subject may be in another claim, and is checked below.
                options={"require": ["exp"], "verify_sub": False, "verify_jti": False},
            )
            *others, last = values
            for key in others:
                with contextlib.suppress(jwt.InvalidSignatureError):
                    claims = decode(key)
                    break
            else:
                claims = decode(last)
        except jwt.PyJWTError as error:
            raise refuse(_REASONS.get(type(error).__name__, "malformed")) from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            # PyJWT does not catch some errors caused by unusual claims.
            raise refuse("malformed") from None
        return VerifiedToken(read_claims(claims), int(claims["exp"]) + LEEWAY_S, keys)

    async def _choose_keys(self, header: dict[str, Any]) -> tuple[list[Any], Keys | None]:
        """Return the keys for the algorithm of the header, and their key set."""
        algorithm, key_id = header.get("alg"), header.get("kid")
        if "crit" in header:
            raise refuse("critical extension")
        if algorithm == ALGORITHM and self._secrets:
            # Other issuers with the same secret may use any key ID.
            found = self._secrets.get(key_id or "")
            return [found] if found else list(self._secrets.values()), None
        if self.keys is None or algorithm not in ALGORITHMS:
            raise refuse("algorithm")
        if key_id is not None and len(key_id) > _MAX_KEY_ID_LENGTH:
            raise refuse("unknown key")
        keys = await self.keys.find(key_id, algorithm)
        if not keys:
            raise refuse("unknown key")
        return [each.key for each in keys], self.keys.current


# Fixed reasons for the log, so that no content of a token is logged.
_REASONS = {
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": "not yet valid",
    "InvalidAlgorithmError": "algorithm",
    "InvalidAudienceError": "audience",
    "InvalidIssuerError": "issuer",
    "InvalidSignatureError": "signature",
    "MissingRequiredClaimError": "claim missing",
}


def refuse(reason: str) -> UnauthorizedError:
    """Log why a token is rejected; return an error that does not reveal the reason."""
    _log.info("token refused", extra={"reason": reason})
    return UnauthorizedError(challenge=_INVALID)


def read_claims(claims: dict[str, Any]) -> Caller:
    """Return the caller described by verified claims.

    Raises:
        UnauthorizedError: The subject is missing or invalid, or the scope is not a string.
    """
    scopes = SCOPES
    if "scope" in claims:
        scope = claims["scope"]
        if not isinstance(scope, str):
            raise refuse("scope")
        scopes = SCOPES.intersection(scope.split(" "))
    for claim in ("sub", "user_id", "id"):
        if claim in claims:
            subject = claims[claim]
            if isinstance(subject, str) and is_subject(subject):
                issued_at = float(claims["iat"]) if "iat" in claims else None
                return Caller(subject, scopes, issued_at=issued_at)
            break
    raise refuse("subject")


def find_key_id(secret: bytes) -> str:
    """Return the `kid` of a shared secret, which does not reveal the secret."""
    return hmac.digest(secret, b"todo-backend key id", "sha256")[:_KEY_ID_BYTES].hex()


def load_secret(path: Path, *, create: bool, option: str = "TODO_TOKEN_SECRET_FILE") -> bytes:
    """Read the shared secret; `create` creates a missing file (outside of containers only).

    Raises:
        FatalError: The file is missing, unreadable or too short.
    """
    way_out = f"{option} must name a file with at least {MIN_SECRET_BYTES} bytes"
    try:
        if create and not path.exists():
            _create_secret(path)
        secret = path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        reason = f"{error.strerror}: {path}"
        raise FatalError(
            ExitCode.SECRET, f"the token secret cannot be read ({reason}); {way_out}"
        ) from None
    if len(secret) < MIN_SECRET_BYTES:
        message = f"the token secret in {path} has {len(secret)} bytes; {way_out}"
        raise FatalError(ExitCode.SECRET, message)
    return secret


def _create_secret(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w") as file:  # noqa: PTH123 - takes a descriptor
            file.write(secrets.token_urlsafe(48) + "\n")
        # A link appears complete or not at all, and never replaces another process's secret.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def is_subject(text: str) -> bool:
    """Return whether the text is a valid user name."""
    return 0 < len(text) <= MAX_SUBJECT_LENGTH and text.isprintable()
