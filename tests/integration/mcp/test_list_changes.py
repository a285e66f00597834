"""Lists that agents create and rename."""

from typing import Any

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.users import LISTS, Person, read


def names(agent: Agent) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in agent.do("lists_and_tags")["lists"]}


def test_an_empty_list_can_be_created(agent: Agent) -> None:
    done = agent.call("add_tasks", lists=["Trips", "Garden"])
    assert (done.data["created_lists"], done.data["tasks"]) == (["Trips", "Garden"], [])
    assert 'New lists: "Trips", "Garden".' in done.lines
    assert names(agent).keys() == {"Trips", "Garden"}
    agent.do("undo", run_id=done.data["run_id"])
    assert names(agent) == {}


def test_the_tasks_of_the_call_can_be_in_the_new_list(agent: Agent) -> None:
    added = agent.do("add_tasks", lists=["Trips"], tasks=[{"text": "Book hotel #trips"}])
    (task,) = added["tasks"]
    assert (task["list"], "tags" in task) == ("Trips", False)


def test_a_list_that_exists_is_not_created_again(agent: Agent) -> None:
    agent.do("add_tasks", lists=["Trips"])
    failed = agent.fail("add_tasks", lists=["Garden", "TRIPS"], tasks=[{"title": "t"}])
    assert [each["field"] for each in failed.data["errors"]] == ["lists.1"]
    assert names(agent).keys() == {"Trips"}


def test_a_list_can_be_renamed(agent: Agent) -> None:
    agent.do("add_tasks", lists=["Trips"])
    version = names(agent)["Trips"]["version"]
    renamed = agent.call(
        "update_tasks", lists=[{"list": "trips", "name": "Journeys", "version": version}]
    )
    assert renamed.data["renamed_lists"] == ["Journeys"]
    assert 'Renamed lists: "Journeys".' in renamed.lines
    assert names(agent).keys() == {"Journeys"}
    agent.do("undo", run_id=renamed.data["run_id"])
    assert names(agent).keys() == {"Trips"}


def test_only_its_owner_renames_a_list_and_nothing_else_is_done(
    make_agent: MakeAgent, alice: Person, bob: Person
) -> None:
    shared = alice.create(LISTS, name="Shared")
    alice.share(shared["id"], bob, "write")
    agent = make_agent(bob)
    (task,) = agent.add("t")
    failed = agent.fail(
        "update_tasks",
        tasks=[{"id": task, "title": "changed"}],
        lists=[{"list": "Shared", "name": "Mine"}, {"list": "Unknown", "name": "x"}],
    )
    assert [each["field"] for each in failed.data["errors"]] == ["lists.1.list"]
    failed = agent.fail(
        "update_tasks",
        tasks=[{"id": task, "title": "changed"}],
        lists=[{"list": "Shared", "name": "Mine"}],
    )
    assert "only its owner may rename it" in failed.text
    (found,) = agent.do("find_tasks")["tasks"]
    assert found["title"] == "t"
    assert read(alice.http.get(f"{LISTS}/{shared['id']}"))["name"] == "Shared"


def test_a_token_that_requires_versions_requires_that_of_a_list(
    make_agent: MakeAgent, alice: Person
) -> None:
    alice.create(LISTS, name="Trips")
    agent = make_agent(alice, require_match=True)
    failed = agent.fail("update_tasks", lists=[{"list": "Trips", "name": "Journeys"}])
    assert [each["field"] for each in failed.data["errors"]] == ["lists.0.version"]
    version = names(agent)["Trips"]["version"]
    agent.do("update_tasks", lists=[{"list": "Trips", "name": "Journeys", "version": version}])


def test_a_call_without_tasks_and_lists_is_refused(agent: Agent) -> None:
    for tool in ("add_tasks", "update_tasks"):
        assert "needs tasks or lists" in agent.fail(tool).text
