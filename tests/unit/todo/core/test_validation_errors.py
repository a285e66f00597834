"""The wording of validation errors: for a client that sends JSON and knows no Python."""

import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from todo.auth.schemas import TokenCreate
from todo.core.validation_errors import _WORDINGS, word_errors
from todo.journal.schemas import ChangesQuery, UndoRequest
from todo.lists.schemas import ShareChange
from todo.tasks.schemas import Batch, TaskCreate, TaskQuery, TaskUpdate

TASK = {"title": "Water the plants"}
# What pydantic says of the same errors.
PYTHON = re.compile(
    r"\b(Input|dictionary|tuple|dict|list|None|NoneType|str|int|float|bool|bytes|datetime|"
    r"discriminator|tag|pattern|after validation|parse|Value error|model|instance)\b|['\[\]{}^\\]"
)


def explain(model: type[BaseModel], given: dict[str, Any], place: str = "body") -> dict[str, str]:
    """Field and message of each error of a body or a query."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    items = [item | {"loc": (place, *item["loc"])} for item in caught.value.errors()]
    return {error["field"]: error["message"] for error in word_errors(items)}


@pytest.mark.parametrize(
    ("model", "given", "field", "message"),
    [
        (TaskCreate, {}, "title", "is required"),
        (TaskCreate, {"title": ""}, "title", "must not be empty"),
        (TaskCreate, {"title": "t" * 256}, "title", "must have at most 255 characters"),
        (TaskCreate, {"title": 5}, "title", "must be a string"),
        (TaskCreate, {"title": "\ud800"}, "title", "must be a string without unpaired surrogates"),
        (TaskCreate, TASK | {"tags": {}}, "tags", "must be an array"),
        (TaskCreate, TASK | {"tags": ["t"] * 11}, "tags", "must have at most 10 items"),
        (TaskCreate, TASK | {"done": True}, "done", "is not a known field"),
        (TaskCreate, TASK | {"list_id": 5}, "list_id", "must be a UUID"),
        (TaskCreate, TASK | {"list_id": "5"}, "list_id", "must be a UUID"),
        (TaskCreate, TASK | {"position": "1"}, "position", "must be a number"),
        (TaskCreate, TASK | {"position": float("inf")}, "position", "must be a finite number"),
        (
            TaskCreate,
            TASK | {"position": 1e300},
            "position",
            "must be at most 1000000000000000",
        ),
        (
            TaskCreate,
            TASK | {"priority": "urgent"},
            "priority",
            'must be one of "none", "low", "medium", "high"',
        ),
        (
            TaskCreate,
            TASK | {"due_date": "2026-13-45"},
            "due_date",
            "must be a valid date, such as 2026-11-25",
        ),
        (
            TaskCreate,
            TASK | {"due_at": "2026-11-25T18:30:00"},
            "due_at",
            "must be a valid time with its UTC offset, such as 2026-11-25T18:30:00+01:00",
        ),
        (TaskCreate, TASK | {"title": "a\0"}, "title", "must not contain the character NUL"),
        (TaskUpdate, {"is_completed": "yes"}, "is_completed", "must be true or false"),
        (Batch, {"operations": []}, "operations", "must not be empty"),
        (Batch, {"operations": [7]}, "operations.0", "must be an object"),
        (Batch, {"operations": [{}]}, "operations.0", "op is required"),
        (
            Batch,
            {"operations": [{"op": "undo"}]},
            "operations.0",
            'op must be one of "create", "update", "complete", "reopen", "delete"',
        ),
        (ShareChange, {"access": None}, "access", 'must be one of "read", "write"'),
        (UndoRequest, {"seq": 0}, "seq", "must be at least 1"),
        (
            TokenCreate,
            {"name": "n", "scopes": ["read"], "agent": "a b"},
            "agent",
            "must be 1 to 64 of the characters A-Z a-z 0-9 . _ : / @ + -",
        ),
    ],
)
def test_an_error_of_a_body_is_worded_for_json(
    model: type[BaseModel],
    given: dict[str, Any],
    field: str,
    message: str,
) -> None:
    assert explain(model, given) == {field: message}


@pytest.mark.parametrize(
    ("model", "given", "field", "message"),
    [
        (ChangesQuery, {"since": "x"}, "since", "must be an integer"),
        (ChangesQuery, {"until": "1"}, "until", "is not a known parameter"),
        (TaskQuery, {"list": "x"}, "list", 'must be a UUID or "none"'),
        (TaskQuery, {"tag": ["a", ""]}, "tag.1", "must not be empty"),
    ],
)
def test_an_error_of_a_parameter_has_one_message_and_the_name_of_the_parameter(
    model: type[BaseModel], given: dict[str, Any], field: str, message: str
) -> None:
    assert explain(model, given, "query") == {field: message}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("missing", "is required: send a JSON object"),
        (
            "model_attributes_type",
            "must be a JSON object, sent with Content-Type: application/json",
        ),
    ],
)
def test_the_whole_body_is_named_by_an_empty_field(code: str, message: str) -> None:
    (error,) = word_errors([{"type": code, "loc": ("body",)}])

    assert error == {"in": "body", "field": "", "code": code, "message": message}


@pytest.mark.parametrize("kind", sorted(set(get_args(ErrorType)) - {"value_error"}))
def test_no_type_of_error_gets_the_words_of_python(kind: str) -> None:
    context = {
        "min_length": 2,
        "max_length": 9,
        "ge": 0,
        "gt": 0,
        "le": 1e15,
        "lt": 1e15,
        "expected": "'a', 'b' or 'c'",
        "expected_tags": "'a', 'b'",
        "discriminator": "'op'",
        "error": "text of pydantic: Input should be a valid dictionary",
    }

    (error,) = word_errors([{"type": kind, "loc": ("body", "field"), "ctx": context}])

    assert error["code"] == kind
    assert not PYTHON.search(error["message"]), error["message"]


def test_every_wording_is_of_a_type_that_there_is() -> None:
    assert set(_WORDINGS) <= set(get_args(ErrorType))
