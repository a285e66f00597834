"""API tokens of a service, as its tests make them."""

from collections.abc import Callable
from typing import Any

import httpx

PATH = "/api/v1/tokens"
TASKS = "/api/v1/tasks"
ALL = ["admin", "assistant", "delete", "read", "write"]
Open = Callable[[str], httpx.Client]


def make(client: httpx.Client, *scopes: str, **options: object) -> dict[str, Any]:
    response = client.post(PATH, json={"name": "n", "scopes": scopes or ALL, **options})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made
