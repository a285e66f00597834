"""Request and response schemas of lists and shares."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from todo.api.examples import LIST_ID, show_example, show_examples
from todo.api.schemas import Position, ResponseSchema, drop_defaults, refuse_nul
from todo.core.domain import Access, ShareAccess
from todo.db.tables import LIST_NAME_LENGTH, USER_LENGTH
from todo.text.normalization import nfc_validator

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LIST_NAME_LENGTH),
    AfterValidator(refuse_nul),
    # A before-validator, so it runs first.
    nfc_validator(LIST_NAME_LENGTH),
]


def _check_printable(text: str) -> str:
    if not text.isprintable():
        msg = "must consist of printable characters"
        raise ValueError(msg)
    return text


UserId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=USER_LENGTH),
    AfterValidator(_check_printable),
]


class ListCreate(BaseModel):
    """A new list."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {"After all other lists": {"name": "Garden"}, "First": {"name": "Work", "position": -1}}
        ),
    )

    name: Name
    position: Position | None = Field(
        default=None, description="Sort position among the lists; the default is after all others."
    )


class ListUpdate(BaseModel):
    """Changes to a list. Absent fields keep their value."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {"Rename it": {"name": "Garden and balcony"}, "Sort it": {"position": 2.5}},
            drop_defaults,
        ),
    )

    name: Name = Field(default="")
    position: Position = Field(default=0)


class ListRead(ResponseSchema):
    """A list."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "id": LIST_ID,
                "owner": "alice",
                "name": "Garden",
                "position": 1.0,
                "created_at": "2027-03-01T09:00:00.000000+00:00",
                "updated_at": "2027-03-01T09:00:00.000000+00:00",
                "version": 1,
                "access": "owner",
            }
        )
    )

    id: UUID
    owner: str
    name: str
    position: float
    created_at: datetime
    updated_at: datetime
    version: int = Field(
        description="Increases with each change; the owner's entity tag is derived from it."
    )
    access: Access = Field(description="The caller's access to the list's tasks.")


class ListPage(ResponseSchema):
    """One page."""

    items: list[ListRead]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last page.")


class ListQuery(BaseModel):
    """Query parameters of a page of lists."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=200)


class ListDeletion(BaseModel):
    """Query parameters of the deletion of a list."""

    model_config = ConfigDict(extra="forbid")

    tasks: Literal["delete"] | None = Field(
        default=None,
        description="`delete` also deletes the list's tasks; otherwise the list must be empty.",
    )


class ShareChange(BaseModel):
    """The access of a user to the tasks of a list."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {"Read and write": {"access": "write"}, "Read only": {"access": "read"}}
        ),
    )

    access: ShareAccess


class ShareRead(ResponseSchema):
    """A list that is shared with a user."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "list_id": LIST_ID,
                "user_id": "bob",
                "access": "write",
                "created_at": "2027-03-01T10:00:00.000000+00:00",
            }
        )
    )

    list_id: UUID
    user_id: str
    access: ShareAccess
    created_at: datetime


class Shares(ResponseSchema):
    """All shares of a list for its owner, otherwise only the caller's own."""

    items: list[ShareRead]
