"""A query becomes a model, as FastAPI would make it."""

from typing import Any, ClassVar

import pytest
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from todo.api.query import describe_query, read_query


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    REPEATED: ClassVar = {"tag"}

    limit: int = Field(default=20, le=100, description="How many.")
    tag: list[str] = Field(default_factory=list)
    name: str


def ask(query: str) -> Asked:
    return read_query(Request({"type": "http", "query_string": query.encode()}), Asked)


def errors(query: str) -> list[tuple[Any, ...]]:
    with pytest.raises(RequestValidationError) as caught:
        ask(query)
    return [(*item["loc"], item["type"]) for item in caught.value.errors()]


def test_values_are_read_and_repeated_ones_gathered() -> None:
    assert ask("name=a%20b&tag=x&tag=y") == Asked(name="a b", tag=["x", "y"])


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    assert ask("name=a&limit=1&limit=2").limit == len("ab")


def test_errors_name_their_place_in_the_query() -> None:
    assert errors("limit=101&other=1") == [
        ("query", "limit", "less_than_equal"),
        ("query", "name", "missing"),
        ("query", "other", "extra_forbidden"),
    ]
    assert errors("name=a&tag=x&limit=") == [("query", "limit", "int_parsing")]


def test_openapi_is_told_of_each_field() -> None:
    limit, tag, name = describe_query(Asked)["parameters"]

    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "How many.",
        "schema": {
            "default": 20,
            "description": "How many.",
            "maximum": 100,
            "title": "Limit",
            "type": "integer",
        },
    }
    assert (tag["schema"]["type"], name["required"]) == ("array", True)
