"""The peer's one table: the columns of our task."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, DateTime, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {list[Any]: JSON, datetime: DateTime(timezone=True)}  # noqa: RUF012


class Task(Base):
    __tablename__ = "task"
    __table_args__ = (Index("ix_task_owner_created_at", "owner", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner: Mapped[str] = mapped_column(String(255))
    list_id: Mapped[UUID | None]
    parent_id: Mapped[UUID | None]
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    priority: Mapped[str] = mapped_column(String(10), default="none")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    due_date: Mapped[date | None]
    due_at: Mapped[datetime | None]
    due_zone: Mapped[str | None]
    recurrence: Mapped[str | None]
    recurrence_from: Mapped[str] = mapped_column(String(10), default="schedule")
    reminders: Mapped[list[Any]] = mapped_column(default=list)
    position: Mapped[float] = mapped_column(default=0.0)
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    previous_id: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(default=1)

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None
