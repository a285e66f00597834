"""Request and response schemas of tasks."""

from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from todo.api.examples import (
    EXAMPLE_TASK,
    LIST_ID,
    OTHER_TASK_ID,
    TASK_ID,
    show_example,
    show_examples,
)
from todo.api.schemas import (
    MAX_CURSOR_LENGTH,
    Day,
    Instant,
    Position,
    ResponseSchema,
    Zone,
    drop_defaults,
    refuse_nul,
)
from todo.core.domain import Priority, RecurrenceFrom
from todo.db.tables import DESCRIPTION_LENGTH, TAG_LENGTH, TITLE_LENGTH
from todo.tasks.query_shape import Sort
from todo.text.normalization import nfc_validator, normalize_text

MAX_TITLE_LENGTH = TITLE_LENGTH
MAX_DESCRIPTION_LENGTH = DESCRIPTION_LENGTH
MAX_TAGS = 10
MAX_REMINDERS = 5
MAX_REMINDER_MINUTES = 366 * 24 * 60
MAX_BATCH = 100


def _distinct(items: list[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


# `nfc_validator` comes last and so runs first: the limits apply to the text in NFC.
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE_LENGTH),
    AfterValidator(refuse_nul),
    nfc_validator(MAX_TITLE_LENGTH),
]
Description = Annotated[
    str,
    StringConstraints(max_length=MAX_DESCRIPTION_LENGTH),
    AfterValidator(refuse_nul),
    nfc_validator(MAX_DESCRIPTION_LENGTH),
]
Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TAG_LENGTH),
    AfterValidator(refuse_nul),
    nfc_validator(TAG_LENGTH),
]


def _check_one_due(due_date: object, due_at: object) -> None:
    if due_date is not None and due_at is not None:
        msg = "a task is due on a day (due_date) or at a time (due_at), not both"
        raise ValueError(msg)


def _normalize_stored_tag(given: Any) -> Any:  # noqa: ANN401 - any JSON from the client
    return normalize_text(given.strip(), TAG_LENGTH) if isinstance(given, str) else given


# A type for looking up a tag: a tag whose NFC exceeds the limit is stored as it was sent.
StoredTag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TAG_LENGTH),
    AfterValidator(refuse_nul),
    BeforeValidator(_normalize_stored_tag),
]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_distinct)]
Minutes = Annotated[int, Field(ge=-24 * 60, le=MAX_REMINDER_MINUTES, strict=True)]
Reminders = Annotated[
    list[Minutes],
    Field(
        max_length=MAX_REMINDERS,
        description="Minutes before the task is due; for a due date, before its midnight.",
    ),
    AfterValidator(_distinct),
]
Rule = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Field(description="An RRULE of RFC 5545, such as `FREQ=MONTHLY;BYMONTHDAY=31`."),
]


FIELDS_DESCRIPTION = "Keys to return for each task, separated by commas; all by default."


class TaskCreate(BaseModel):
    """A new task. Only `title` is required."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "A task that is due on a day": {
                    "title": "Water the plants",
                    "tags": ["home"],
                    "due_date": "2027-03-31",
                },
                "A task that repeats, with a reminder": {
                    "title": "Write the weekly report",
                    "description": "Numbers, risks, next steps.",
                    "priority": "high",
                    "due_at": "2027-03-05T16:00:00+01:00",
                    "due_zone": "Europe/Berlin",
                    "recurrence": "FREQ=WEEKLY;BYDAY=FR",
                    "reminders": [30],
                },
                "A subtask": {"title": "Buy a watering can", "parent_id": TASK_ID},
                "A task in a list": {"title": "Order new pots", "list_id": LIST_ID},
            }
        ),
    )

    title: Title
    description: Description | None = None
    priority: Priority = "none"
    tags: Tags = Field(default_factory=list)
    list_id: UUID | None = None
    parent_id: UUID | None = None
    due_date: Day | None = Field(default=None, description="A date, independent of time zones.")
    due_at: Instant | None = Field(default=None, description="An instant.")
    due_zone: Zone | None = Field(
        default=None, description="IANA time zone of `due_at`; the default is the account's."
    )
    recurrence: Rule | None = None
    recurrence_from: RecurrenceFrom = "schedule"
    reminders: Reminders = Field(default_factory=list)
    position: Position | None = Field(
        default=None, description="Sort position in the list; the default is after all others."
    )

    @model_validator(mode="after")
    def _one_due(self) -> Self:
        _check_one_due(self.due_date, self.due_at)
        return self


class TaskUpdate(BaseModel):
    """Changes to a task. Absent fields keep their value; `null` removes the value.

    Setting `due_date` removes `due_at` and `due_zone`, and vice versa.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "Change the title and the priority": {
                    "title": "Water the plants on the balcony",
                    "priority": "medium",
                },
                "Make it due at a time": {
                    "due_at": "2027-03-31T18:30:00+02:00",
                    "due_zone": "Europe/Berlin",
                },
                "Remove the due date": {"due_date": None},
                "Move it to a list": {"list_id": LIST_ID},
                "Complete it": {"is_completed": True},
            },
            drop_defaults,
        ),
    )

    title: Title = Field(default="")
    description: Description | None = Field(default=None)
    priority: Priority = Field(default="none")
    tags: Tags = Field(default_factory=list)
    list_id: UUID | None = Field(default=None)
    parent_id: UUID | None = Field(default=None)
    due_date: Day | None = Field(default=None)
    due_at: Instant | None = Field(default=None)
    due_zone: Zone | None = Field(default=None)
    recurrence: Rule | None = Field(default=None)
    recurrence_from: RecurrenceFrom = Field(default="schedule")
    reminders: Reminders = Field(default_factory=list)
    position: Position = Field(default=0)
    is_completed: StrictBool = Field(default=False)

    @model_validator(mode="after")
    def _one_due(self) -> Self:
        _check_one_due(self.due_date, self.due_at)
        return self


