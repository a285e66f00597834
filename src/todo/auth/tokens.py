"""JSON Web Tokens with a shared secret (HS256), and the secret itself."""

import contextlib
import os
import secrets
import time
from pathlib import Path

import jwt

from todo.errors import UnauthorizedError
from todo.fatal import ExitCode, FatalError

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32
MAX_SUBJECT_LENGTH = 255
LEEWAY_S = 10
# Longer ones are no tokens of ours, and parsing them costs time before the signature is known.
_MAX_TOKEN_LENGTH = 4096
_INVALID = 'Bearer error="invalid_token"'


class Tokens:
    """Issues and verifies tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, subject: str, *, lifetime_s: int) -> str:
        """Return a token for a subject that expires after `lifetime_s` seconds.

        Raises:
            ValueError: The subject is empty, too long or not printable.
        """
        if not _is_subject(subject):
            msg = f"a subject has 1 to {MAX_SUBJECT_LENGTH} printable characters"
            raise ValueError(msg)
        now = int(time.time())
        claims = {"sub": subject, "iat": now, "exp": now + lifetime_s}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> str:
        """Return the subject of a token.

        Raises:
            UnauthorizedError: The token is not accepted; it never says why.
        """
        if len(token) > _MAX_TOKEN_LENGTH:
            raise UnauthorizedError(challenge=_INVALID)
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                leeway=LEEWAY_S,
                # The subject may stand in another claim, and is checked below.
                options={"require": ["exp"], "verify_sub": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            # Besides its own errors PyJWT lets through what odd claims cause (`exp: Infinity`).
            raise UnauthorizedError(challenge=_INVALID) from None
        for claim in ("sub", "user_id", "id"):
            if claim in claims:
                subject = claims[claim]
                if isinstance(subject, str) and _is_subject(subject):
                    return subject
                break
        raise UnauthorizedError(challenge=_INVALID)


def load_secret(path: Path, *, create: bool) -> bytes:
    """Read the secret of the tokens.

    Args:
        path: File that holds it.
        create: Make one when the file is absent (outside of containers only).

    Raises:
        FatalError: It is absent, unreadable or too short.
    """
    way_out = f"TODO_TOKEN_SECRET_FILE must name a file with at least {MIN_SECRET_BYTES} bytes"
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
        with open(descriptor, "w") as file:  # noqa: PTH123 - opened with its mode above
            file.write(secrets.token_urlsafe(48) + "\n")
        # A link appears complete or not at all, and never replaces another process's secret.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _is_subject(text: str) -> bool:
    return 0 < len(text) <= MAX_SUBJECT_LENGTH and text.isprintable()
