"""What callers send and receive."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from todo.tasks.schemas import Zone


class AccountRead(BaseModel):
    """The caller's account."""

    user: str = Field(description="The `sub` of the token.")
    zone: str = Field(description="IANA time zone that decides what a day is.")
    created_at: datetime | None = Field(description="Of the first change; null before it.")


class AccountUpdate(BaseModel):
    """Changes to the account."""

    model_config = ConfigDict(extra="forbid")

    zone: Zone = Field(description="IANA time zone, as in `Europe/Berlin`.")
