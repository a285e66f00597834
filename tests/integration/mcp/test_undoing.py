"""Undo by an agent: an undo has a run of its own, and says what can be done next."""

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.users import Person

JOB = {"X-Run-Id": "job"}


def titles(agent: Agent) -> list[str]:
    return sorted(task["title"] for task in agent.do("find_tasks")["tasks"])


@pytest.mark.parametrize("what", ["run", "change"])
def test_an_undo_is_not_a_part_of_the_run_of_its_header(agent: Agent, what: str) -> None:
    agent.call("add_tasks", tasks=[{"title": "a"}, {"title": "b"}], headers=JOB)
    seq = agent.do("changes_since")["next_since"]
    first = {"run_id": "job"} if what == "run" else {"seq": seq}
    undone = agent.call("undo", **first, headers=JOB)
    assert undone.data["run_id"] != "job"
    left = titles(agent)

    again = agent.call("undo", run_id=undone.data["run_id"], headers=JOB)

    assert again.data["undone_count"] == undone.data["undone_count"]
    assert titles(agent) == ["a", "b"]
    agent.call("undo", run_id=again.data["run_id"], headers=JOB)
    assert titles(agent) == left
    assert agent.do("changes_since")["changes"][-1]["run_id"] != "job"


def test_a_repeated_undo_returns_the_same_run(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    once, again = (agent.do("undo", run_id="job", idempotency_key="k") for _ in range(2))
    assert (again.pop("replayed"), again) == (True, once)


def test_following_the_advice_after_a_conflict_leads_to_the_undo(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}, {"title": "b"}], run_id="job")
    task = next(each for each in agent.do("find_tasks")["tasks"] if each["title"] == "b")
    agent.do("update_tasks", tasks=[{"id": task["id"], "title": "b2"}])
    result = agent.fail("undo", run_id="job")
    (conflict,) = result.data["errors"]
    assert result.lines[-1].startswith("Try next: undo the newer changes first, by seq")

    agent.do("undo", seq=conflict["seq"])
    agent.do("undo", run_id="job")

    assert titles(agent) == []


def test_a_second_undo_says_that_it_is_done(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    agent.do("undo", run_id="job")
    result = agent.fail("undo", run_id="job")
    assert result.data["code"] == "undo-conflict"
    assert "is already undone: see entry" in result.data["errors"][0]["message"]
    assert "what is already undone needs nothing" in result.lines[-1]


@pytest.mark.parametrize("what", [{"run_id": "nope"}, {"seq": 10_000}])
def test_an_unknown_run_is_looked_for_in_the_changes(agent: Agent, what: dict[str, str]) -> None:
    result = agent.fail("undo", **what)
    assert result.data["code"] == "not-found"
    assert result.lines == [
        "Error: There is no such change or run that you may see.",
        "Try next: find seq and run_id with changes_since.",
    ]


def test_an_outdated_version_is_that_of_the_changes(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    result = agent.fail("undo", run_id="job", version=0)
    assert result.data["code"] == "version-mismatch"
    assert "repeat with its next_since as version" in result.lines[-1]


def test_a_run_of_two_tokens_is_undone_by_its_changes(alice: Person, make_agent: MakeAgent) -> None:
    for _ in range(2):
        make_agent(alice).do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    result = make_agent(alice).fail("undo", run_id="job")
    assert "Several tokens have a run with this ID" in result.text
    assert "token_id" not in result.text


def test_what_changes_nothing_is_not_undone(agent: Agent) -> None:
    (task_id,) = agent.add("a", tags=["x"])
    agent.do("complete_tasks", tasks=[{"id": task_id}])
    for tool, fields in (
        ("complete_tasks", {}),
        ("update_tasks", {"title": "a", "remove_tags": ["y"]}),
    ):
        result = agent.call(tool, tasks=[{"id": task_id, **fields}])
        assert result.data["unchanged"] is True
        assert result.lines[-1] == "Nothing was changed, so there is nothing to undo."
    changed = agent.call("complete_tasks", tasks=[{"id": task_id}], reopen=True)
    assert "unchanged" not in changed.data
    assert changed.lines[-1] == f"To take it back: undo with run_id {changed.data['run_id']}."


def test_what_an_undo_removes_has_a_name(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "typo"}], run_id="job")
    result = agent.call("undo", run_id="job")
    (undone,) = result.data["undone"]
    assert (undone["name"], undone["gone"]) == ("typo", True)
    assert f'- removed task "typo", id "{undone["id"]}"' in result.lines
    change = agent.do("changes_since")["changes"][-1]
    assert (change["operation"], change["name"], change["gone"]) == ("restore", "typo", True)
    assert "(gone)" in agent.call("changes_since", limit=1).lines[2]


def test_one_change_is_not_called_changes(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    assert "Undone: 1 change." in agent.call("undo", run_id="job").lines
