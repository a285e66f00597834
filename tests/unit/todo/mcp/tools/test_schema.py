import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.mcp.tool import ToolError
from todo.mcp.tools.schema import array, check_arguments, flag, integer, record, text

SCHEMA = record(
    {
        "items": array(
            "Items.", record({"id": text("An id."), "due": text("When.")}, ["id"]), max_items=2
        ),
        "status": text("Which.", ("open", "any")),
        "limit": integer("How many.", 1, 50),
        "whole": flag("Whether."),
    },
    ["items"],
)
ITEMS = [{"id": "a"}]


def find_errors(given: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ToolError) as caught:
        check_arguments(SCHEMA, given)
    return [(each["field"], each["message"]) for each in caught.value.errors]


def test_arguments_that_fit_come_back() -> None:
    given = {"items": ITEMS, "status": "open", "limit": 50, "whole": True}
    assert check_arguments(SCHEMA, given) == given


def test_null_is_an_argument_that_is_left_out() -> None:
    given = {"items": [{"id": "a", "due": None}], "limit": None}
    assert check_arguments(SCHEMA, given) == {"items": ITEMS}


def test_null_stays_where_it_removes_something() -> None:
    given = {"items": [{"id": "a", "due": None}]}
    assert check_arguments(SCHEMA, given, removable=["due"]) == given


def test_a_whole_number_that_is_written_as_a_float_is_an_integer() -> None:
    assert check_arguments(SCHEMA, {"items": ITEMS, "limit": 5.0})["limit"] == 5


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({}, "items", "is required"),
        ({"items": [{}]}, "items.0.id", "is required"),
        ({"items": None}, "items", "is required"),
        ({"items": "a"}, "items", "must be an array"),
        ({"items": ["a"]}, "items.0", "must be an object"),
        ({"items": ITEMS * 3}, "items", "must have at most 2 items"),
        ({"items": [{"id": 1}]}, "items.0.id", "must be a string"),
        ({"items": [{"id": "\0"}]}, "items.0.id", "must not contain the character NUL"),
        (
            {"items": [{"id": "\ud800"}]},
            "items.0.id",
            "must be a string without unpaired surrogates",
        ),
        ({"items": ITEMS, "status": "done"}, "status", "must be one of open, any"),
        ({"items": ITEMS, "limit": True}, "limit", "must be an integer"),
        ({"items": ITEMS, "limit": 1.5}, "limit", "must be an integer"),
        ({"items": ITEMS, "limit": 0}, "limit", "must be at least 1"),
        ({"items": ITEMS, "limit": 2**63}, "limit", "must be an integer of 64 bits"),
        ({"items": ITEMS, "limit": -1e300}, "limit", "must be an integer of 64 bits"),
        ({"items": ITEMS, "limit": 51}, "limit", "must be at most 50"),
        ({"items": ITEMS, "whole": 1}, "whole", "must be true or false"),
        ({"items": ITEMS, "limits": 1}, "limits", "is not an argument; did you mean limit?"),
        (
            {"items": ITEMS, "zzz": 1},
            "zzz",
            "is not an argument; use items, status, limit, whole",
        ),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], field: str, message: str) -> None:
    assert find_errors(given) == [(field, message)]


def test_all_faults_are_named_at_once() -> None:
    assert find_errors({"items": [{}, {"id": 1}], "limit": 0, "more": 1}) == [
        ("items.0.id", "is required"),
        ("items.1.id", "must be a string"),
        ("limit", "must be at least 1"),
        ("more", "is not an argument; use items, status, limit, whole"),
    ]


def test_the_faults_of_a_long_call_are_bounded() -> None:
    schema = record({"items": array("Items.", text("One."))})
    with pytest.raises(ToolError) as caught:
        check_arguments(schema, {"items": [1] * 10_000})
    assert len(caught.value.errors) < 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=10,
)
names = st.sampled_from(["items", "status", "limit", "whole", "id", "due"]) | st.text(max_size=3)


@given(st.dictionaries(names, json_values))
def test_no_arguments_end_in_another_error(given: dict[str, Any]) -> None:
    checked: dict[str, Any] = {"items": []}
    with contextlib.suppress(ToolError):
        checked = check_arguments(SCHEMA, given)
    assert isinstance(checked["items"], list)
