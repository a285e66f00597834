"""Values that the API's examples share; each example is in its own schema."""

import json
from collections.abc import Callable, Mapping
from typing import Any

TASK_ID = "019b0a2e-5c00-7000-8000-000000000001"
OTHER_TASK_ID = "019b0a2e-5c00-7000-8000-000000000002"
LIST_ID = "019b0a2e-5c00-7000-8000-00000000000a"
TOKEN_ID = "019b0a2e-5c00-7000-8000-00000000000b"  # noqa: S105 - an ID
PLAN_ID = "019b0a2e-5c00-7000-8000-00000000000c"
CONVERSATION_ID = "019b0a2e-5c00-7000-8000-00000000000d"
MESSAGE_ID = "019b0a2e-5c00-7000-8000-00000000000e"
RUN_ID = "nightly-2027-03-01"

EXAMPLE_TASK: dict[str, Any] = {
    "id": TASK_ID,
    "owner": "alice",
    "list_id": None,
    "parent_id": None,
    "title": "Water the plants",
    "description": None,
    "priority": "none",
    "tags": ["home"],
    "due_date": "2027-03-31",
    "due_at": None,
    "due_zone": None,
    "recurrence": None,
    "recurrence_from": "schedule",
    "reminders": [],
    "position": 1.0,
    "is_completed": False,
    "completed_at": None,
    "created_at": "2027-03-01T09:30:00.000000+00:00",
    "updated_at": "2027-03-01T09:30:00.000000+00:00",
    "previous_id": None,
    "version": 1,
}

KEY = "x-examples"
"""Key for a schema's examples, until `todo.api.openapi` moves them to their final place."""


def show_examples(
    examples: Mapping[str, Any], *changes: Callable[[dict[str, Any]], None]
) -> Callable[[dict[str, Any]], None]:
    """Return a `json_schema_extra` that applies the changes and adds the named examples."""

    def extend(schema: dict[str, Any]) -> None:
        for change in changes:
            change(schema)
        # As text, because FastAPI drops keys whose value is null.
        schema[KEY] = json.dumps(examples)

    return extend


def show_example(example: object) -> Callable[[dict[str, Any]], None]:
    """Return a `json_schema_extra` that adds one response example to a schema."""
    return show_examples({"": example})
