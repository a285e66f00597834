"""What callers send and receive about API tokens."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    field_serializer,
)

from todo.tasks.schemas import Instant, refuse_nul

Scope = Literal["read", "write", "delete", "assistant", "admin"]


def _distinct(scopes: list[Any]) -> list[Any]:
    return list(dict.fromkeys(scopes))


class TokenCreate(BaseModel):
    """What a new token is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        AfterValidator(refuse_nul),
    ]
    scopes: Annotated[
        list[Scope],
        Field(min_length=1, max_length=5, description="What it allows, of what you may yourself."),
        AfterValidator(_distinct),
    ]
    list_id: UUID | None = Field(default=None, description="The one list that it is good for.")
    agent: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/@+-]{1,64}$")] | None = Field(
        default=None, description="Which program uses it; the journal says so."
    )
    require_key: StrictBool = Field(
        default=False, description="Whether every write must carry an `Idempotency-Key`."
    )
    require_match: StrictBool = Field(
        default=False, description="Whether every change must carry an `If-Match`."
    )
    writes_per_hour: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = Field(
        default=None, description="Most changes in an hour, as the journal counts them."
    )
    expires_at: Instant | None = Field(
        default=None, description="When it ends; without it, when it is revoked."
    )

    @field_serializer("expires_at")
    def _as_stored(self, time: datetime | None) -> str | None:
        return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


class TokenRead(BaseModel):
    """A token, without its secret."""

    id: UUID
    owner: str
    name: str
    scopes: list[Scope]
    list_id: UUID | None
    agent: str | None
    require_key: bool
    require_match: bool
    writes_per_hour: int | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(
        description="When a request last came with it, to a minute."
    )
    version: int


class TokenCreated(TokenRead):
    """A new token with its text."""

    token: str | None = Field(
        description="What a program sends as a bearer token. It is shown this once: null in the "
        "answer to a request that is repeated with its `Idempotency-Key`."
    )


class TokenList(BaseModel):
    """All tokens, newest first."""

    items: list[TokenRead]
