"""Authentication of requests: from the headers to the caller."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from todo.auth.api_tokens import PREFIX, ApiTokens
from todo.auth.cutoffs import Cutoffs
from todo.auth.key_set import KeySet
from todo.auth.tokens import TokenVerifier, load_secret
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.errors import MalformedRequestError, UnauthorizedError
from todo.core.label import LABEL_PATTERN

_LABEL = re.compile(LABEL_PATTERN.encode())
# Headers that identify a program, for the journal.
_FIELDS = {b"x-agent": "agent", b"x-model": "model", b"x-run-id": "run_id"}


class Authenticator:
    """Authentication by JSON Web Tokens and API tokens."""

    def __init__(self, tokens: TokenVerifier, api_tokens: ApiTokens, cutoffs: Cutoffs) -> None:
        self._tokens = tokens
        self._api_tokens = api_tokens
        self._cutoffs = cutoffs

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Identify the caller by the headers of a request, with names in lower case.

        Raises:
            UnauthorizedError: The token is missing or invalid.
            MalformedRequestError: There are two tokens, or an invalid agent, model or run header.
            UnavailableError: The key set or the database is unavailable.
        """
        credentials = None
        said: dict[str, Any] = {}
        for name, value in headers:
            if name == b"authorization":
                if credentials is not None:
                    # A proxy may have checked only the other header.
                    raise MalformedRequestError(
                        "The request has more than one Authorization header; send one."
                    )
                credentials = value
            elif name in _FIELDS and value:
                if not _LABEL.fullmatch(value):
                    shown = name.decode().title()
                    raise MalformedRequestError(
                        f"{shown} must be 1 to 64 of the characters A-Z a-z 0-9 . _ : / @ + -"
                    )
                said[_FIELDS[name]] = value.decode()
        scheme, _, token = (credentials or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise UnauthorizedError
        text = token.strip().decode("latin-1")
        if text.startswith(PREFIX):
            caller = await self._api_tokens.verify(text)
            if caller.agent is not None:
                # The agent stored with the token takes precedence.
                said.pop("agent", None)
        else:
            caller = (await self._tokens.verify(text)).caller
            await self._cutoffs.check(caller)
        return dataclasses.replace(caller, **said) if said else caller


def open_tokens(settings: Settings, *, create: bool) -> TokenVerifier:
    """Read the secrets and open the key set.

    With a key set the secret is optional: without its file, tokens signed with a shared secret are
    rejected. `create` creates a missing secret (outside of containers only).

    Raises:
        FatalError: A secret or the key set is missing, unreadable or invalid.
    """
    keys = _open_key_set(settings)
    path = settings.token_secret_file
    absent = keys is not None and not create and not path.exists()
    previous_secret = None
    if settings.token_previous_secret_file is not None:
        option = "TODO_TOKEN_PREVIOUS_SECRET_FILE"
        file = settings.token_previous_secret_file
        previous_secret = load_secret(file, create=False, option=option)
    return TokenVerifier(
        None if absent else load_secret(path, create=create),
        previous_secret=previous_secret,
        audience=settings.token_audience,
        issuer=settings.token_issuer,
        keys=keys,
    )


def _open_key_set(settings: Settings) -> KeySet | None:
    if not settings.jwks_url and settings.jwks_file is None:
        return None
    from todo.auth.key_set_source import open_key_set  # noqa: PLC0415 - imports h11

    return open_key_set(settings)
