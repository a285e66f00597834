"""Requests and responses of the assistant and its conversations."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from todo.api.examples import (
    CONVERSATION_ID,
    EXAMPLE_TASK,
    MESSAGE_ID,
    RUN_ID,
    show_example,
    show_examples,
)
from todo.api.schemas import ResponseSchema, refuse_nul
from todo.db.tables import MESSAGE_LENGTH
from todo.text.normalization import nfc_validator

EVENT_STREAM = "text/event-stream"
"""Media type of a streamed answer."""

MessageText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MESSAGE_LENGTH),
    AfterValidator(refuse_nul),
    # A before-validator, so it runs first.
    nfc_validator(MESSAGE_LENGTH),
]


class AssistantRequest(BaseModel):
    """A message to the assistant."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples(
            {
                "Add a task": {"message": "Water the plants tomorrow @home"},
                "Continue a conversation": {
                    "message": "Which tasks are overdue?",
                    "conversation_id": CONVERSATION_ID,
                },
            }
        ),
    )

    message: MessageText
    conversation_id: UUID | None = Field(
        default=None, description="Conversation to continue; omit it to start a new one."
    )


class ToolCallRead(ResponseSchema):
    """A call of a tool by the assistant."""

    tool_name: str
    arguments: dict[str, Any]
    result: dict[str, Any] = Field(
        description="Text in the result is user data. Stored conversations and repeated responses "
        "omit large results."
    )


class UndoOfRun(ResponseSchema):
    """Request body for `POST /api/v1/undo` that reverts the changes of this answer."""

    run_id: str


class Usage(ResponseSchema):
    """Tokens that the model used; 0 if no model was used."""

    prompt_tokens: int
    output_tokens: int


_CALLS = [
    {
        "tool_name": "add_tasks",
        "arguments": {"tasks": [{"text": "Water the plants tomorrow @home"}]},
        "result": {"run_id": RUN_ID},
    }
]
_ABOUT: dict[str, Any] = {
    "tool_calls": _CALLS,
    "run_id": RUN_ID,
    "undo": {"run_id": RUN_ID},
    "degraded": False,
    "degraded_reason": None,
    "usage": {"prompt_tokens": 0, "output_tokens": 0},
}
_TEXT = f'Added "{EXAMPLE_TASK["title"]}", due tomorrow. Write "undo" to take it back.'
_CONVERSATION = {
    "id": CONVERSATION_ID,
    "list_id": None,
    "title": "Water the plants tomorrow @home",
    "plan_id": None,
    "created_at": "2027-03-01T09:30:00.000000+00:00",
    "updated_at": "2027-03-01T09:30:00.000000+00:00",
}
_REASON = (
    "Why the model did not answer when the rules could not: a failure of the model server such as "
    "`unreachable` or `timeout`, or `not-configured`, `over-budget`, `deadline` or `interrupted`; "
    "otherwise null."
)


class AssistantAnswer(ResponseSchema):
    """The answer of the assistant."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "conversation_id": CONVERSATION_ID,
                "message_id": MESSAGE_ID,
                "response": _TEXT,
                **_ABOUT,
                "plan": None,
            }
        )
    )

    conversation_id: UUID = Field(
        description="ID of the conversation, to be sent with the next message."
    )
    message_id: UUID
    response: str = Field(
        description="Plain text that may quote user data; do not render it as HTML."
    )
    tool_calls: list[ToolCallRead]
    run_id: str = Field(description="Run ID of all changes of this answer.")
    undo: UndoOfRun | None = Field(description="How to undo the changes; null if there are none.")
    plan: dict[str, Any] | None = Field(
        description="Plan that waits for confirmation. To apply it, send "
        '`POST /api/v1/plans/{id}/apply` or the message "yes".'
    )
    degraded: bool = Field(
        description="Whether the answer was made without the model that it needed."
    )
    degraded_reason: str | None = Field(description=_REASON)
    usage: Usage


class ConversationItem(ResponseSchema):
    """A conversation, without its messages."""

    id: UUID
    list_id: UUID | None = Field(
        description="List to which the token that started it is restricted; null if unrestricted."
    )
    title: str = Field(description="Beginning of its first message.")
    plan_id: UUID | None = Field(description="Plan that waits for confirmation.")
    created_at: datetime
    updated_at: datetime


class ConversationPage(ResponseSchema):
    """A page of conversations, newest first."""

    model_config = ConfigDict(
        json_schema_extra=show_example({"items": [_CONVERSATION], "next_cursor": None})
    )

    items: list[ConversationItem]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last page.")


class MessageRead(ResponseSchema):
    """A message. The fields after `content` describe an answer."""

    id: UUID
    role: Literal["user", "assistant"]
    status: Literal["running", "done", "interrupted"]
    content: str
    tool_calls: list[ToolCallRead]
    run_id: str | None
    undo: UndoOfRun | None
    plan_id: UUID | None = Field(description="Plan that the answer proposed.")
    degraded: bool
    degraded_reason: str | None
    usage: Usage
    created_at: datetime


class ConversationRead(ConversationItem):
    """A conversation with a page of its messages."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                **_CONVERSATION,
                "messages": [
                    {
                        "id": MESSAGE_ID,
                        "role": "assistant",
                        "status": "done",
                        "content": _TEXT,
                        **_ABOUT,
                        "plan_id": None,
                        "created_at": "2027-03-01T09:30:00.000000+00:00",
                    }
                ],
                "next_cursor": None,
            }
        )
    )

    messages: list[MessageRead] = Field(description="Newest first.")
    next_cursor: str | None = Field(
        description="Cursor of the page with older messages; null on the last page."
    )


class ConversationQuery(BaseModel):
    """Query parameters of a page of conversations or messages."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=200)
