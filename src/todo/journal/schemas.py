"""What callers send and receive."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
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
Image = dict[str, Any]

_LIST = "The changes of this list, out of its owner's journal."
_IMAGE = "A task, list or share, as the API shows it"


class ChangesQuery(BaseModel):
    """Which changes."""

    model_config = ConfigDict(extra="forbid")

    since: Seq = Field(default=0, description="Number of the last change known; 0 for none.")
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

    seq: int = Field(description="Its number in the journal; each is one more than the last.")
    at: datetime
    operation: Operation
    kind: Kind
    id: str = Field(description="Of what was changed; of a share, its user.")
    after: Image | None = Field(
        description=f"{_IMAGE}, after the change; null when it is gone, or gone from the list."
    )


class ChangePage(ResponseSchema):
    """One page, oldest first. It may be short, even empty, while `has_more` is true."""

    items: list[ChangeRead]
    next_since: int = Field(description="`since` of the next page, or of the next time.")
    has_more: bool


class HistoryQuery(BaseModel):
    """Which entries."""

    model_config = ConfigDict(extra="forbid")

    entity: Word | None = Field(default=None, description="Id of a task or a list.")
    run_id: Word | None = Field(default=None, description="The run that made the changes.")
    token_id: UUID | None = Field(
        default=None, description="The API token with which the changes were made."
    )
    actor: Word | None = Field(default=None, description="The user who made the changes.")
    list: UUID | None = Field(default=None, description=_LIST)
    before: Seq | None = Field(default=None, description="Only entries with lower numbers.")
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
    actor: str = Field(description="The user who made the change.")
    token_id: UUID | None
    agent: str | None
    model: str | None
    run_id: str | None
    operation: Operation
    kind: Kind
    id: str
    list_id: UUID | None = Field(
        description="Of what was changed; null for a task that left the list asked for."
    )
    before: Image | None = Field(description=f"{_IMAGE}, before the change.")
    after: Image | None = Field(description=f"{_IMAGE}, after it.")


class EntryPage(ResponseSchema):
    """One page, newest first. It may be short, even empty, while `next_before` is a number."""

    items: list[EntryRead]
    next_before: int | None = Field(description="`before` of the next page; null on the last.")


class RunsQuery(BaseModel):
    """Which runs."""

    model_config = ConfigDict(extra="forbid")

    list: UUID | None = Field(default=None, description=_LIST)
    before: Seq | None = Field(
        default=None, description="Only runs whose latest entry has a lower number."
    )
    limit: int = Field(default=20, ge=1, le=50)


class RunCount(ResponseSchema):
    """How many changes of one operation and kind a run made."""

    operation: Operation
    kind: Kind
    count: int


class RunRead(ResponseSchema):
    """A run: what one user changed with one token and one `X-Run-Id`."""

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
    actor: str = Field(description="The user who made the changes.")
    token_id: UUID | None = Field(description="The API token; null for a JSON Web Token.")
    token_name: str | None = Field(
        description="Name of the token, if it is the caller's and still exists; null for a caller "
        "whose own token is for one list."
    )
    agent: str | None = Field(description="As in the latest entry; so is the model.")
    model: str | None
    first_at: datetime
    last_at: datetime
    last_seq: int = Field(description="Number of the latest entry.")
    changes: int = Field(description="Number of changes, at most 1000.")
    has_more_changes: bool = Field(description="Whether there are more than 1000.")
    summary: list[RunCount] = Field(description="These changes, counted.")
    is_undone: bool = Field(
        description="Whether everything that it changed was taken back by an undo that holds, or "
        "is as it was before the run; false where `has_more_changes` is true."
    )


class RunPage(ResponseSchema):
    """One page. It may be short, even empty, while `next_before` is a number."""

    items: list[RunRead]
    next_before: int | None = Field(description="`before` of the next page; null on the last.")


class EventsQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    since: Seq | None = Field(
        default=None,
        description="Number of the last change known; `Last-Event-ID` wins. Without either, events "
        "begin with the next change.",
    )
    list: UUID | None = Field(default=None, description=_LIST)


class UndoRequest(BaseModel):
    """What to undo: `seq`, `run_id` or `token_id` is required."""

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
        description="Number of a change. What it caused goes with it: the tasks below a deleted "
        "one, the next task of a series.",
    )
    run_id: Word | None = Field(
        default=None,
        description="The `X-Run-Id` of the changes. A run is what one user changed with one token.",
    )
    actor: Word | None = Field(
        default=None, description="With `run_id`: the user whose run it is, if not the caller."
    )
    token_id: UUID | None = Field(
        default=None,
        description="ID of an API token: everything that it changed. With `run_id`, only in that "
        "run; without it, the run is that of the token of the request (if it is the actor's), "
        "otherwise of the only token with such a run.",
    )
    whole_request: StrictBool = Field(
        default=False, description="With `seq`: everything that the same request changed."
    )
    list: UUID | None = Field(
        default=None, description="Look in the journal of this list's owner instead."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        of_run = self.run_id is not None or self.token_id is not None
        if (self.seq is None) != of_run:
            msg = "give either seq, or run_id or token_id or both"
            raise ValueError(msg)
        if self.whole_request and self.seq is None:
            msg = "whole_request goes with seq"
            raise ValueError(msg)
        if self.actor is not None and self.run_id is None:
            msg = "actor goes with run_id"
            raise ValueError(msg)
        return self


class NotUndone(ResponseSchema):
    """A change that cannot be undone."""

    seq: int = Field(description="Its number in the journal.")
    at: datetime
    operation: Operation
    kind: Kind
    id: str = Field(description="Of what was changed.")
    message: str = Field(description="What stays, for people.")


class UndoResult(ResponseSchema):
    """The changes by which it was undone; undoing them does it again."""

    items: list[ChangeRead]
    not_undone: list[NotUndone] = Field(
        description="What a run or a token changed and cannot be undone: tokens, the time zone."
    )
