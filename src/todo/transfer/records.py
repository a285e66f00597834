"""Parser of export lines, which accepts only data that the service would store."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from todo.api.schemas import Position, refuse_nul
from todo.core.domain import Priority, RecurrenceFrom, ShareAccess
from todo.core.timestamps import format_timestamp
from todo.db.tables import (
    CONVERSATION_TITLE_LENGTH,
    LIST_NAME_LENGTH,
    MESSAGE_LENGTH,
    USER_LENGTH,
)
from todo.schedule.due import check_zone
from todo.tasks.schemas import Description, Reminders, Rule, Tags, Title
from todo.text.normalization import nfc_validator

# One line can have a hundred thousand errors.
_MAX_REASONS = 10
_MAX_CALLS_BYTES = 128 * 1024

User = Annotated[str, StringConstraints(min_length=1, max_length=USER_LENGTH)]
Version = Annotated[int, Field(ge=1, lt=2**31)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    def to_json_dict(self) -> Any:  # noqa: ANN401 - the caller names its TypedDict
        """Return the record as a JSON document."""
        return {name: to_plain(value) for name, value in self}


class AccountRecord(_Record):
    """Export record of an account."""

    owner: User
    zone: str

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        check_zone(self.zone)
        return self


class ListRecord(_Record):
    """Export record of a list."""

    id: UUID
    owner: User
    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=LIST_NAME_LENGTH),
        nfc_validator(LIST_NAME_LENGTH),
    ]
    position: Position
    created_at: AwareDatetime
    updated_at: AwareDatetime
    version: Version


class ShareRecord(_Record):
    """Export record of a share."""

    list_id: UUID
    user_id: User
    access: ShareAccess
    created_at: AwareDatetime


class TaskRecord(_Record):
    """Export record of a task."""

    id: UUID
    owner: User
    list_id: UUID | None
    parent_id: UUID | None
    title: Title
    description: Description | None
    priority: Priority
    tags: Tags
    due_date: date | None
    due_at: AwareDatetime | None
    due_zone: str | None
    recurrence: Rule | None
    recurrence_from: RecurrenceFrom
    reminders: Reminders
    position: Position
    is_completed: bool
    completed_at: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    previous_id: UUID | None
    version: Version

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.is_completed is (self.completed_at is None):
            msg = "is_completed contradicts completed_at"
            raise ValueError(msg)
        if self.id == self.parent_id:
            msg = "parent_id: a task cannot be below itself"
            raise ValueError(msg)
        return self


class ConversationRecord(_Record):
    """Export record of a conversation with the assistant."""

    id: UUID
    owner: User
    list_id: UUID | None
    title: Annotated[
        str, StringConstraints(max_length=CONVERSATION_TITLE_LENGTH), AfterValidator(refuse_nul)
    ]
    created_at: AwareDatetime
    updated_at: AwareDatetime


def _check_calls(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(orjson.dumps(calls)) > _MAX_CALLS_BYTES:
        raise ValueError(f"must have at most {_MAX_CALLS_BYTES} bytes")
    return calls


class MessageRecord(_Record):
    """Export record of a message in a conversation."""

    id: UUID
    conversation_id: UUID
    role: Literal["user", "assistant"]
    status: Literal["done", "interrupted"]
    content: Annotated[
        str, StringConstraints(max_length=MESSAGE_LENGTH), AfterValidator(refuse_nul)
    ]
    tool_calls: Annotated[list[dict[str, Any]], AfterValidator(_check_calls)]
    run_id: Annotated[str, StringConstraints(max_length=64), AfterValidator(refuse_nul)] | None
    changed: bool
    degraded_reason: (
        Annotated[str, StringConstraints(max_length=32), AfterValidator(refuse_nul)] | None
    )
    prompt_tokens: Annotated[int, Field(ge=0, lt=2**31)]
    output_tokens: Annotated[int, Field(ge=0, lt=2**31)]
    created_at: AwareDatetime


Record = AccountRecord | ListRecord | ShareRecord | TaskRecord | ConversationRecord | MessageRecord
_KINDS: dict[str, type[Record]] = {
    "account": AccountRecord,
    "list": ListRecord,
    "share": ShareRecord,
    "task": TaskRecord,
    "conversation": ConversationRecord,
    "message": MessageRecord,
}
_WORDS = ", ".join(_KINDS)


class NotTakenError(Exception):
    """A line that cannot be imported; the message has the reason."""


def read_line(line: bytes) -> Record | None:
    """Parse one line; return None for the line that names the format.

    Raises:
        NotTakenError: The line is malformed, or has data that the service would not store.
    """
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NotTakenError(f"invalid JSON at column {error.colno}: {error.msg}") from None
    if not isinstance(content, dict) or len(content) != 1:
        raise NotTakenError(f"not an object with one of {_WORDS}")
    ((word, value),) = content.items()
    if word == "todo-backend":
        if value != {"format": 1}:
            raise NotTakenError("is not in format 1: it was written by another version")
        return None
    kind = _KINDS.get(word)
    if kind is None:
        raise NotTakenError(f"{word[:40]!r} is not one of {_WORDS}")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise NotTakenError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Return the errors of all fields in one line."""
    parts = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        parts.append(f"{place}: {reason}" if place else reason)
    return join_reasons(parts)


def join_reasons(reasons: Sequence[str]) -> str:
    """Join the first reasons, and append the number of further reasons."""
    shown = list(reasons[:_MAX_REASONS])
    if len(reasons) > len(shown):
        shown.append(f"and {len(reasons) - len(shown)} more")
    return "; ".join(shown)


def to_plain(value: Any) -> Any:  # noqa: ANN401 - of any field
    """Convert a field's value to its JSON form."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, UUID | date) else value
