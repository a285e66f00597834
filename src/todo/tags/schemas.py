"""Request and response schemas of tags."""

from pydantic import BaseModel, ConfigDict, Field

from todo.api.examples import show_example, show_examples
from todo.api.schemas import ResponseSchema
from todo.tasks.schemas import Tag


class TagRead(ResponseSchema):
    """A tag of at least one task."""

    model_config = ConfigDict(json_schema_extra=show_example({"name": "home"}))

    name: str


class TagPage(ResponseSchema):
    """One page."""

    items: list[TagRead]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last page.")


class TagQuery(BaseModel):
    """Query parameters of a page of tags."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=600)


class TagUpdate(BaseModel):
    """The new name of a tag. If it already exists, the two tags become one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra=show_examples({"Rename it": {"name": "household"}})
    )

    name: Tag


class TagRenamed(ResponseSchema):
    """The result of renaming a tag."""

    model_config = ConfigDict(json_schema_extra=show_example({"name": "household", "tasks": 3}))

    name: str
    tasks: int = Field(description="Number of changed tasks.")
