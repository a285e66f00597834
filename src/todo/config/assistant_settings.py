"""Options of the assistant: its model server, timeouts, and budgets."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from todo.config.addresses import check_model_server

_COST = Decimal(0)
_MAX_COST = Decimal(1_000_000)


class AssistantSettings(BaseModel):
    """Options that start with `TODO_AI_`."""

    ai_url: str | None = Field(
        default=None,
        description="URL of a model server with the Chat Completions API: `https://HOST/v1`, on "
        "this machine `http://127.0.0.1:PORT/v1`, or `unix:/PATH`. If unset, the assistant "
        "answers by rules only.",
    )
    ai_key_file: Path | None = Field(
        default=None,
        description="File with the API key of the model server; a trailing newline is ignored.",
    )
    ai_model: str = Field(
        default="default",
        min_length=1,
        max_length=200,
        description="Name of the model on its server.",
    )
    ai_mode: Literal["auto", "tools", "json_schema"] = Field(
        default="auto",
        description="Mode of requests to the model: `tools`, `json_schema` (a schema for the "
        "answer, for small local models), or `auto`, which tests whether the model calls tools.",
    )
    ai_connect_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Timeout in seconds for connecting to the model server.",
    )
    ai_first_token_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Timeout in seconds for the first token of the model server, and between "
        "tokens.",
    )
    ai_run_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Maximum seconds for a turn of the assistant. A JSON answer has at most "
        "`TODO_REQUEST_DEADLINE_S` minus five seconds.",
    )
    ai_turns_per_minute: int = Field(
        default=50,
        ge=0,
        le=1_000_000,
        description="Maximum messages to the assistant per minute and user; 0 for no limit. An "
        "API token may use half of this and of the other budgets.",
    )
    ai_tool_calls_per_hour: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Maximum tool calls of the assistant per hour and user; 0 for no limit.",
    )
    ai_tokens_per_day: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000_000,
        description="Maximum model tokens per day and user; 0 for no limit.",
    )
    ai_concurrency: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Maximum concurrent turns of the assistant per user; half of it, rounded up, "
        "per API token.",
    )
    ai_parallel_requests: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Maximum concurrent requests to the model server, for all users together; "
        "further requests wait in a queue. 0 for no limit.",
    )
    ai_cost_per_million_input: Decimal = Field(
        default=_COST,
        ge=0,
        le=_MAX_COST,
        description="Price of a million input tokens, in any currency.",
    )
    ai_cost_per_million_output: Decimal = Field(
        default=_COST,
        ge=0,
        le=_MAX_COST,
        description="Price of a million output tokens, in the same currency.",
    )
    ai_cost_per_day: Decimal = Field(
        default=_COST,
        ge=0,
        le=_MAX_COST,
        description="Maximum model cost per day and user; 0 for no limit.",
    )

    @field_validator("ai_url")
    @classmethod
    def _check_model_server(cls, text: str | None) -> str | None:
        return None if text is None else check_model_server(text)
