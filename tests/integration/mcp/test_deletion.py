"""Deletion by tools: nothing is deleted without a plan that was confirmed."""

import uuid
from datetime import datetime
from typing import Any

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.users import LISTS, TASKS, Person, read


def find_titles(person: Person) -> list[str]:
    return sorted(each["title"] for each in read(person.http.get(TASKS))["items"])


def find_deletions(person: Person) -> list[str]:
    """Return the ids of what was deleted, by the journal."""
    entries = read(person.http.get("/api/v1/journal?limit=100"))["items"]
    return [each["id"] for each in entries if each["operation"] == "delete"]


def test_the_first_call_deletes_nothing_and_shows_what_would_go(
    agent: Agent, alice: Person
) -> None:
    (parent, other) = agent.add("parent", "other", due="tomorrow")
    agent.add("child", parent_id=parent)
    result = agent.call("delete_tasks", tasks=[{"id": parent}])
    assert result.data["status"] == "planned"
    assert result.data["count"] == 2
    assert sorted(task["title"] for task in result.data["tasks"]) == ["child", "parent"]
    assert all("version" in task for task in result.data["tasks"])
    assert datetime.fromisoformat(result.data["expires_at"]).utcoffset() is not None
    assert "Nothing is deleted yet. This would delete 2 tasks, subtasks included:" in result.lines
    assert result.data["plan_id"] in result.lines[-1]
    assert find_titles(alice) == ["child", "other", "parent"]
    assert find_deletions(alice) == []
    assert other


def test_the_second_call_deletes_exactly_that_and_can_be_undone(
    agent: Agent, alice: Person
) -> None:
    (task_id, _) = agent.add("gone", "kept")
    plan = agent.do("delete_tasks", tasks=[{"id": task_id}])
    done = agent.do("delete_tasks", plan_id=plan["plan_id"])
    assert (done["status"], done["count"]) == ("deleted", 1)
    assert find_titles(alice) == ["kept"]
    assert find_deletions(alice) == [task_id]
    agent.do("undo", run_id=done["run_id"])
    assert find_titles(alice) == ["gone", "kept"]


def test_a_list_goes_with_its_tasks(agent: Agent, alice: Person) -> None:
    tasks = [{"title": title, "list": "Garden"} for title in "ab"]
    agent.do("add_tasks", tasks=tasks, create_missing_lists=True)
    plan = agent.do("delete_tasks", lists=["garden"])
    assert (plan["count"], plan["lists"]) == (2, ["Garden"])
    assert [each["name"] for each in agent.do("lists_and_tags")["lists"]] == ["Garden"]
    done = agent.do("delete_tasks", plan_id=plan["plan_id"])
    assert agent.do("lists_and_tags")["lists"] == []
    agent.do("undo", run_id=done["run_id"])
    assert find_titles(alice) == ["a", "b"]


def test_only_its_owner_deletes_a_list(agent: Agent, alice: Person, bob: Person) -> None:
    shared = bob.create("/api/v1/lists", name="Bob's")
    bob.share(shared["id"], alice, "write")
    (error,) = agent.fail("delete_tasks", lists=["Bob's"]).data["errors"]
    assert error["message"] == "is a list of another user, and only its owner may delete it"


def test_a_plan_of_what_has_changed_deletes_nothing(agent: Agent, alice: Person) -> None:
    (task_id,) = agent.add("a")
    plan = agent.do("delete_tasks", tasks=[{"id": task_id}])
    agent.do("update_tasks", tasks=[{"id": task_id, "title": "important"}])
    result = agent.fail("delete_tasks", plan_id=plan["plan_id"])
    assert result.data["code"] == "plan-outdated"
    assert "call delete_tasks with the tasks again" in result.lines[-1]
    agent.add("child", parent_id=task_id)
    assert find_deletions(alice) == []


def test_a_plan_is_confirmed_once_and_a_repeated_call_is_answered_again(agent: Agent) -> None:
    (task_id,) = agent.add("a")
    arguments: dict[str, Any] = {"tasks": [{"id": task_id}], "idempotency_key": "plan"}
    plan = agent.do("delete_tasks", **arguments)
    assert agent.do("delete_tasks", **arguments) == {**plan, "replayed": True}
    arguments = {"plan_id": plan["plan_id"], "idempotency_key": "apply"}
    done = agent.do("delete_tasks", **arguments)
    assert agent.do("delete_tasks", **arguments) == {**done, "replayed": True}
    assert agent.fail("delete_tasks", plan_id=plan["plan_id"]).data["code"] == "plan-applied"


@pytest.mark.parametrize("arguments", [{}, {"tasks": []}, {"plan_id": "x", "tasks": [{"id": "x"}]}])
def test_a_call_has_either_tasks_or_a_plan(agent: Agent, arguments: dict[str, Any]) -> None:
    result = agent.fail("delete_tasks", **arguments)
    assert "requires either tasks or lists, or only plan_id" in result.text


@pytest.mark.parametrize("plan_id", ["x", str(uuid.UUID(int=1))])
def test_an_unknown_plan_deletes_nothing(agent: Agent, plan_id: str) -> None:
    assert agent.fail("delete_tasks", plan_id=plan_id).data["code"] == "not-found"


def test_faulty_items_are_named_and_make_no_plan(agent: Agent, alice: Person) -> None:
    (task_id,) = agent.add("a")
    tasks = [{"id": task_id, "version": 7}, {"id": str(uuid.uuid4())}]
    result = agent.fail("delete_tasks", tasks=tasks, lists=[str(uuid.uuid4())])
    assert [each["field"] for each in result.data["errors"]] == ["tasks.0", "tasks.1", "lists.0"]
    assert result.data["errors"][0]["code"] == "version-mismatch"
    assert read(alice.http.get("/api/v1/plans"))["items"] == []


