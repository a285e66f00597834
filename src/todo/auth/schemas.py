"""Request and response schemas of API tokens."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
    field_serializer,
)

from todo.api.examples import LIST_ID, TOKEN_ID, show_example, show_examples
from todo.api.schemas import Instant, ResponseSchema, refuse_nul
from todo.core.label import LABEL_PATTERN
from todo.core.timestamps import format_timestamp

Scope = Literal["read", "write", "delete", "assistant", "admin"]


def _distinct(scopes: list[Any]) -> list[Any]:
    return list(dict.fromkeys(scopes))


class TokenCreate(BaseModel):
    """A new API token: its name, what it allows and when it expires."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "A program that only reads": {"name": "dashboard", "scopes": ["read"]},
                "An agent with limits": {
                    "name": "nightly cleanup",
                    "scopes": ["read", "write"],
                    "list_id": LIST_ID,
                    "agent": "cleanup/1.4",
                    "require_key": True,
                    "require_match": True,
                    "writes_per_hour": 200,
                    "expires_at": "2100-01-01T00:00:00Z",
                },
            }
        ),
    )

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        AfterValidator(refuse_nul),
    ]
    scopes: Annotated[
        list[Scope],
        Field(
            min_length=1,
            max_length=5,
            description="Scopes of the token; a subset of the scopes of the caller's token.",
        ),
        AfterValidator(_distinct),
    ]
    list_id: UUID | None = Field(default=None, description="Restricts the token to this list.")
    agent: Annotated[str, StringConstraints(pattern=f"^{LABEL_PATTERN}$")] | None = Field(
        default=None, description="Name of the program that uses the token, for the journal."
    )
    require_key: StrictBool = Field(
        default=False, description="Whether every write requires an `Idempotency-Key`."
    )
    require_match: StrictBool = Field(
        default=False, description="Whether every change requires an `If-Match`."
    )
    writes_per_hour: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = Field(
        default=None, description="Maximum number of changes per hour."
    )
    expires_at: Instant | None = Field(
        default=None, description="Expiry time; without it, the token is valid until it is revoked."
    )

    @field_serializer("expires_at")
    def _as_stored(self, time: datetime | None) -> str | None:
        return None if time is None else format_timestamp(time)


_EXAMPLE: dict[str, JsonValue] = {
    "id": TOKEN_ID,
    "owner": "alice",
    "name": "nightly cleanup",
    "scopes": ["read", "write"],
    "list_id": LIST_ID,
    "agent": "cleanup/1.4",
    "require_key": True,
    "require_match": True,
    "writes_per_hour": 200,
    "created_at": "2027-03-01T09:00:00.000000+00:00",
    "expires_at": "2100-01-01T00:00:00.000000+00:00",
    "last_used_at": "2027-03-02T03:00:00.000000+00:00",
    "version": 1,
}


class TokenRead(ResponseSchema):
    """An API token without its secret."""

    model_config = ConfigDict(json_schema_extra=show_example(_EXAMPLE))

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
        description="Time of the last request with the token, rounded to a minute."
    )
    version: int


class TokenCreated(TokenRead):
    """A new API token with its secret."""

    model_config = ConfigDict(json_schema_extra=show_example(_EXAMPLE | {"token": "todo_…"}))

    token: str | None = Field(
        description="The bearer token, shown only once: it is null in the response to a repeated "
        "request with the same `Idempotency-Key`."
    )


class TokenList(ResponseSchema):
    """All tokens, newest first."""

    items: list[TokenRead]
