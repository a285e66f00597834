"""What callers send and receive."""

from pydantic import BaseModel, ConfigDict, Field

from todo.tasks.schemas import Tag


class TagRead(BaseModel):
    """A tag that some task has."""

    name: str


class TagPage(BaseModel):
    """One page."""

    items: list[TagRead]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class TagQuery(BaseModel):
    """Which page of tags."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=400)


class TagUpdate(BaseModel):
    """Another name for a tag; one that there is already takes its tasks."""

    model_config = ConfigDict(extra="forbid")

    name: Tag


class TagRenamed(BaseModel):
    """What became of a tag."""

    name: str
    tasks: int = Field(description="How many tasks were changed.")
