"""What callers send and receive."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

MAX_TITLE_LENGTH = 255
MAX_DESCRIPTION_LENGTH = 10_000


def _refuse_nul(text: str) -> str:
    if "\0" in text:
        # PostgreSQL cannot store it.
        msg = "must not contain the character NUL"
        raise ValueError(msg)
    return text


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE_LENGTH),
    AfterValidator(_refuse_nul),
]
Description = Annotated[
    str, StringConstraints(max_length=MAX_DESCRIPTION_LENGTH), AfterValidator(_refuse_nul)
]


class TaskCreate(BaseModel):
    """A new task."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description | None = None


class TaskUpdate(BaseModel):
    """Changes to a task: what is absent stays, `null` removes the description."""

    model_config = ConfigDict(extra="forbid")

    # The defaults are never read: `model_fields_set` tells what was sent.
    title: Title = Field(default="", json_schema_extra=_drop_default)
    description: Description | None = Field(default=None, json_schema_extra=_drop_default)
    is_completed: StrictBool = Field(default=False, json_schema_extra=_drop_default)


class TaskRead(BaseModel):
    """A task as its owner sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str | None
    is_completed: bool
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskPage(BaseModel):
    """One page, newest first; `next_cursor` is null on the last."""

    model_config = ConfigDict(from_attributes=True)

    items: list[TaskRead]
    next_cursor: str | None
