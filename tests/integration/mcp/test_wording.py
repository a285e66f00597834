"""Texts of the MCP tools: words and characters from models, and the errors they get."""

import re
from datetime import date, timedelta
from typing import Any

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.users import Person, read

TASKS = "/api/v1/tasks"


def find(agent: Agent, **arguments: Any) -> list[str]:  # noqa: ANN401 - JSON
    found = agent.do("find_tasks", **arguments)["tasks"]
    return sorted(task["title"] for task in found)


def days_ago(agent: Agent, count: int) -> str:
    today = date.fromisoformat(agent.do("overview")["today"])
    return (today - timedelta(days=count)).isoformat()


@pytest.mark.parametrize("text", ["yesterday", "1 day ago"])
def test_tasks_that_were_due_are_found_by_words(agent: Agent, alice: Person, text: str) -> None:
    for count in range(3):
        alice.create(TASKS, title=str(count), due_date=days_ago(agent, count))
    assert find(agent, due_from=text, due_to=text) == ["1"]
    assert find(agent, due_to=text) == ["1", "2"]
    assert find(agent, due_from=text, due_to="today") == ["0", "1"]


def test_a_week_is_all_of_its_days(agent: Agent, alice: Person) -> None:
    for count in range(21):
        alice.create(TASKS, title=str(count), due_date=days_ago(agent, count))
    assert len(find(agent, due_from="last week", due_to="last week", limit=50)) == 7


def test_a_text_that_is_not_a_day_is_answered_with_today(agent: Agent) -> None:
    result = agent.fail("find_tasks", due_from="some time ago", updated_since="recently")
    today = agent.do("overview")["today"]
    assert [each["field"] for each in result.data["errors"]] == ["due_from", "updated_since"]
    assert all(f"today as {today}" in each["message"] for each in result.data["errors"])


def test_what_was_finished_is_found_by_the_time_of_the_change(agent: Agent) -> None:
    done, _open = agent.add("done", "open")
    agent.do("complete_tasks", tasks=[{"id": done}])
    assert find(agent, status="completed", updated_since="yesterday") == ["done"]
    assert find(agent, status="any", updated_since="tomorrow") == []
    (task,) = agent.do("find_tasks", status="completed", updated_since="today")["tasks"]
    assert "completed_at" in task


def test_lists_that_are_not_searched_are_named(agent: Agent, alice: Person, bob: Person) -> None:
    assert "other_lists" not in agent.do("find_tasks")
    bob.share(bob.create("/api/v1/lists", name="Bob's")["id"], alice, "read")
    result = agent.call("find_tasks", query="shared")
    assert result.data["other_lists"] == ["Bob's"]
    assert 'each needs its own call: "Bob\'s".' in result.lines[-1]
    assert "other_lists" not in agent.do("find_tasks", list="Bob's")


@pytest.mark.parametrize("none", ["none", "", "None"])
def test_none_is_none_in_every_tool(agent: Agent, none: str) -> None:
    fields = {"list": none, "parent_id": none, "due": none, "recurrence": none}
    item = {"text": "a every day at 9", **fields}
    (task,) = agent.do("add_tasks", tasks=[item], create_missing_lists=True)["tasks"]
    assert not {"list", "parent_id", "due_at", "due_date", "repeats"} & task.keys()
    (task,) = agent.do("update_tasks", tasks=[{"id": task["id"], "list": none, "parent_id": none}])[
        "tasks"
    ]
    assert not {"list", "parent_id"} & task.keys()


def test_the_signs_of_quick_add_are_not_part_of_a_tag(agent: Agent) -> None:
    (task_id,) = agent.add("a", tags=["@family", "#urgent", "plain"])
    (task,) = agent.do("find_tasks", tags=["#family", "urgent"])["tasks"]
    assert sorted(task["tags"]) == ["family", "plain", "urgent"]
    change = {"id": task_id, "add_tags": ["#new"], "remove_tags": ["@Family", "URGENT"]}
    (task,) = agent.do("update_tasks", tasks=[change])["tasks"]
    assert task["tags"] == ["plain", "new"]


def test_a_tag_with_a_sign_in_its_name_can_be_removed(agent: Agent, alice: Person) -> None:
    task = alice.create(TASKS, title="a", tags=["@odd"])
    agent.do("update_tasks", tasks=[{"id": task["id"], "remove_tags": ["@odd"]}])
    assert read(alice.http.get(f"{TASKS}/{task['id']}"))["tags"] == []


@pytest.mark.parametrize(
    "tool", ["add_tasks", "update_tasks", "complete_tasks", "reschedule_tasks"]
)
def test_a_write_of_nothing_is_refused(agent: Agent, tool: str) -> None:
    (error,) = agent.fail(tool, tasks=[]).data["errors"]
    assert (error["field"], error["message"]) == ("tasks", "must not be empty")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("due", "use reschedule_tasks"), ("status", "use complete_tasks"), ("tags", "use add_tags")],
)
def test_another_tool_is_named_for_its_arguments(agent: Agent, name: str, hint: str) -> None:
    (task_id,) = agent.add("a")
    (error,) = agent.fail("update_tasks", tasks=[{"id": task_id, name: "x"}]).data["errors"]
    assert error["message"].startswith(f"is not an argument; {hint}")


def test_a_recurrence_in_a_due_is_called_one(agent: Agent) -> None:
    (task_id,) = agent.add("a")
    for tool, item in (("add_tasks", {"title": "b"}), ("reschedule_tasks", {"id": task_id})):
        result = agent.fail(tool, tasks=[{**item, "due": "every day at 9"}])
        assert "repeats: give that as recurrence" in result.data["errors"][0]["message"]


def test_an_id_that_is_not_one_is_found_by_a_tool(agent: Agent) -> None:
    (task_id,) = agent.add("a")
    for tool, item in (("add_tasks", {"title": "b"}), ("update_tasks", {"id": task_id})):
        (error,) = agent.fail(tool, tasks=[{**item, "parent_id": "a"}]).data["errors"]
        assert error["message"] == "is not an id; find it with find_tasks"
    (error,) = agent.fail("find_tasks", parent_id="none").data["errors"]
    assert error["message"] == "is not an id; find it with find_tasks"


def test_errors_have_the_names_of_arguments(agent: Agent) -> None:
    (error,) = agent.fail("find_tasks", sort="relevance").data["errors"]
    assert error["message"].startswith("relevance requires query")
    agent.do("add_tasks", tasks=[{"title": "a"}], idempotency_key="k")
    result = agent.fail("add_tasks", tasks=[{"title": "b"}], idempotency_key="k")
    assert result.lines[0] == "Error: This idempotency_key was used with another call."


def test_a_limit_says_how_long_to_wait(alice: Person, make_agent: MakeAgent) -> None:
    agent = make_agent(alice, "read", "write", writes_per_hour=1)
    agent.add("a")
    result = agent.fail("add_tasks", tasks=[{"title": "b"}])
    assert result.data["code"] == "rate-limited"
    assert result.lines[0] == "Error: This token has reached its limit of 1 changes per hour."
    assert re.match(r"Try next: wait [0-9]+ seconds, then repeat the call, with", result.lines[-1])
