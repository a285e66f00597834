"""Schemas of the chat endpoint for existing front ends."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from todo.api.examples import CONVERSATION_ID, RUN_ID, show_example, show_examples
from todo.api.schemas import ResponseSchema
from todo.assistant.schemas import MessageText, ToolCallRead


def _read_conversation(value: Any) -> Any:  # noqa: ANN401 - unvalidated JSON
    """Parse a conversation ID; a number or a text in another format becomes None."""
    if isinstance(value, str):
        try:
            return UUID(value.strip())
        except ValueError:
            return None
    # In Python a bool is also an int.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number else value


ConversationId = Annotated[
    UUID | None,
    BeforeValidator(_read_conversation),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
]


class FrontEndChat(BaseModel):
    """A message of a chat."""

    model_config = ConfigDict(
        json_schema_extra=show_examples(
            {
                "Start a conversation": {
                    "message": "Water the plants tomorrow",
                    "conversation_id": None,
                },
                "Continue it": {
                    "message": "What is due tomorrow?",
                    "conversation_id": CONVERSATION_ID,
                },
            }
        )
    )

    message: MessageText
    conversation_id: ConversationId = Field(
        default=None,
        description="ID from the last answer. A missing or numeric ID starts a new conversation.",
    )


class FrontEndChatAnswer(ResponseSchema):
    """The assistant's response in the format of existing front ends."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "conversation_id": CONVERSATION_ID,
                "response": "Nothing is due tomorrow.",
                "tool_calls": [
                    {"tool_name": "find_tasks", "arguments": {"due": "tomorrow"}, "result": {}}
                ],
                "plan": None,
                "degraded": False,
                "run_id": RUN_ID,
            }
        )
    )

    conversation_id: UUID
    response: str = Field(description="Plain text.")
    tool_calls: list[ToolCallRead]
    plan: dict[str, Any] | None = Field(
        description='Plan that waits for confirmation; "yes" as the next message applies it.'
    )
    degraded: bool = Field(
        description="Whether the answer was made without the model that it needed."
    )
    run_id: str = Field(description="Run ID with which the changes can be undone.")
