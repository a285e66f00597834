import itertools
from typing import Any

import pytest

from todo.core.caller import Caller
from todo.core.errors import BatchFailedError, NotFoundError
from todo.core.validation_errors import field_error
from todo.mcp.tool import ToolError
from todo.mcp.tools.write import (
    explain,
    raise_for_items,
    render_fingerprint,
    require_versions,
    translate_batch_error,
)

CALLER = Caller("alice")
LIST = "019ab000-0000-7000-8000-000000000001"


def test_a_fingerprint_depends_on_tool_arguments_and_list() -> None:
    calls: list[tuple[str, dict[str, Any], Caller]] = [
        ("add_tasks", {"tasks": [{"title": "a"}]}, CALLER),
        ("add_tasks", {"tasks": [{"title": "b"}]}, CALLER),
        ("add_tasks", {"tasks": [{"title": "a"}]}, Caller("alice", list_id=LIST)),
        ("update_tasks", {"tasks": [{"title": "a"}]}, CALLER),
    ]
    assert len({render_fingerprint(*call) for call in calls}) == len(calls)


def test_a_fingerprint_does_not_depend_on_the_order_of_keys_or_on_the_run() -> None:
    one = render_fingerprint("t", {"a": 1, "b": {"c": 2, "d": 3}}, Caller("alice", run_id="x"))
    other = render_fingerprint("t", {"b": {"d": 3, "c": 2}, "a": 1}, Caller("alice", run_id="y"))
    assert one == other


def test_errors_of_a_batch_are_those_of_items() -> None:
    places = (
        "operations.0",
        "operations.1.task.due_at",
        "operations.2.task.tags.0",
        "operations.3",
    )
    codes = itertools.cycle(["not-found", "invalid"])
    errors: list[dict[str, str | int]] = [
        {"in": "body", "field": place, "code": next(codes), "message": "m"} for place in places
    ]
    translated = translate_batch_error(BatchFailedError(errors=errors), tasks=3)
    assert [(each["field"], each["message"]) for each in translated] == [
        ("tasks.0", "no task with this id"),
        ("tasks.1.due", "m"),
        ("tasks.2.tags.0", "m"),
        ("lists.0", "m"),
    ]


def test_an_error_of_one_item_names_its_argument() -> None:
    assert explain(2, field_error("list_id", "the list does not exist")) == [
        {"field": "tasks.2.list", "code": "invalid", "message": "the list does not exist"}
    ]
    assert explain(0, NotFoundError())[0]["message"] == "no task with this id"


def test_only_faults_refuse_a_call() -> None:
    raise_for_items([])
    with pytest.raises(ToolError, match="Nothing was changed"):
        raise_for_items([{"field": "tasks.0", "code": "x", "message": "m"}])


def test_versions_are_required_only_by_tokens_that_say_so() -> None:
    tasks: list[dict[str, Any]] = [{"id": "a", "version": 1}, {"id": "b"}]
    require_versions(CALLER, tasks)
    require_versions(Caller("alice", require_match=True), tasks[:1])
    with pytest.raises(ToolError) as caught:
        require_versions(Caller("alice", require_match=True), tasks)
    assert [each["field"] for each in caught.value.errors] == ["tasks.1.version"]
