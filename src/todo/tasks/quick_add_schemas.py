"""Request and response schemas of quick add."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from todo.api.examples import EXAMPLE_TASK, show_example, show_examples
from todo.api.schemas import ResponseSchema, refuse_nul
from todo.core.domain import Priority, RecurrenceFrom
from todo.quickadd.result import MAX_TEXT, Kind, QuestionCode
from todo.tasks.schemas import TaskRead


class QuickAddRequest(BaseModel):
    """One line of English. Other fields of the request replace those in the text."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "A due date and a tag": {"text": "Water the plants tomorrow @home"},
                "A task that repeats, in a list": {
                    "text": "Write the weekly report every friday at 16:00 #work p1"
                },
                "Words that are not a date": {"text": 'Read "Tomorrow" today'},
            }
        ),
    )

    text: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(refuse_nul)
    ]
    list_id: UUID | None = Field(
        default=None, description="List of the task; takes precedence over the text."
    )
    parent_id: UUID | None = None


class QuickAddSpan(ResponseSchema):
    """A part of the text that was recognized, for highlighting."""

    start: int = Field(description="Start of the part, as a zero-based offset in code points.")
    end: int = Field(description="End of the part (exclusive).")
    kind: Kind = Field(description="Field that the part sets; `literal` for quoted text.")


class QuickAddQuestion(ResponseSchema):
    """A part of the text with more than one meaning."""

    start: int
    end: int
    code: QuestionCode
    message: str
    choices: list[str] = Field(description="Unambiguous replacements of the part.")


class QuickAddTask(ResponseSchema):
    """The fields that a new task would have."""

    title: str
    priority: Priority = "none"
    tags: list[str] = Field(default_factory=list)
    list_id: UUID | None = None
    parent_id: UUID | None = None
    due_date: date | None = None
    due_at: datetime | None = None
    due_zone: str | None = None
    recurrence: str | None = None
    recurrence_text: str | None = Field(default=None, description="The recurrence in words.")
    recurrence_from: RecurrenceFrom = "schedule"
    reminders: list[int] = Field(default_factory=list)


_SPANS: list[dict[str, Any]] = [
    {"start": 17, "end": 27, "kind": "due"},
    {"start": 28, "end": 33, "kind": "tag"},
]


class QuickAddPreview(ResponseSchema):
    """The interpretation of a text; no task was created."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "task": {
                    "title": "Water the plants",
                    "priority": "none",
                    "tags": ["home"],
                    "list_id": None,
                    "parent_id": None,
                    "due_date": "2027-03-31",
                    "due_at": None,
                    "due_zone": None,
                    "recurrence": None,
                    "recurrence_text": None,
                    "recurrence_from": "schedule",
                    "reminders": [],
                },
                "zone": "Europe/Berlin",
                "spans": _SPANS,
                "questions": [],
            }
        )
    )

    task: QuickAddTask
    zone: str = Field(
        description="The account's time zone, in which days and times are interpreted."
    )
    spans: list[QuickAddSpan]
    questions: list[QuickAddQuestion] = Field(
        description="Ambiguous parts; if there are any, no task is created."
    )


class QuickAddResult(ResponseSchema):
    """The task that was created."""

    model_config = ConfigDict(
        json_schema_extra=show_example({"task": EXAMPLE_TASK, "spans": _SPANS})
    )

    task: TaskRead
    spans: list[QuickAddSpan]
