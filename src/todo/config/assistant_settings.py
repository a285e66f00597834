"""Options of the assistant: its model server, the time a turn may take, and budgets."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from todo.config.addresses import check_model_server

_COST = Decimal(0)
_MOST_COST = Decimal(1_000_000)


class AssistantSettings(BaseModel):
    """The part of the options that starts with `TODO_AI_`."""

    ai_url: str | None = Field(
        default=None,
        description="Model server of the assistant, any that has Chat Completions: "
        "`https://HOST/v1`, on this machine `http://127.0.0.1:PORT/v1`, or `unix:/PATH`. Without "
        "one the assistant works by rules.",
    )
    ai_key_file: Path | None = Field(
        default=None,
        description="File with the key of the model server; a final newline is dropped.",
    )
    ai_model: str = Field(
        default="default",
        min_length=1,
        max_length=200,
        description="Name of the model, as its server knows it.",
    )
    ai_mode: Literal["auto", "tools", "json_schema"] = Field(
        default="auto",
        description="How the model is asked: with `tools`, with a `json_schema` for its answer "
        "(for small local models), or `auto`: a test shows whether it calls tools.",
    )
    ai_connect_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Seconds to connect to the model server."
    )
    ai_first_token_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Seconds until the model server sends the first token, and from each token to "
        "the next.",
    )
    ai_run_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Seconds for a whole turn of the assistant. A JSON answer has to begin before "
        "`TODO_REQUEST_DEADLINE_S`: five seconds less than that are left there, if that is less.",
    )
    ai_turns_per_minute: int = Field(
        default=50,
        ge=0,
        le=1_000_000,
        description="Messages a minute to the assistant, of one user; an API token may use half of "
        "this and of the other budgets. 0 for no limit.",
    )
    ai_tool_calls_per_hour: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Calls of tools an hour by the assistant, for one user; 0 for no limit.",
    )
    ai_tokens_per_day: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000_000,
        description="Tokens a day of the model, for one user; 0 for no limit.",
    )
    ai_concurrency: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Turns of the assistant at the same time, of one user; of one API token half "
        "of it, rounded up.",
    )
    ai_parallel_requests: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Requests to the model server at the same time, of all users; further ones "
        "wait in a queue. 0 for no limit.",
    )
    ai_cost_per_million_input: Decimal = Field(
        default=_COST,
        ge=0,
        le=_MOST_COST,
        description="Price of a million tokens that the model reads, in any currency.",
    )
    ai_cost_per_million_output: Decimal = Field(
        default=_COST,
        ge=0,
        le=_MOST_COST,
        description="Price of a million tokens that the model writes, in the same currency.",
    )
    ai_cost_per_day: Decimal = Field(
        default=_COST,
        ge=0,
        le=_MOST_COST,
        description="Cost a day of the model, for one user; 0 for no limit.",
    )

    @field_validator("ai_url")
    @classmethod
    def _check_model_server(cls, text: str | None) -> str | None:
        return None if text is None else check_model_server(text)