class TaskRead(ResponseSchema):
    """A task."""

    model_config = ConfigDict(json_schema_extra=show_example(EXAMPLE_TASK))

    id: UUID
    owner: str = Field(description="Owner of the task's list, or the user who created the task.")
    list_id: UUID | None
    parent_id: UUID | None
    title: str
    description: str | None
    priority: Priority
    tags: list[str]
    due_date: date | None
    due_at: datetime | None
    due_zone: str | None
    recurrence: str | None
    recurrence_from: RecurrenceFrom
    reminders: list[int]
    position: float
    is_completed: bool
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    previous_id: UUID | None = Field(
        description="ID of the previous, completed task of the series."
    )
    version: int = Field(description="Increases with each change; in quotes, it is the entity tag.")


class TaskPart(ResponseSchema):
    """A task, or its requested fields."""

    model_config = ConfigDict(
        json_schema_extra=show_examples(
            {"": EXAMPLE_TASK},
            lambda schema: schema.update(properties=TaskRead.model_json_schema()["properties"]),
        )
    )


class TaskPage(ResponseSchema):
    """One page. It may be short, even empty, while `next_cursor` is not null."""

    items: list[TaskPart]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last page.")


class TaskQuery(BaseModel):
    """Query parameters of a task list."""

    model_config = ConfigDict(extra="forbid")
    REPEATED: ClassVar = {"tag"}

    status: Literal["open", "completed"] | None = None
    priority: Priority | None = None
    tag: Annotated[
        list[StoredTag],
        Field(max_length=MAX_TAGS, description="Only tasks with all of these tags."),
    ] = Field(default_factory=list)
    list: UUID | Literal["none"] | None = Field(
        default=None, description="ID of a list; `none` for tasks without a list."
    )
    parent: UUID | None = Field(default=None, description="Only direct subtasks of this task.")
    due: Literal["overdue", "today", "tomorrow", "week", "month", "none"] | None = Field(
        default=None,
        description="Due window in the account's time zone; `overdue` matches open tasks only.",
    )
    due_from: Instant | None = Field(
        default=None,
        description="Only tasks due at or after this time. A due date counts as its midnight in "
        "the account's time zone.",
    )
    due_to: Instant | None = Field(default=None, description="Only tasks due before this time.")
    updated_since: Instant | None = None
    q: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None,
        description="Words to find in title and description; the last may be incomplete. Empty "
        "for no filter.",
    )
    sort: Sort | None = Field(
        default=None, description="Default: `due` with a due filter, otherwise `created`."
    )
    order: Literal["asc", "desc"] | None = Field(
        default=None,
        description="Default: `desc` for created, updated and priority, otherwise `asc`.",
    )
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR_LENGTH)
    fields: str | None = Field(default=None, max_length=400, description=FIELDS_DESCRIPTION)


class CreateOperation(BaseModel):
    """Create a task."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["create"]
    task: TaskCreate


class UpdateOperation(BaseModel):
    """Change a task."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["update"]
    id: UUID
    if_match: int | None = Field(default=None, strict=True, description="Required current version.")
    task: TaskUpdate


class PlainOperation(BaseModel):
    """Complete, reopen or delete a task."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["complete", "reopen", "delete"]
    id: UUID
    if_match: int | None = Field(default=None, strict=True, description="Required current version.")


Operation = Annotated[CreateOperation | UpdateOperation | PlainOperation, Field(discriminator="op")]


class Batch(BaseModel):
    """Up to 100 operations. They run in this order, and either all of them or none take effect."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "Create, update and complete": {
                    "operations": [
                        {"op": "create", "task": {"title": "Buy soil", "tags": ["home"]}},
                        {"op": "update", "id": TASK_ID, "task": {"priority": "low"}},
                        {"op": "complete", "id": OTHER_TASK_ID, "if_match": 1},
                    ]
                },
                "Delete two tasks": {
                    "operations": [
                        {"op": "delete", "id": TASK_ID},
                        {"op": "delete", "id": OTHER_TASK_ID},
                    ]
                },
            }
        ),
    )

    operations: Annotated[list[Operation], Field(min_length=1, max_length=MAX_BATCH)]


class BatchResult(ResponseSchema):
    """Result of an operation: the current task, or null if it was deleted."""

    op: Literal["create", "update", "complete", "reopen", "delete"]
    task: TaskRead | None


class BatchResults(ResponseSchema):
    """Results in the order of the operations."""

    results: list[BatchResult]