def test_a_plan_that_does_more_is_not_applied(agent: Agent, alice: Person) -> None:
    operations = [{"op": "create", "task": {"title": "sneaked in"}}]
    plan = alice.create("/api/v1/plans", operations=operations)
    result = agent.fail("delete_tasks", plan_id=plan["id"])
    assert result.data["code"] == "other-plan"
    assert find_titles(alice) == []


def test_a_token_without_the_scope_can_do_neither(
    agent: Agent, alice: Person, make_agent: MakeAgent
) -> None:
    (task_id,) = agent.add("a")
    plan = agent.do("delete_tasks", tasks=[{"id": task_id}])
    writer = make_agent(alice, "read", "write")
    for arguments in ({"tasks": [{"id": task_id}]}, {"plan_id": plan["plan_id"]}):
        result = writer.fail("delete_tasks", **arguments)
        assert result.data["code"] == "insufficient-scope"
    assert find_titles(alice) == ["a"]


def test_the_first_call_needs_to_read_and_the_second_does_not(
    agent: Agent, alice: Person, make_agent: MakeAgent
) -> None:
    (task_id,) = agent.add("secret")
    plan = agent.do("delete_tasks", tasks=[{"id": task_id}])
    blind = make_agent(alice, "delete")
    result = blind.fail("delete_tasks", tasks=[{"id": task_id}])
    assert result.data["code"] == "insufficient-scope"
    assert "`read`" in result.text
    assert "secret" not in result.text
    assert "secret" not in str(blind.do("delete_tasks", plan_id=plan["plan_id"]))
    assert find_titles(alice) == []


def test_a_token_for_one_list_plans_and_deletes_only_there(
    agent: Agent, alice: Person, bob: Person, make_agent: MakeAgent
) -> None:
    mine, other, shared = (
        person.create(LISTS, name=name)
        for person, name in ((alice, "mine"), (alice, "private"), (bob, "shared"))
    )
    bob.share(shared["id"], alice, "read")
    tasks = {
        each["name"]: person.create(TASKS, title=each["name"], list_id=each["id"])["id"]
        for person, each in ((alice, mine), (alice, other), (bob, shared))
    }
    of_other = agent.do("delete_tasks", tasks=[{"id": tasks["private"]}])
    bound = make_agent(alice, list_id=mine["id"])
    for arguments in (
        {"tasks": [{"id": tasks["private"]}]},
        {"tasks": [{"id": tasks["shared"]}]},
        {"lists": [other["id"]]},
        {"plan_id": of_other["plan_id"]},
    ):
        result = bound.fail("delete_tasks", **arguments)
        assert "private" not in result.text
    assert (
        agent.fail("delete_tasks", tasks=[{"id": tasks["shared"]}]).data["errors"][0]["code"]
        == "read-only"
    )
    plan = bound.do("delete_tasks", tasks=[{"id": tasks["mine"]}])
    bound.do("delete_tasks", plan_id=plan["plan_id"])
    assert find_deletions(alice) == [tasks["mine"]]
    assert find_deletions(bob) == []


def test_another_users_plan_is_not_there(agent: Agent, bob: Person, make_agent: MakeAgent) -> None:
    (task_id,) = agent.add("a")
    plan = agent.do("delete_tasks", tasks=[{"id": task_id}])
    result = make_agent(bob).fail("delete_tasks", plan_id=plan["plan_id"])
    assert result.data["code"] == "not-found"


def test_a_token_that_requires_versions_needs_none_for_a_plan(
    alice: Person, make_agent: MakeAgent
) -> None:
    careful = make_agent(alice, require_match=True)
    (task_id,) = careful.add("a")
    plan = careful.do("delete_tasks", tasks=[{"id": task_id}])
    careful.do("delete_tasks", plan_id=plan["plan_id"])
    assert find_titles(alice) == []


def test_a_plan_of_many_tasks_is_bounded(agent: Agent, alice: Person) -> None:
    of_list = alice.create(LISTS, name="many")
    batch = [
        {"op": "create", "task": {"title": f"task {n}", "list_id": of_list["id"]}}
        for n in range(100)
    ]
    read(alice.http.post(f"{TASKS}/batch", json={"operations": batch}))
    result = agent.call("delete_tasks", lists=["many"])
    assert (result.data["count"], len(result.data["tasks"])) == (100, 50)
    assert "- … and 50 more" in result.lines


def test_what_the_call_names_is_shown_however_long_it_is(agent: Agent, alice: Person) -> None:
    agent.do("add_tasks", tasks=[{"title": "in", "list": "Archive"}], create_missing_lists=True)
    long = [{"title": f"task {number}", "description": "n" * 4000} for number in range(40)]
    ids = [task["id"] for task in agent.do("add_tasks", tasks=long)["tasks"]]

    result = agent.call("delete_tasks", tasks=[{"id": each} for each in ids], lists=["Archive"])

    assert [task["id"] for task in result.data["tasks"]][:40] == ids
    assert result.data["lists"] == ["Archive"]
    assert '- the list "Archive"' in result.lines
    done = agent.call("delete_tasks", plan_id=result.data["plan_id"])
    assert 'Deleted 41 tasks, and the lists "Archive".' in done.lines
    assert find_titles(alice) == []
