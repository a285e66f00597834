"""The caller of a request, and its permissions, which routers and services check."""

from dataclasses import dataclass, field

from todo.core.errors import ForbiddenError

SCOPES = frozenset({"read", "write", "delete", "assistant", "admin"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of one request, as its token says.

    Attributes:
        user: Whom the request acts for; the owner of what it makes.
        scopes: What the token allows, of `SCOPES`.
        token_id: Id of the API token; None for a JSON Web Token.
        list_id: The one list that the token is good for; None for all.
        agent: Which program acts, for the journal.
        model: Which model it runs on, for the journal.
        run_id: Which of its runs this is, for the journal and for undoing it.
        require_key: Whether every write must carry an `Idempotency-Key`.
        require_match: Whether every change must carry an `If-Match`.
        writes_per_hour: Most writes an hour; None for no limit.
        issued_at: When the JSON Web Token was issued (Unix time); None if it does not say.
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
        """Refuse a caller whose token lacks a scope.

        Raises:
            ForbiddenError: The token lacks the scope.
        """
        if scope not in self.scopes:
            raise ForbiddenError(scope)
