"""Request and response schemas of the journal."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from todo.api.examples import (
    EXAMPLE_TASK,
    LIST_ID,
    RUN_ID,
    TASK_ID,
    TOKEN_ID,
    show_example,
    show_examples,
)
from todo.api.schemas import ResponseSchema, refuse_nul
from todo.db.tables import USER_LENGTH
from todo.journal.repository import MAX_SEQ

Operation = Literal[
    "create",
    "update",
    "complete",
    "reopen",
    "delete",
    "remind",
    "restore",
    "share",
    "unshare",
]
Kind = Literal["task", "list", "share", "account", "token"]
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]
Word = Annotated[
    str, StringConstraints(min_length=1, max_length=USER_LENGTH), AfterValidator(refuse_nul)
]


_LIST = "Only changes of this list, from its owner's journal."
_DOCUMENT = "The task, list or share"


class ChangesQuery(BaseModel):
    """Query parameters of changes."""

    model_config = ConfigDict(extra="forbid")

    since: Seq = Field(
        default=0, description="Sequence number of the last known change; 0 for none."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    list: UUID | None = Field(default=None, description=_LIST)


class ChangeRead(ResponseSchema):
    """One change."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "seq": 17,
                "at": "2027-03-01T09:30:00.000000+00:00",
                "operation": "create",
                "kind": "task",
                "id": TASK_ID,
                "after": EXAMPLE_TASK,
            }
        )
    )

    seq: int = Field(description="Sequence number in the journal; consecutive.")
    at: datetime
    operation: Operation
    kind: Kind
    id: str = Field(description="ID of the changed entity; for a share, its user.")
    after: dict[str, object] | None = Field(
        description=f"{_DOCUMENT} after the change; null if it was deleted or left the list."
    )


class ChangePage(ResponseSchema):
    """One page, oldest first. It may be short, even empty, while `has_more` is true."""

    items: list[ChangeRead]
    next_since: int = Field(description="`since` for the next page or the next poll.")
    has_more: bool


class HistoryQuery(BaseModel):
    """Query parameters of the history."""

    model_config = ConfigDict(extra="forbid")

    entity: Word | None = Field(default=None, description="ID of a task or a list.")
    run_id: Word | None = Field(default=None, description="Run ID of the changes.")
    token_id: UUID | None = Field(default=None, description="ID of the API token of the changes.")
    actor: Word | None = Field(default=None, description="User who made the changes.")
    list: UUID | None = Field(default=None, description=_LIST)
    before: Seq | None = Field(
        default=None, description="Only entries with a lower sequence number."
    )
    limit: int = Field(default=20, ge=1, le=100)


class EntryRead(ResponseSchema):
    """One entry of the journal: who did what, and when."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "seq": 17,
                "at": "2027-03-01T09:30:00.000000+00:00",
                "actor": "alice",
                "token_id": None,
                "agent": "cleanup/1.4",
                "model": None,
                "run_id": RUN_ID,
                "operation": "create",
                "kind": "task",
                "id": TASK_ID,
                "list_id": None,
                "before": None,
                "after": EXAMPLE_TASK,
            }
        )
    )

    seq: int
    at: datetime
    actor: str = Field(description="User who made the change.")
    token_id: UUID | None
    agent: str | None
    model: str | None
    run_id: str | None
    operation: Operation
    kind: Kind
    id: str
    list_id: UUID | None = Field(
        description="List of the entity; null without one, or if the task left the requested list."
    )
    before: dict[str, object] | None = Field(description=f"{_DOCUMENT} before the change.")
    after: dict[str, object] | None = Field(description=f"{_DOCUMENT} after the change.")


class EntryPage(ResponseSchema):
    """One page, newest first. It may be short, even empty, while `next_before` is a number."""

    items: list[EntryRead]
    next_before: int | None = Field(
        description="`before` for the next page; null on the last page."
    )


class RunsQuery(BaseModel):
    """Query parameters of runs."""

    model_config = ConfigDict(extra="forbid")

    list: UUID | None = Field(default=None, description=_LIST)
    before: Seq | None = Field(
        default=None, description="Only runs whose latest entry has a lower sequence number."
    )
    limit: int = Field(default=20, ge=1, le=50)


class RunCount(ResponseSchema):
    """Number of a run's changes of one operation and kind."""

    operation: Operation
    kind: Kind
    count: int


