"""Schemas of the requests and responses of existing front ends.

These front ends send whole tasks with additional fields. `field_aliases` decides which of those are
translated, rejected or ignored.
"""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from todo.api.examples import TASK_ID, show_example, show_examples
from todo.api.schemas import ResponseSchema
from todo.compat.due import Due, read_due_text
from todo.compat.field_aliases import read_fields, refuse_contradiction
from todo.db.tables import TAG_LENGTH
from todo.schedule.rule import MAX_LENGTH, Frequency, read_rule
from todo.tasks.schemas import MAX_TAGS, Description, StoredTag, Tags, Title

MAX_SKIPPED = 10_000
"""Maximum number of skipped tasks before a page; each of them is read."""
MAX_SKIPPED_IN_SEARCH = 500
"""Same as MAX_SKIPPED for searches, which also read the words of each task."""

Pattern = Literal["daily", "weekly", "monthly", "yearly"]
_PATTERNS = {frequency.lower(): f"FREQ={frequency}" for frequency in Frequency}


def _lower(value: Any) -> Any:  # noqa: ANN401 - unvalidated JSON
    return value.strip().lower() if isinstance(value, str) else value


def _nothing(value: Any) -> Any:  # noqa: ANN401 - likewise
    """Convert an empty form field to None."""
    return None if isinstance(value, str) and not value.strip() else value


def _words(value: Any) -> Any:  # noqa: ANN401 - likewise
    """Convert null or comma-separated text to a list of tags; drop empty tags."""
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, list):
        return [each for each in value if not isinstance(each, str) or each.strip()]
    return [] if value is None else value


