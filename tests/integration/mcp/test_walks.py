"""Walks through the tools, as an agent uses them."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.integration.mcp.agents import Agent, MakeAgent, titles, today_of
from tests.integration.users import LISTS, TASKS, Person, read

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("overview", {}),
        ("find_tasks", {}),
        ("changes_since", {}),
        ("add_tasks", {"tasks": [{"title": "t"}]}),
    ],
)
def test_every_result_with_dates_names_zone_and_today(
    agent: Agent, tool: str, arguments: dict[str, Any]
) -> None:
    before = datetime.now(BERLIN).date()
    result = agent.call(tool, **arguments)
    assert before <= date.fromisoformat(result.data["today"]) <= datetime.now(BERLIN).date()
    assert result.data["zone"] == "Europe/Berlin"
    assert result.data["today"] in result.lines[0]
    assert "Europe/Berlin" in result.lines[0]


def test_the_overview_sorts_tasks_by_when_they_are_due(agent: Agent) -> None:
    day = agent.do("overview")
    due = {"before": -3, "today": 0, "tomorrow": 1, "last": 7, "later": 8}
    agent.do(
        "add_tasks",
        tasks=[
            *({"title": title, "due": today_of(day, days)} for title, days in due.items()),
            {"title": "never"},
            {"title": "done", "due": today_of(day)},
        ],
    )
    (done,) = agent.do("find_tasks", query="done")["tasks"]
    agent.do("complete_tasks", tasks=[{"id": done["id"]}])
    shown = agent.do("overview")
    assert titles(shown["overdue"]["tasks"]) == ["before"]
    assert titles(shown["due_today"]["tasks"]) == ["today"]
    assert titles(shown["next_7_days"]["tasks"]) == ["tomorrow", "last"]
    assert shown["no_list"] == {"open": 6}


def test_the_overview_is_bounded_and_says_so(agent: Agent) -> None:
    agent.add(*(f"task {number}" for number in range(12)), due="tomorrow")
    shown = agent.do("overview")["next_7_days"]
    assert (len(shown["tasks"]), shown["has_more"]) == (10, True)
    assert len(agent.do("overview", limit=12)["next_7_days"]["tasks"]) == 12


def test_the_overview_counts_open_tasks_by_list(
    agent: Agent, make_agent: MakeAgent, bob: Person, alice: Person
) -> None:
    shared = bob.create(LISTS, name="Bob's")
    bob.share(shared["id"], alice, "read")
    make_agent(bob).add("his", list="Bob's")
    agent.do(
        "add_tasks",
        tasks=[{"title": t, "list": "Work"} for t in "ab"],
        create_missing_lists=True,
    )
    shown = {each["name"]: each for each in agent.do("overview")["lists"]}
    assert shown["Work"]["open"] == 2
    assert shown["Bob's"] == {
        "id": shared["id"],
        "name": "Bob's",
        "access": "read",
        "open": 1,
    }
    assert titles(agent.do("find_tasks", list="Bob's")["tasks"]) == ["his"]
    assert (
        "Due tasks of lists shared with you are in: overview with list."
        in agent.call("overview").lines
    )


def test_a_page_leads_to_the_next(agent: Agent) -> None:
    agent.add(*(f"task {number}" for number in range(5)))
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = agent.do("find_tasks", limit=2, sort="title", **cursor)
        found += titles(page["tasks"])
        assert page["has_more"] is ("next_cursor" in page)
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == [f"task {number}" for number in range(5)]


def test_words_find_the_best_tasks_first(agent: Agent) -> None:
    agent.add("Call the dentist", "Dentist bill: dentist called")
    agent.add("Buy milk")
    page = agent.do("find_tasks", query="dentist")
    assert sorted(titles(page["tasks"])) == ["Call the dentist", "Dentist bill: dentist called"]
    assert page["has_more"] is False
    assert agent.do("find_tasks", query="dentist", limit=1)["has_more"] is True


def test_filters_are_combined(agent: Agent) -> None:
    day = agent.do("overview")
    agent.add("a", "b", due=today_of(day, 1), tags=["x"])
    agent.add("c", due=today_of(day, 2), tags=["x", "y"], priority="high")
    agent.add("d")

    def find(**arguments: Any) -> list[str]:  # noqa: ANN401 - JSON
        return sorted(titles(agent.do("find_tasks", **arguments)["tasks"]))

    assert find(due="tomorrow") == ["a", "b"]
    assert find(due="none") == ["d"]
    assert find(due_from="tomorrow", due_to="tomorrow") == ["a", "b"]
    assert find(due_to=today_of(day, 2)) == ["a", "b", "c"]
    assert find(tags=["x", "y"]) == ["c"]
    assert find(priority="high") == ["c"]
    assert find(list="none", limit=50) == ["a", "b", "c", "d"]
    assert find(status="completed") == []


def test_fields_cut_the_tasks(agent: Agent) -> None:
    (task_id,) = agent.add("a", due="tomorrow", tags=["x"])
    page = agent.do("find_tasks", fields=["title"])
    assert page["tasks"] == [{"id": task_id, "title": "a"}]
    result = agent.fail("find_tasks", fields=["titel"])
    assert result.data["errors"][0]["message"].startswith('"titel" is not a key; use id, title,')


def test_an_update_changes_what_is_named(agent: Agent) -> None:
    (task_id,) = agent.add("a", description="notes", tags=["old", "both"], due="tomorrow")
    done = agent.do(
        "update_tasks",
        tasks=[
            {
                "id": task_id,
                "title": "new",
                "description": "",
                "priority": "high",
                "add_tags": ["both", "fresh"],
                "remove_tags": ["old", "absent"],
            }
        ],
    )
    (task,) = done["tasks"]
    assert (task["title"], task["priority"], task["version"]) == ("new", "high", 2)
    assert task["tags"] == ["both", "fresh"]
    assert "description" not in task
    assert "due_date" in task


def test_a_task_moves_between_lists_and_parents(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "p", "list": "Work"}], create_missing_lists=True)
    (parent,) = agent.do("find_tasks", query="p")["tasks"]
    (task_id,) = agent.add("child")
    (task,) = agent.do("update_tasks", tasks=[{"id": task_id, "list": "WORK"}])["tasks"]
    assert task["list"] == "Work"
    (task,) = agent.do("update_tasks", tasks=[{"id": task_id, "parent_id": parent["id"]}])["tasks"]
    assert task["parent_id"] == parent["id"]
    below = agent.do("find_tasks", parent_id=parent["id"])
    assert titles(below["tasks"]) == ["child"]
    changes = {"id": task_id, "parent_id": "none", "list": "none"}
    (task,) = agent.do("update_tasks", tasks=[changes])["tasks"]
    assert not {"parent_id", "list"} & task.keys()


def test_a_change_of_another_version_changes_nothing(agent: Agent) -> None:
    first, second = agent.add("a", "b")
    agent.do("update_tasks", tasks=[{"id": first, "title": "a2", "version": 1}])
    tasks = [{"id": second, "title": "b2"}, {"id": first, "title": "a3", "version": 1}]
    result = agent.fail("update_tasks", tasks=tasks)
    assert [each["field"] for each in result.data["errors"]] == ["tasks.1"]
    assert result.data["errors"][0]["code"] == "version-mismatch"
    assert sorted(titles(agent.do("find_tasks")["tasks"])) == ["a2", "b"]


@pytest.mark.parametrize("tool", ["update_tasks", "complete_tasks", "reschedule_tasks"])
def test_a_task_cannot_come_twice_or_without_an_id(agent: Agent, tool: str) -> None:
    (task_id,) = agent.add("a")
    fields: dict[str, dict[str, Any]] = {
        "update_tasks": {"title": "x", "add_tags": ["t"]},
        "reschedule_tasks": {"due": "today"},
        "complete_tasks": {},
    }
    item = {"id": task_id, **fields[tool]}
    result = agent.fail(tool, tasks=[item, {**item, "id": task_id.upper()}, {**item, "id": "x"}])
    assert [each["field"] for each in result.data["errors"]] == ["tasks.1.id", "tasks.2.id"]


def test_completing_shows_the_next_occurrence(agent: Agent) -> None:
    (task_id, other) = agent.add("weekly", "other", due="2027-03-05", recurrence="FREQ=WEEKLY")[:2]
    agent.do("reschedule_tasks", tasks=[{"id": other, "recurrence": "none"}])
    done = agent.do("complete_tasks", tasks=[{"id": task_id}, {"id": other}])
    assert [("completed_at" in task) for task in done["tasks"]] == [True, True]
    (following,) = done["next"]
    assert (following["title"], following["due_date"]) == ("weekly", "2027-03-12")
    again = agent.do("complete_tasks", tasks=[{"id": task_id}])
    assert titles(again["next"]) == ["weekly"]
    reopened = agent.do("complete_tasks", tasks=[{"id": task_id}], reopen=True)
    assert "completed_at" not in reopened["tasks"][0]


def test_moving_to_a_day_keeps_rule_reminders_and_time_of_day(agent: Agent, alice: Person) -> None:
    fields = {
        "due_at": "2027-03-05T15:00:00+01:00",
        "due_zone": "America/New_York",
        "recurrence": "FREQ=WEEKLY;BYDAY=FR",
        "reminders": [30, 60],
    }
    task = alice.create(TASKS, title="review", **fields)
    agent.do("reschedule_tasks", tasks=[{"id": task["id"], "due": "2027-03-16"}])
    moved = read(alice.http.get(f"{TASKS}/{task['id']}"))
    kept = ("due_zone", "recurrence", "recurrence_from", "reminders", "title")
    assert {name: moved[name] for name in kept} == {name: task[name] for name in kept}
    # Nine in the morning in New York, before and after its clocks were put forward.
    assert datetime.fromisoformat(moved["due_at"]) == datetime.fromisoformat(
        "2027-03-16T09:00-04:00"
    )


def test_moving_keeps_a_recurrence_from_completion(agent: Agent, alice: Person) -> None:
    fields = {"due_date": "2027-03-05", "recurrence": "FREQ=DAILY", "recurrence_from": "completion"}
    task = alice.create(TASKS, title="water", **fields)
    (shown,) = agent.do("reschedule_tasks", tasks=[{"id": task["id"], "due": "2027-04-01T08:00"}])[
        "tasks"
    ]
    moved = read(alice.http.get(f"{TASKS}/{task['id']}"))
    assert (moved["recurrence"], moved["recurrence_from"]) == ("FREQ=DAILY", "completion")
    assert shown["due_at"] == "2027-04-01T08:00:00+02:00"
    assert moved["due_zone"] == "Europe/Berlin"


@pytest.mark.parametrize("removed", [None, "none"])
def test_a_due_is_removed_and_the_rest_stays(
    agent: Agent, alice: Person, removed: str | None
) -> None:
    task = alice.create(TASKS, title="t", due_date="2027-03-05", reminders=[-540])
    agent.do("reschedule_tasks", tasks=[{"id": task["id"], "due": removed}])
    moved = read(alice.http.get(f"{TASKS}/{task['id']}"))
    assert (moved["due_date"], moved["due_at"], moved["reminders"]) == (None, None, [-540])


def test_a_day_is_never_an_instant(agent: Agent, alice: Person) -> None:
    read(alice.http.patch("/api/v1/me", json={"zone": "Pacific/Kiritimati"}))
    done = agent.do("add_tasks", tasks=[{"title": "a", "due": "tomorrow"}])
    (task,) = done["tasks"]
    assert task["due_date"] == today_of(done, 1)
    read(alice.http.patch("/api/v1/me", json={"zone": "Pacific/Honolulu"}))
    (found,) = agent.do("find_tasks")["tasks"]
    assert found["due_date"] == task["due_date"]


def test_connectors_search_and_fetch(agent: Agent) -> None:
    (task_id, *_) = agent.add("Call the dentist", "Buy milk", description="x" * 5_000)
    result = agent.call("search", query="dentist")
    assert result.data["results"] == [
        {"id": task_id, "title": "Call the dentist", "url": f"urn:uuid:{task_id}"}
    ]
    fetched = agent.call("fetch", id=task_id)
    assert set(fetched.data) == {"id", "title", "text", "url", "metadata"}
    assert "x" * 5_000 in fetched.data["text"]
    assert fetched.data["metadata"]["version"] == 1
    assert agent.do("search", query=" ")["results"] != []
    assert (
        agent.fail("fetch", id="019ab000-0000-7000-8000-000000000001").data["code"] == "not-found"
    )


def test_lists_and_tags_come_in_pages(agent: Agent, alice: Person) -> None:
    names = [f"list {number}" for number in range(52)]
    for name in names:
        alice.create(LISTS, name=name)
    for start in range(0, 210, 10):
        agent.add("t", tags=[f"tag {number:03}" for number in range(start, start + 10)])
    first = agent.do("lists_and_tags")
    second = agent.do("lists_and_tags", cursor=first["next_cursor"])
    assert "next_cursor" not in second
    assert [each["name"] for each in first["lists"] + second["lists"]] == names
    assert first["tags"] + second["tags"] == [f"tag {number:03}" for number in range(210)]
