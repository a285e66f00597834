"""Repeated calls, and tokens that require keys or versions."""

from typing import Any

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent
from tests.integration.users import TASKS, Person, read

UNKNOWN = "019ab000-0000-7000-8000-000000000001"


def count_tasks(person: Person) -> int:
    return len(read(person.http.get(TASKS))["items"])


def test_a_repeated_call_is_done_once(agent: Agent, alice: Person) -> None:
    arguments: dict[str, Any] = {
        "tasks": [{"text": "Buy milk tomorrow"}],
        "idempotency_key": "k1",
    }
    first = agent.call("add_tasks", **arguments)
    second = agent.call("add_tasks", **arguments)
    assert second.data == {**first.data, "replayed": True}
    assert "This call was done before; nothing was done again." in second.text
    assert count_tasks(alice) == 1


def test_the_run_of_a_repeated_call_is_that_of_the_first(agent: Agent) -> None:
    arguments: dict[str, Any] = {"tasks": [{"title": "a"}], "idempotency_key": "k1"}
    first = agent.do("add_tasks", run_id="one", **arguments)
    second = agent.do("add_tasks", run_id="two", **arguments)
    assert (first["run_id"], second["run_id"]) == ("one", "one")


def test_the_key_can_be_a_header(agent: Agent, alice: Person) -> None:
    for _ in range(2):
        result = agent.call(
            "add_tasks", tasks=[{"title": "a"}], headers={"Idempotency-Key": "from-header"}
        )
        assert not result.is_error
    assert count_tasks(alice) == 1


def test_the_run_is_that_of_the_argument_the_header_or_the_server(agent: Agent) -> None:
    header = {"X-Run-Id": "header"}
    tasks = [{"title": "a"}]
    assert agent.call("add_tasks", tasks=tasks, headers=header).data["run_id"] == "header"
    done = agent.call("add_tasks", tasks=tasks, run_id="argument", headers=header)
    assert done.data["run_id"] == "argument"
    made = [agent.do("add_tasks", tasks=tasks)["run_id"] for _ in range(2)]
    assert len(set(made)) == 2
    runs = [change["run_id"] for change in agent.do("changes_since")["changes"][-4:]]
    assert runs == ["header", "argument", *made]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("add_tasks", {"tasks": [{"title": "b"}]}),
        ("update_tasks", {"tasks": [{"id": UNKNOWN, "title": "a"}]}),
        ("undo", {"run_id": "a"}),
        ("undo", {"seq": 1}),
    ],
)
def test_a_key_of_another_call_is_refused(
    agent: Agent, alice: Person, tool: str, arguments: dict[str, Any]
) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}], idempotency_key="k1")
    result = agent.fail(tool, **arguments, idempotency_key="k1")
    assert result.data["code"] == "idempotency-key-reused"
    assert count_tasks(alice) == 1


def test_a_key_of_another_list_is_refused(
    agent: Agent, alice: Person, make_agent: MakeAgent
) -> None:
    mine = alice.create("/api/v1/lists", name="Mine")
    bound = make_agent(alice, list_id=mine["id"])
    agent.do("add_tasks", tasks=[{"title": "a"}], idempotency_key="k1")
    result = bound.fail("add_tasks", tasks=[{"title": "a"}], idempotency_key="k1")
    assert result.data["code"] == "idempotency-key-reused"


def test_a_failed_call_leaves_its_key_free(agent: Agent) -> None:
    agent.fail("add_tasks", tasks=[{"title": "a", "due": "someday"}], idempotency_key="k1")
    agent.do("add_tasks", tasks=[{"title": "a"}], idempotency_key="k1")


def test_an_undo_is_repeated_without_doing_it_again(agent: Agent, alice: Person) -> None:
    agent.do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    first = agent.do("undo", run_id="job", idempotency_key="k1")
    second = agent.do("undo", run_id="job", idempotency_key="k1")
    assert second == {**first, "replayed": True}
    assert count_tasks(alice) == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "line\nbreak"])
def test_a_key_has_visible_characters(agent: Agent, key: str) -> None:
    result = agent.fail("add_tasks", tasks=[{"title": "a"}], idempotency_key=key)
    assert result.data["errors"][0]["field"] == "idempotency_key"


@pytest.mark.parametrize("run_id", ["", "x" * 65, "two words"])
def test_a_run_id_is_one_that_the_journal_can_have(agent: Agent, run_id: str) -> None:
    result = agent.fail("add_tasks", tasks=[{"title": "a"}], run_id=run_id)
    assert result.data["errors"][0]["field"] == "run_id"


def test_a_token_can_require_a_key(alice: Person, make_agent: MakeAgent) -> None:
    careful = make_agent(alice, require_key=True)
    result = careful.fail("add_tasks", tasks=[{"title": "a"}])
    assert result.data["code"] == "precondition-required"
    assert "idempotency_key" in result.lines[-1]
    careful.do("add_tasks", tasks=[{"title": "a"}], idempotency_key="k1")
    assert count_tasks(alice) == 1


def test_a_token_can_require_versions(alice: Person, make_agent: MakeAgent) -> None:
    careful = make_agent(alice, require_match=True)
    (task_id,) = careful.add("a")
    fields: dict[str, dict[str, Any]] = {
        "update_tasks": {"title": "b"},
        "reschedule_tasks": {"due": "tomorrow"},
        "complete_tasks": {},
    }
    for version, (tool, changes) in enumerate(fields.items(), 1):
        result = careful.fail(tool, tasks=[{"id": task_id, **changes}])
        assert result.data["code"] == "precondition-required"
        assert result.data["errors"][0]["field"] == "tasks.0.version"
        careful.do(tool, tasks=[{"id": task_id, **changes, "version": version}])


def test_an_undo_can_be_bound_to_the_latest_change(alice: Person, make_agent: MakeAgent) -> None:
    careful = make_agent(alice, require_match=True)
    careful.do("add_tasks", tasks=[{"title": "a"}], run_id="job")
    assert careful.fail("undo", run_id="job").data["code"] == "precondition-required"
    seen = careful.do("changes_since")["next_since"]
    careful.add("b")
    result = careful.fail("undo", run_id="job", version=seen)
    assert result.data["code"] == "version-mismatch"
    careful.do("undo", run_id="job", version=careful.do("changes_since")["next_since"])


def test_a_token_can_be_limited_in_its_writes(alice: Person, make_agent: MakeAgent) -> None:
    limited = make_agent(alice, writes_per_hour=3)
    limited.add("a", "b", "c")
    result = limited.fail("add_tasks", tasks=[{"title": "d"}])
    assert result.data["code"] == "rate-limited"
    assert count_tasks(alice) == 3


@pytest.mark.parametrize("name", ["user", "owner", "actor", "token_id", "agent", "caller"])
def test_no_argument_says_who_the_caller_is(agent: Agent, bob: Person, name: str) -> None:
    for tool in agent.list_tools():
        result = agent.fail(tool, **{name: bob.name})
        found = [each["message"] for each in result.data["errors"] if each["field"] == name]
        assert found[0].startswith("is not an argument")
    result = agent.fail("add_tasks", tasks=[{"title": "a", name: bob.name}])
    assert result.data["errors"][0]["field"] == f"tasks.0.{name}"
