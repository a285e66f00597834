"""JSON document of a plan for the API and agents."""

from typing import Any, Literal

import orjson

from todo.plans.repository import Plan

_NAMES = ("list_id", "token_id", "agent", "model", "run_id")
_TIMES = ("created_at", "expires_at", "applied_at")


def render_plan(plan: Plan, timestamp: str) -> bytes:
    """Return a plan as JSON, with its status at `timestamp` and, except in pages, its changes."""
    shown: dict[str, Any] = {
        "id": plan.id,
        "status": get_status(plan, timestamp),
        "reason": plan.reason,
        "summary": orjson.Fragment(plan.summary),
    }
    if plan.changes:
        changes = orjson.loads(plan.changes)
        total = sum(each["count"] for each in orjson.loads(plan.summary))
        shown |= {
            "operations": orjson.Fragment(plan.operations),
            "changes": changes,
            "changes_omitted": total - len(changes),
        }
    return orjson.dumps(shown | {name: getattr(plan, name) for name in (*_NAMES, *_TIMES)})


def get_status(plan: Plan, timestamp: str) -> Literal["open", "applied", "expired"]:
    """Return the status of a plan at a time."""
    if plan.applied_at is not None:
        return "applied"
    return "open" if plan.expires_at > timestamp else "expired"
