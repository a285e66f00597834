"""Caller of a request and its permissions, which routers and services check."""

from dataclasses import dataclass, field

from todo.core.errors import ForbiddenError

SCOPES = frozenset({"read", "write", "delete", "assistant", "admin"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Authenticated caller of a request.

    Attributes:
        user: User for whom the caller acts, and owner of what it creates.
        token_id: ID of the API token; None for a JSON Web Token.
        list_id: The only list that the token can access; None for all.
        agent: Name of the program, for the journal.
        run_id: ID of the program's run, for the journal and for undo.
        writes_per_hour: Maximum number of writes per hour; None for no limit.
        issued_at: Issue time of the JSON Web Token (Unix time), or None.
    """

    user: str
    scopes: frozenset[str] = SCOPES
    token_id: str | None = None
    list_id: str | None = None
    agent: str | None = None
    model: str | None = None
    run_id: str | None = None
    require_key: bool = False
    require_match: bool = False
    writes_per_hour: int | None = None
    issued_at: float | None = field(default=None, compare=False)

    def require(self, scope: str) -> None:
        """Raise ForbiddenError if the token lacks a scope."""
        if scope not in self.scopes:
            raise ForbiddenError(scope)
