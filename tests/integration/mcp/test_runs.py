"""Changes that the journal recorded, and the undo of runs."""

from tests.integration.mcp.agents import Agent, MakeAgent, titles
from tests.integration.users import LISTS, TASKS, Person, read


def test_the_changes_have_authors_and_lead_on(agent: Agent) -> None:
    begin = agent.do("changes_since")["next_since"]
    (task_id,) = agent.add("a")
    agent.do("update_tasks", tasks=[{"id": task_id, "title": "b"}], run_id="my-run")
    page = agent.do("changes_since", since=begin, limit=1)
    assert page["has_more"] is True
    (created,) = page["changes"]
    assert (created["operation"], created["name"]) == ("create", "a")
    page = agent.do("changes_since", since=page["next_since"])
    (updated,) = page["changes"]
    assert updated["changed"] == {"title": ["a", "b"]}
    assert (updated["run_id"], updated["agent"]) == ("my-run", "agent/1")
    assert page["has_more"] is False
    assert agent.do("changes_since", since=page["next_since"])["changes"] == []
    result = agent.fail("changes_since", since=page["next_since"] + 1)
    assert "the journal ends at" in result.text


def test_the_latest_changes_come_without_a_number(agent: Agent) -> None:
    agent.add("a", "b", "c")
    page = agent.do("changes_since", limit=2)
    assert [change["name"] for change in page["changes"]] == ["b", "c"]


def test_the_latest_changes_of_a_list_are_found_behind_those_of_others(agent: Agent) -> None:
    quiet = [{"title": "quiet", "list": "Quiet"}]
    agent.do("add_tasks", tasks=quiet, create_missing_lists=True)
    agent.add(*(f"t{number}" for number in range(40)))

    page = agent.do("changes_since", list="Quiet", limit=5)

    assert [change["name"] for change in page["changes"]] == ["Quiet", "quiet"]
    assert page["has_more"] is False
    agent.do("update_tasks", tasks=[{"id": page["changes"][-1]["id"], "title": "loud"}])
    following = agent.call("changes_since", list="Quiet", since=page["next_since"])
    assert [change["name"] for change in following.data["changes"]] == ["loud"]
    assert '(title "quiet" -> "loud")' in following.text


def test_numbers_of_another_users_journal_are_told_apart(
    agent: Agent, alice: Person, bob: Person
) -> None:
    shared = bob.create(LISTS, name="Ours")["id"]
    bob.share(shared, alice, "write")
    bob.create(TASKS, title="typo", list_id=shared)

    result = agent.call("changes_since", list="Ours")

    assert result.data["list"] == "Ours"
    last = 'These numbers are of another user: send list "Ours" with since and undo.'
    assert result.lines[-1] == last
    assert "list" not in agent.do("changes_since")


def test_a_run_is_undone_as_a_whole(agent: Agent) -> None:
    (kept,) = agent.add("kept")
    agent.do("add_tasks", tasks=[{"title": "a"}, {"title": "b"}], run_id="job")
    agent.do("update_tasks", tasks=[{"id": kept, "title": "changed"}], run_id="job")
    result = agent.call("undo", run_id="job")
    assert result.data["undone_count"] == 3
    assert titles(agent.do("find_tasks")["tasks"]) == ["kept"]
    # Undoing the undo does it all again.
    agent.do("undo", run_id=result.data["run_id"])
    assert sorted(titles(agent.do("find_tasks")["tasks"])) == ["a", "b", "changed"]


def test_a_run_in_lists_of_other_users_is_undone_with_it(
    agent: Agent, alice: Person, bob: Person
) -> None:
    shared = [bob.create(LISTS, name=name)["id"] for name in ("One", "Two")]
    for list_id in shared:
        bob.share(list_id, alice, "write")
    bob.create(TASKS, title="his", list_id=shared[0])
    tasks = [{"title": "mine"}, {"title": "a", "list": "One"}, {"title": "b", "list": "Two"}]
    agent.do("add_tasks", tasks=tasks, run_id="job")
    assert agent.do("undo", run_id="job")["undone_count"] == 3
    assert agent.do("find_tasks")["tasks"] == []
    left = [agent.do("find_tasks", list=name)["tasks"] for name in ("One", "Two")]
    assert [titles(tasks) for tasks in left] == [["his"], []]


def test_a_run_is_undone_in_however_many_lists_of_other_users_it_changed(
    agent: Agent, alice: Person, bob: Person
) -> None:
    lists = [bob.create(LISTS, name=f"L{number}")["id"] for number in range(25)]
    for list_id in lists:
        bob.share(list_id, alice, "write")
    agent.do("add_tasks", tasks=[{"title": "t", "list": each} for each in lists], run_id="job")

    assert agent.do("undo", run_id="job")["undone_count"] == 25
    assert read(bob.http.get(TASKS))["items"] == []


def test_one_call_is_undone_by_one_of_its_changes(agent: Agent) -> None:
    agent.add("a", "b")
    change = agent.do("changes_since")["changes"][-1]
    agent.do("undo", seq=change["seq"])
    assert titles(agent.do("find_tasks")["tasks"]) == ["a"]
    agent.do("undo", seq=change["seq"] - 1, whole_call=True)
    assert titles(agent.do("find_tasks")["tasks"]) == []


def test_removing_what_a_run_created_needs_the_scope_to_delete(
    alice: Person, make_agent: MakeAgent
) -> None:
    writer = make_agent(alice, "read", "write")
    (task_id,) = writer.add("a")
    writer.do("update_tasks", tasks=[{"id": task_id, "title": "b"}], run_id="change")
    writer.do("undo", run_id="change")
    writer.do("add_tasks", tasks=[{"title": "c"}], run_id="creation")
    assert writer.fail("undo", run_id="creation").data["code"] == "insufficient-scope"
    assert sorted(titles(writer.do("find_tasks")["tasks"])) == ["a", "c"]


def test_undo_says_what_stays_and_what_is_in_the_way(agent: Agent, alice: Person) -> None:
    run = {"X-Run-Id": "mixed"}
    read(alice.http.patch("/api/v1/me", json={"zone": "Asia/Tokyo"}, headers=run))
    task = read(alice.http.post(TASKS, json={"title": "a"}, headers=run), 201)
    result = agent.call("undo", run_id="mixed")
    assert result.data["undone_count"] == 1
    (stays,) = result.data["not_undone"]
    assert f"- not undone: {stays['message']}" in result.lines
    agent.do("undo", run_id=result.data["run_id"])
    agent.do("update_tasks", tasks=[{"id": task["id"], "title": "b"}])
    result = agent.fail("undo", run_id="mixed")
    assert result.data["code"] == "undo-conflict"
    result = agent.fail("undo", run_id="mixed", seq=1)
    assert "either run_id or seq" in result.text
    result = agent.fail("undo", run_id="nothing")
    assert result.data["code"] == "not-found"
