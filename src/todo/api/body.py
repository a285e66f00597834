"""What a request's body says."""

from typing import Any

from pydantic import BaseModel


def dump(body: BaseModel) -> dict[str, Any]:
    """Return it as JSON has it: ids and times as text, absent fields absent."""
    return body.model_dump(mode="json", exclude_unset=True)
