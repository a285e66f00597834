"""Field types and models that the schemas of several resources share."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from todo.db.tables import MAX_POSITION
from todo.schedule.due import EARLIEST, LATEST

MAX_CURSOR_LENGTH = 2500  # includes a title, of up to six bytes per character in JSON


def refuse_nul(text: str) -> str:
    """Reject NUL, which PostgreSQL cannot store."""
    if "\0" in text:
        msg = "must not contain the character NUL"
        raise ValueError(msg)
    return text


def drop_defaults(schema: dict[str, Any]) -> None:
    """Remove defaults from the schema: a field that is not sent keeps its value."""
    for field in schema["properties"].values():
        field.pop("default", None)


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _refuse_number(given: object) -> object:
    """Reject Unix timestamps, even as text: pydantic would accept them as times."""
    if not isinstance(given, str) or not _DAY.match(given):
        raise ValueError("must be a time with its UTC offset, such as 2026-11-25T18:30:00+01:00")
    return given


def _refuse_time(given: object) -> object:
    """Reject times: pydantic would accept midnight as a date."""
    if not isinstance(given, str) or not _DAY.fullmatch(given):
        raise ValueError("must be a date, such as 2026-11-25")
    return given


def _refuse_far(moment: datetime) -> datetime:
    """Reject times that a conversion to another time zone could move out of the calendar."""
    if not EARLIEST.year <= moment.year <= LATEST.year:
        raise ValueError(f"must be from {EARLIEST} to {LATEST}")
    return moment


Day = Annotated[date, BeforeValidator(_refuse_time)]
Instant = Annotated[AwareDatetime, BeforeValidator(_refuse_number), AfterValidator(_refuse_far)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=64)]
# SQLite renders 15 digits; with more, a cursor would not find its position again.
Position = Annotated[
    float,
    Field(ge=-MAX_POSITION, le=MAX_POSITION, allow_inf_nan=False, strict=True),
    AfterValidator(lambda number: float(f"{number:.15g}")),
]


class ResponseSchema(BaseModel):
    """Base of the models that document responses.

    The database renders most responses, so the validators of these models are built only on use.
    """

    model_config = ConfigDict(defer_build=True)


class FieldProblem(ResponseSchema):
    """One invalid field or parameter."""

    place: Literal["body", "query", "path", "header", "journal", "plan"] | None = Field(
        default=None, alias="in", description="Part of the request that has the field."
    )
    field: str = Field(description="Path of the field, such as `operations.3.task.title`.")
    code: str = Field(description="Machine-readable; codes are stable.")
    message: str = Field(description="For people.")
    seq: int | None = Field(
        default=None, description="Sequence number of the journal entry that prevents the undo."
    )
    start: int | None = Field(
        default=None,
        description="Start of the ambiguous part of the text, as a zero-based character offset.",
    )
    end: int | None = Field(default=None, description="End of that part (exclusive).")
    choices: list[str] | None = Field(
        default=None, description="Unambiguous replacements of that part."
    )


class Problem(ResponseSchema):
    """An error as a problem document (RFC 9457)."""

    type: str
    title: str = Field(description="Reason phrase of the status code.")
    status: int
    detail: str = Field(description="For people.")
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Machine-readable; codes are stable.")
    request_id: str = Field(description="ID of the request, under which the server logs it.")
    errors: list[FieldProblem] | None = Field(
        default=None, description="Errors of individual fields, at most 100."
    )
    errors_omitted: int | None = Field(
        default=None, description="Number of further errors that are not listed, if any."
    )


def to_json_dict(body: BaseModel) -> Any:  # noqa: ANN401 - the caller names its TypedDict
    """Return the fields that were sent as JSON values: IDs and times as text."""
    return body.model_dump(mode="json", exclude_unset=True)
