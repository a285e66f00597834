"""Requests that undo, as the tests make them."""

from typing import Any

import httpx

from tests.integration.users import TASKS, Person, read

UNDO = "/api/v1/undo"
CHANGES = "/api/v1/changes"
TOKENS = "/api/v1/tokens"
WRITE = ["delete", "read", "write"]
RUN = {"X-Run-Id": "weekly-7"}
AGENT = {"name": "agent", "scopes": WRITE}


def add(http: httpx.Client, title: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Create a task within the run."""
    return read(http.post(TASKS, json={"title": title, **fields}, headers=RUN), 201)


def titles(person: Person) -> list[str]:
    page = read(person.http.get(TASKS, params={"limit": 100}))
    return sorted(task["title"] for task in page["items"])


def undo(http: httpx.Client, **what: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return read(http.post(UNDO, json=what))