def _read_rule(value: Any) -> Any:  # noqa: ANN401 - likewise
    """Parse a rule, a pattern such as `daily`, or `none`; raise ValueError for other text."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in {"", "none", "never"}:
        return None
    if word in _PATTERNS:
        return _PATTERNS[word]
    if "freq=" not in word:
        raise ValueError(f"must be one of {', '.join(_PATTERNS)}, none, or a rule with FREQ=")
    return str(read_rule(value))


def _spelled(names: dict[str, str | None], *more: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """Return a validator and schema that translate `names` and accept `more` unchanged."""
    meant = {name.lower(): value for name, value in names.items()}

    def read(value: Any) -> Any:  # noqa: ANN401 - likewise
        word = _lower(value)
        return meant[word] if isinstance(word, str) and word in meant else word

    words: list[str] = [*names, *more]
    return BeforeValidator(read), WithJsonSchema({"type": "string", "enum": words})


_ALL: dict[str, str | None] = {"": None, "all": None}
_OPEN = dict.fromkeys(("pending", "incomplete", "open", "active", "todo"), "open")
_DONE = dict.fromkeys(("completed", "complete", "done"), "completed")
_WINDOWS: dict[str, str | None] = {"this-week": "week", "this-month": "month"}
_SORTS: dict[str, str | None] = {
    "": None,
    "due_date": "due",
    "dueDate": "due",
    "created_at": "created",
    "createdAt": "created",
    "updated_at": "updated",
    "updatedAt": "updated",
}

State = Annotated[Literal["open", "completed"] | None, *_spelled({"": None} | _OPEN | _DONE)]
Status = Annotated[Literal["open", "completed"] | None, *_spelled(_ALL | _OPEN | _DONE)]
Priority = Literal["high", "medium", "low", "none"]
PriorityFilter = Annotated[Priority | None, *_spelled(_ALL, "high", "medium", "low", "none")]
DueStatus = Annotated[
    Literal["overdue", "today", "tomorrow", "week", "month"] | None,
    *_spelled(_ALL | _WINDOWS, "overdue", "today", "tomorrow", "week", "month"),
]
Sort = Annotated[
    Literal["due", "priority", "title", "created", "updated"] | None,
    *_spelled(_SORTS, "priority", "title"),
]
Order = Annotated[Literal["asc", "desc"] | None, *_spelled({"": None}, "asc", "desc")]
DueField = Annotated[
    Due | None,
    BeforeValidator(read_due_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "format": "date-time"},
                {
                    "type": "string",
                    "maxLength": 32,
                    "description": "A time without a zone, or empty.",
                },
                {"type": "null"},
            ],
            "description": "A date, an instant, or a local time without a zone.",
        }
    ),
]


# The schema allows an empty tag, which is ignored.
TagFilter = Annotated[StoredTag, WithJsonSchema({"type": "string", "maxLength": TAG_LENGTH})]


class FrontEndQuery(BaseModel):
    """Query parameters of a task list, by canonical name."""

    page: int | None = Field(default=None, ge=1, description="Default: 1.")
    limit: int | None = Field(
        default=None, ge=1, le=100, description="Default: 20 with `page`, otherwise 100."
    )
    offset: int | None = Field(
        default=None, ge=0, description="Number of tasks to skip; also `skip`."
    )
    search: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None,
        description="Words to find in title and description; the last may be incomplete.",
    )
    status: Status = Field(default=None, description="`pending` or `completed`.")
    completed: bool | None = Field(default=None, description="The same as a Boolean.")
    priority: PriorityFilter = None
    tag: TagFilter | None = Field(default=None, description="One tag; also `tags`.")
    due_status: DueStatus = None
    sort: Sort = Field(
        default=None, description="Default: `due_date`; also `sort_by` and `sortBy`."
    )
    order: Order = Field(
        default=None, description="Default: `asc`; also `sort_order` and `sortOrder`."
    )


# The schema allows empty tags, which are ignored.
_TAGS: dict[str, Any] = {
    "anyOf": [
        {
            "type": "array",
            "items": {"type": "string", "maxLength": TAG_LENGTH},
            "maxItems": MAX_TAGS,
        },
        {"type": "string", "description": "Tags, separated by commas."},
        {"type": "null"},
    ]
}
_RULE: dict[str, Any] = {
    "anyOf": [{"type": "string", "maxLength": MAX_LENGTH}, {"type": "null"}],
    "description": "`daily`, `weekly`, `monthly`, `yearly`, `none`, or an RRULE of RFC 5545.",
}


def _chosen(*words: str) -> tuple[BeforeValidator, BeforeValidator, WithJsonSchema]:
    """Return validators and schema for a choice in a form, which may be empty."""
    schema = {"anyOf": [{"type": "string", "enum": ["", *words]}, {"type": "null"}]}
    return BeforeValidator(_nothing), BeforeValidator(_lower), WithJsonSchema(schema)


_STATES = ("is_completed", "completed", "status")


class _Sent(BaseModel):
    """Fields common to all forms."""

    description: Annotated[Description | None, BeforeValidator(_nothing)] = None
    priority: Annotated[Priority | None, *_chosen("high", "medium", "low", "none")] = None
    tags: Annotated[Tags, BeforeValidator(_words), WithJsonSchema(_TAGS)] = Field(
        default_factory=list
    )
    due_date: DueField = None
    is_completed: StrictBool | None = None
    completed: StrictBool | None = Field(default=None, description="The same as `is_completed`.")
    status: State = Field(default=None, description="The same as a word.")
    is_recurring: StrictBool | None = None
    recurrence_pattern: Annotated[
        Annotated[str, StringConstraints(max_length=MAX_LENGTH)] | None,
        BeforeValidator(_read_rule),
        WithJsonSchema(_RULE),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, sent: Any) -> Any:  # noqa: ANN401 - unvalidated JSON
        return read_fields(sent, cls.model_fields) if isinstance(sent, dict) else sent

    @property
    def states(self) -> set[bool]:
        """Distinct values of the given state fields; True means completed."""
        return _find_states(self)


def _find_states(body: "_Sent | FrontEndToggle") -> set[bool]:
    by_word = None if body.status is None else body.status == "completed"
    return {each for each in (body.is_completed, body.completed, by_word) if each is not None}


def _refuse_two_states(body: "FrontEndCreate | FrontEndToggle") -> None:
    """Raise an error if state fields conflict; only an update can tell which one has changed."""
    if len(body.states) > 1:
        names = [name for name in _STATES if getattr(body, name) is not None]
        raise refuse_contradiction("body", names)


class FrontEndCreate(_Sent):
    """A new task. Unknown fields that cannot affect the task are ignored."""

    model_config = ConfigDict(
        json_schema_extra=show_examples(
            {
                "A task": {"title": "Water the plants"},
                "A task that repeats": {
                    "title": "Write the weekly report",
                    "description": "",
                    "priority": "high",
                    "tags": ["work"],
                    "due_date": "2027-03-05T16:00",
                    "is_recurring": True,
                    "recurrence_pattern": "weekly",
                },
            }
        )
    )

    title: Title

    @model_validator(mode="after")
    def _one_state(self) -> Self:
        _refuse_two_states(self)
        return self


class FrontEndUpdate(_Sent):
    """Changes to a task. Absent and unchanged fields keep their value."""

    model_config = ConfigDict(
        json_schema_extra=show_examples(
            {
                "Change the title and the due date": {
                    "title": "Water the plants on the balcony",
                    "due_date": "2027-03-31",
                },
                "Complete it": {"is_completed": True},
            }
        )
    )

    title: Title | None = None


class FrontEndToggle(BaseModel):
    """The new state of a task. Without it, the state is toggled."""

    model_config = ConfigDict(
        json_schema_extra=show_examples(
            {
                "Complete it": {"is_completed": True},
                "Reopen it": {"status": "pending"},
                "Toggle it": {},
            }
        )
    )

    is_completed: StrictBool | None = None
    completed: StrictBool | None = Field(default=None, description="The same as `is_completed`.")
    status: State = Field(default=None, description="The same as a word.")

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, sent: Any) -> Any:  # noqa: ANN401 - unvalidated JSON
        if not isinstance(sent, dict):
            return sent
        return read_fields(sent, cls.model_fields, is_switch=True)

    @model_validator(mode="after")
    def _one_state(self) -> Self:
        _refuse_two_states(self)
        return self

    @property
    def states(self) -> set[bool]:
        """Distinct values of the given state fields; True means completed."""
        return _find_states(self)


class FrontEndState(BaseModel):
    """Query parameters for the new state of a task, by canonical name."""

    completed: bool | None = Field(default=None, description="The new state; also `is_completed`.")
    status: State = Field(default=None, description="The same as a word.")


class FrontEndTask(ResponseSchema):
    """A task in the format of existing front ends."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "id": TASK_ID,
                "user_id": "alice",
                "title": "Water the plants",
                "description": None,
                "priority": "medium",
                "tags": ["home"],
                "due_date": "2027-03-31T00:00:00",
                "is_completed": False,
                "completed": False,
                "is_recurring": False,
                "recurrence_pattern": None,
                "created_at": "2027-03-01T09:30:00.000000+00:00",
                "updated_at": "2027-03-01T09:30:00.000000+00:00",
            }
        )
    )

    id: UUID
    user_id: str
    title: str
    description: str | None
    priority: Literal["high", "medium", "low"]
    tags: list[str]
    due_date: str | None = Field(
        description="A local time without a zone for a day or if it was sent like that, otherwise "
        "an instant."
    )
    is_completed: bool
    completed: bool
    is_recurring: bool
    recurrence_pattern: Pattern | None
    created_at: str
    updated_at: str


class FrontEndMessage(ResponseSchema):
    """A confirmation."""

    model_config = ConfigDict(
        json_schema_extra=show_example({"message": "Task deleted successfully"})
    )

    message: str
