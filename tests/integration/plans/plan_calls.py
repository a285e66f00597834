"""Requests about plans, as the tests make them."""

from typing import Any

import httpx

from tests.integration.users import TASKS, Person, read

PLANS = "/api/v1/plans"
Json = dict[str, Any]


def make_plan(person: Person | httpx.Client, *operations: Json, **fields: Any) -> Json:  # noqa: ANN401 - JSON
    """Make a plan of operations and return it."""
    client = person.http if isinstance(person, Person) else person
    return read(client.post(PLANS, json={"operations": operations, **fields}), 201)


def apply(person: Person | httpx.Client, plan: Json, **headers: str) -> httpx.Response:
    """Apply a plan."""
    client = person.http if isinstance(person, Person) else person
    return client.post(f"{PLANS}/{plan['id']}/apply", headers=headers)


def find_moved(response: httpx.Response) -> list[tuple[str, str]]:
    """Return what an outdated plan names: field and code."""
    body = read(response, 412)
    assert body["code"] == "plan-outdated"
    assert {each["in"] for each in body["errors"]} == {"plan"}
    return sorted((each["field"], each["code"]) for each in body["errors"])


def list_titles(person: Person) -> list[str]:
    """Return the titles of a user's tasks, sorted."""
    return sorted(task["title"] for task in read(person.http.get(TASKS))["items"])
