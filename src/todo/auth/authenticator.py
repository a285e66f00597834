"""From the headers of a request to its caller."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from todo.auth.apitokens import PREFIX, ApiTokens
from todo.auth.caller import Caller
from todo.auth.cutoffs import Cutoffs
from todo.auth.tokens import Tokens
from todo.errors import MalformedRequestError, UnauthorizedError

_SANE = re.compile(rb"[A-Za-z0-9._:/@+-]{1,64}")
# What a program says of itself, for the journal.
_FIELDS = {b"x-agent": "agent", b"x-model": "model", b"x-run-id": "run_id"}


class Authenticator:
    """Knows every kind of token."""

    def __init__(self, tokens: Tokens, api_tokens: ApiTokens, cutoffs: Cutoffs) -> None:
        self._tokens = tokens
        self._api_tokens = api_tokens
        self._cutoffs = cutoffs

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Return the caller that the headers name.

        Args:
            headers: Of the request, names in lower case.

        Raises:
            UnauthorizedError: There is no token, or it is not accepted.
            MalformedRequestError: There are two tokens, or what a program says of itself is not
                acceptable.
            UnavailableError: What the token is to be verified with cannot be had now.
        """
        credentials = None
        said: dict[str, Any] = {}
        for name, value in headers:
            if name == b"authorization":
                if credentials is not None:
                    # Something in between may have looked at the other one.
                    raise MalformedRequestError("Authorization comes once.")
                credentials = value
            elif name in _FIELDS and value:
                if not _SANE.fullmatch(value):
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
                # The token knows better than its bearer.
                said.pop("agent", None)
        else:
            caller = (await self._tokens.verify(text)).caller
            await self._cutoffs.check(caller)
        return dataclasses.replace(caller, **said) if said else caller
