"""Limits of request bodies before validation."""

import json
from typing import Any

import pytest

from todo.api.body_limits import MAX_KEYS, MAX_VALUES, find_body_limit, refuse_many_values
from todo.core.errors import ValidationFailedError
from todo.tasks.schemas import (
    MAX_BATCH,
    MAX_DESCRIPTION_LENGTH,
    MAX_REMINDERS,
    MAX_TAGS,
    MAX_TITLE_LENGTH,
    Batch,
    TaskCreate,
    TaskUpdate,
)

KIB = 1024
ID = "019b0a2e-5c00-7000-8000-000000000001"
LARGEST_TASK: dict[str, Any] = {
    "title": "\U0001f600" * MAX_TITLE_LENGTH,
    "description": "\U0001f600" * MAX_DESCRIPTION_LENGTH,
    "priority": "medium",
    "tags": [f"{chr(0x1F600 + number)}" * 50 for number in range(MAX_TAGS)],
    "list_id": ID,
    "parent_id": ID,
    "due_at": "2027-03-31T18:30:00.123456+02:00",
    "due_zone": "America/Argentina/ComodRivadavia",
    "recurrence": "FREQ=YEARLY;BYYEARDAY=" + ",".join(["100"] * 122),
    "recurrence_from": "completion",
    "reminders": list(range(1000, 1000 + MAX_REMINDERS)),
    "position": -123456789012.345,
}


def refuse(body: object) -> dict[str, Any]:
    with pytest.raises(ValidationFailedError) as caught:
        refuse_many_values(body)
    assert caught.value.errors is not None
    (error,) = caught.value.errors
    return dict(error)


@pytest.mark.parametrize(
    ("path", "kib"),
    [
        ("/api/v1/tasks/batch", 1024),
        ("/api/v1/tasks", 192),
        (f"/api/v1/tasks/{ID}", 192),
        (f"/api/v1/tasks/{ID}/complete", 192),
        ("/api/alice/tasks", 192),
        (f"/api/alice/tasks/{ID}", 192),
        ("/api/alice/tasks/batch", 192),
        ("/api/v1/tasks/batch/", 192),
        ("/api/v1/lists", 16),
        ("/api/v1/undo", 16),
        ("/api/v1/tasksbatch", 16),
        ("/", 16),
        ("/api/v1/tasks\n/batch", 16),
    ],
)
def test_only_a_batch_may_have_a_mebibyte(path: str, kib: int) -> None:
    assert find_body_limit(path) == kib * KIB


def test_the_largest_task_passes_with_every_character_escaped() -> None:
    TaskCreate.model_validate(LARGEST_TASK)
    body = json.dumps(LARGEST_TASK, indent=4).encode()
    assert b"\\ud83d\\ude00" in body

    assert len(body) < find_body_limit("/api/v1/tasks")
    refuse_many_values(json.loads(body))


def test_a_full_batch_passes() -> None:
    task = {**LARGEST_TASK, "description": "d", "is_completed": True}
    assert task.keys() >= TaskUpdate.model_fields.keys() - {"due_date"}
    operation = {"op": "update", "id": ID, "if_match": 1, "task": task}
    body = {"operations": [operation] * MAX_BATCH}
    Batch.model_validate(body)

    refuse_many_values(body)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (dict.fromkeys(map(str, range(MAX_KEYS + 1))), "", "too_many_keys"),
        ({"task": dict.fromkeys(map(str, range(94_000)))}, "task", "too_many_keys"),
        (
            {"operations": [{}, {"task": dict.fromkeys(map(str, range(MAX_KEYS + 1)))}]},
            "operations.1.task",
            "too_many_keys",
        ),
        ({"k" * 10_000: dict.fromkeys(map(str, range(65)))}, "k" * 64 + "…", "too_many_keys"),
        ({"tags": [1] * MAX_VALUES}, "", "too_many_values"),
        ({"operations": [{}] * 300_000}, "", "too_many_values"),
        ([[[[]] * 2000] * 2000] * 2000, "", "too_many_values"),
        ({"operations": [{"tags": ["t"] * 60}] * 100}, "", "too_many_values"),
    ],
)
def test_what_would_be_thousands_of_errors_is_one(body: object, field: str, code: str) -> None:
    error = refuse(body)

    assert (error["in"], error["field"], error["code"]) == ("body", field, code)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        5,
        [],
        {},
        dict.fromkeys(map(str, range(MAX_KEYS))),
        {"tags": ["t"] * (MAX_VALUES - 1)},
        json.loads("[" * 900 + "]" * 900),
    ],
)
def test_what_is_wrong_otherwise_is_left_to_validation(body: object) -> None:
    refuse_many_values(body)
