"""Request and response schemas of the peer, with the fields of our task."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class TaskCreate(BaseModel):
    title: Annotated[str, Field(min_length=1, max_length=255)]
    description: Annotated[str | None, Field(max_length=10_000)] = None
    priority: Literal["none", "low", "medium", "high"] = "none"
    tags: list[str] = []
    due_date: date | None = None
    due_at: datetime | None = None
    due_zone: str | None = None
    reminders: list[int] = []


class TaskRead(TaskCreate):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    owner: str
    list_id: UUID | None
    parent_id: UUID | None
    recurrence: str | None
    recurrence_from: Literal["schedule", "completion"]
    position: float
    is_completed: bool
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    previous_id: UUID | None
    version: int
