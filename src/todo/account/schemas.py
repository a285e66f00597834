"""Request and response schemas of the account."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from todo.api.examples import show_example, show_examples
from todo.api.schemas import ResponseSchema, Zone


class AccountRead(ResponseSchema):
    """The caller's account."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "user": "alice",
                "zone": "Europe/Berlin",
                "created_at": "2027-03-01T09:00:00.000000+00:00",
            }
        )
    )

    user: str = Field(description="The `sub` of the token.")
    zone: str = Field(description="IANA time zone in which days start and end.")
    created_at: datetime | None = Field(
        description="Time of the account's first change; null before it."
    )


class AccountUpdate(BaseModel):
    """Changes to the account."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=show_examples({"Set the time zone": {"zone": "Europe/Berlin"}}),
    )

    zone: Zone = Field(description="IANA time zone, such as `Europe/Berlin`.")