class RunRead(ResponseSchema):
    """A run: the changes of one user with one token and one `X-Run-Id`."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "run_id": RUN_ID,
                "actor": "alice",
                "token_id": TOKEN_ID,
                "token_name": "nightly cleanup",
                "agent": "cleanup/1.4",
                "model": None,
                "first_at": "2027-03-01T03:00:00.000000+00:00",
                "last_at": "2027-03-01T03:00:04.000000+00:00",
                "last_seq": 17,
                "changes": 1,
                "has_more_changes": False,
                "summary": [{"operation": "delete", "kind": "task", "count": 1}],
                "is_undone": False,
            }
        )
    )

    run_id: str
    actor: str = Field(description="User who made the changes.")
    token_id: UUID | None = Field(description="ID of the API token; null for a JSON Web Token.")
    token_name: str | None = Field(
        description="Name of the token if it is the caller's and still exists; null if the "
        "request's token is restricted to one list."
    )
    agent: str | None = Field(description="Agent of the latest entry.")
    model: str | None
    first_at: datetime
    last_at: datetime
    last_seq: int = Field(description="Sequence number of the latest entry.")
    changes: int = Field(description="Number of changes, up to 1000.")
    has_more_changes: bool = Field(description="Whether there are more than 1000 changes.")
    summary: list[RunCount] = Field(description="Numbers of changes by kind and operation.")
    is_undone: bool = Field(
        description="Whether all changes were undone, or their entities are again as they were "
        "before the run; false if `has_more_changes` is true."
    )


class RunPage(ResponseSchema):
    """One page. It may be short, even empty, while `next_before` is a number."""

    items: list[RunRead]
    next_before: int | None = Field(
        description="`before` for the next page; null on the last page."
    )


class EventsQuery(BaseModel):
    """Query parameters of the event stream."""

    model_config = ConfigDict(extra="forbid")

    since: Seq | None = Field(
        default=None,
        description="Sequence number of the last known change; `Last-Event-ID` takes precedence. "
        "Without either, the stream starts with the next change.",
    )
    list: UUID | None = Field(default=None, description=_LIST)


class UndoRequest(BaseModel):
    """Changes to undo: `seq`, `run_id` or `token_id` is required."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "A change": {"seq": 17},
                "Everything that one request changed": {"seq": 17, "whole_request": True},
                "Everything that a run changed": {"run_id": RUN_ID},
                "A run in the journal of a list's owner": {"run_id": RUN_ID, "list": LIST_ID},
                "Everything that a token changed": {"token_id": TOKEN_ID},
            }
        ),
    )

    seq: Annotated[int, Field(ge=1, le=MAX_SEQ, strict=True)] | None = Field(
        default=None,
        description="Sequence number of a change. Its consequences are undone as well: deleted "
        "subtasks, the next task of a series.",
    )
    run_id: Word | None = Field(
        default=None,
        description="The `X-Run-Id` of the changes. A run belongs to one user and one token.",
    )
    actor: Word | None = Field(
        default=None, description="With `run_id`: user who made the run, if not the caller."
    )
    token_id: UUID | None = Field(
        default=None,
        description="ID of an API token whose changes are undone; with `run_id`, only those in "
        "the run. If omitted, `run_id` refers to the token of the request if it is the actor's, "
        "otherwise to the only token with such a run.",
    )
    whole_request: StrictBool = Field(
        default=False, description="With `seq`: undo all changes of the same request."
    )
    list: UUID | None = Field(
        default=None, description="Use the journal of this list's owner instead of the caller's."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        of_run = self.run_id is not None or self.token_id is not None
        if (self.seq is None) != of_run:
            msg = "send either seq, or run_id or token_id or both"
            raise ValueError(msg)
        if self.whole_request and self.seq is None:
            msg = "whole_request requires seq"
            raise ValueError(msg)
        if self.actor is not None and self.run_id is None:
            msg = "actor requires run_id"
            raise ValueError(msg)
        return self


class NotUndone(ResponseSchema):
    """A change that cannot be undone."""

    seq: int = Field(description="Sequence number in the journal.")
    at: datetime
    operation: Operation
    kind: Kind
    id: str = Field(description="ID of the changed entity.")
    message: str = Field(description="Human-readable description of the change that stays.")


class UndoResult(ResponseSchema):
    """The changes that the undo made. Undoing them restores the original changes."""

    items: list[ChangeRead]
    not_undone: list[NotUndone] = Field(
        description="Changes of the run or token that cannot be undone: tokens, the time zone."
    )
