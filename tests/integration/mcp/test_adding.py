"""New tasks from lines of quick add and from fields."""

import pytest

from tests.integration.mcp.agents import Agent, titles, today_of
from tests.integration.users import TASKS, Person, read


def test_lines_of_quick_add_become_tasks(agent: Agent) -> None:
    agent.do("add_tasks", tasks=[{"title": "x", "list": "Home"}], create_missing_lists=True)
    done = agent.do(
        "add_tasks",
        tasks=[
            {"text": "Pay rent tomorrow #home @bills p1"},
            {"text": "Call bob tomorrow p1", "priority": "low", "due": "2027-03-05T09:00"},
        ],
    )
    rent, call = done["tasks"]
    assert rent["title"] == "Pay rent"
    assert rent["due_date"] == today_of(done, 1)
    assert (rent["list"], rent["tags"], rent["priority"]) == ("Home", ["bills"], "high")
    assert "due_date" not in call
    assert (call["due_at"], call["due_zone"]) == ("2027-03-05T09:00:00+01:00", "Europe/Berlin")
    assert call["priority"] == "low"


@pytest.mark.parametrize(
    "recurrence",
    [
        "tomorrow",
        "monday",
        "5pm",
        "friday 5pm @x",
        "every friday remind me 1h before",
        "every day p1",
    ],
)
def test_what_is_not_only_a_recurrence_is_refused(agent: Agent, recurrence: str) -> None:
    result = agent.fail("add_tasks", tasks=[{"title": "a", "recurrence": recurrence}])

    (error,) = result.data["errors"]
    assert error["field"] == "tasks.0.recurrence"
    assert agent.do("find_tasks")["tasks"] == []


def test_a_recurrence_of_the_greatest_length_keeps_its_time(agent: Agent) -> None:
    recurrence = f"every day{' ' * (1_000 - len('every day at 9'))} at 9"
    assert len(recurrence) == 1_000

    (task,) = agent.do("add_tasks", tasks=[{"title": "a", "recurrence": recurrence}])["tasks"]

    assert task["due_at"].split("T")[1].startswith("09:00:00")


def test_a_recurrence_in_words_has_its_first_due(agent: Agent) -> None:
    done = agent.do(
        "add_tasks",
        tasks=[
            {"title": "a", "recurrence": "every day at 9"},
            {"title": "b", "recurrence": "every! 3 days", "due": "2027-03-05"},
            {"title": "c", "recurrence": "RRULE:FREQ=DAILY"},
            {"text": "d 2027-03-05", "recurrence": "every friday"},
        ],
    )
    first, second, third, fourth = done["tasks"]
    assert first["due_at"].split("T")[1].startswith("09:00:00")
    assert first["repeats"] == "every day"
    assert (second["due_date"], second["recurrence_from"]) == ("2027-03-05", "completion")
    assert not {"due_at", "due_date"} & third.keys()
    assert (fourth["due_date"], fourth["repeats"]) == ("2027-03-05", "every Friday")


def test_a_fault_in_one_item_adds_nothing_and_is_named(agent: Agent, alice: Person) -> None:
    result = agent.fail(
        "add_tasks",
        tasks=[
            {"title": "fine"},
            {"text": "x", "title": "x"},
            {"title": "y", "due": "someday maybe", "list": "Wrk"},
            {"title": "z", "parent_id": "019ab000-0000-7000-8000-000000000001"},
        ],
        create_missing_lists=False,
    )
    assert [each["field"] for each in result.data["errors"]] == [
        "tasks.1",
        "tasks.2.due",
        "tasks.2.list",
    ]
    result = agent.fail(
        "add_tasks",
        tasks=[
            {"title": "fine"},
            {"title": "z", "parent_id": "019ab000-0000-7000-8000-000000000001"},
        ],
    )
    assert result.data["errors"] == [
        {"field": "tasks.1.parent_id", "code": "invalid", "message": "the task does not exist"}
    ]
    assert read(alice.http.get(TASKS))["items"] == []


def test_an_ambiguous_text_is_a_question_with_choices(agent: Agent, alice: Person) -> None:
    result = agent.fail("add_tasks", tasks=[{"text": "fine"}, {"text": "Dentist 5/6"}])
    (question,) = result.data["errors"]
    assert question["field"] == "tasks.1.text"
    assert question["code"] == "ambiguous-date"
    assert question["part"] == "5/6"
    assert len(question["choices"]) == 2
    assert f'Choices: "{question["choices"][0]}" or' in result.text
    assert read(alice.http.get(TASKS))["items"] == []
    chosen = question["choices"][0]
    done = agent.do("add_tasks", tasks=[{"text": "fine"}, {"text": f"Dentist {chosen}"}])
    assert done["tasks"][1]["title"] == "Dentist"
    assert "due_date" in done["tasks"][1]


def test_fifty_tasks_are_one_call_and_more_are_refused(agent: Agent) -> None:
    tasks = [{"title": f"task {number}"} for number in range(50)]
    assert len(agent.do("add_tasks", tasks=tasks)["tasks"]) == 50
    result = agent.fail("add_tasks", tasks=[*tasks, {"title": "one more"}])
    assert result.data["errors"][0]["message"] == "must have at most 50 items"


def test_a_list_is_created_once_for_all_items_that_name_it(agent: Agent) -> None:
    done = agent.do(
        "add_tasks",
        tasks=[{"title": "a", "list": "Garden"}, {"title": "b", "list": " garden "}],
        create_missing_lists=True,
    )
    assert done["created_lists"] == ["Garden"]
    assert [task["list"] for task in done["tasks"]] == ["Garden", "Garden"]
    assert titles(agent.do("find_tasks", list="Garden", sort="position")["tasks"]) == ["a", "b"]
    (shown,) = agent.do("lists_and_tags")["lists"]
    assert (shown["name"], shown["open"]) == ("Garden", 2)


def test_a_task_can_be_below_one_that_the_same_call_adds(agent: Agent) -> None:
    done = agent.do(
        "add_tasks",
        tasks=[
            {"text": "Plan the party friday #Home"},
            {"title": "Order the cake", "parent_id": "tasks.0"},
            {"title": "Choose candles", "parent_id": "tasks.1"},
        ],
        lists=["Home"],
    )
    party, cake, candles = done["tasks"]
    assert (cake["parent_id"], candles["parent_id"]) == (party["id"], cake["id"])
    assert [task["list"] for task in done["tasks"]] == ["Home"] * 3
    assert titles(agent.do("find_tasks", parent_id=party["id"])["tasks"]) == ["Order the cake"]

    agent.do("undo", run_id=done["run_id"])
    assert agent.do("find_tasks")["tasks"] == []


@pytest.mark.parametrize("parent", ["tasks.0", "tasks.1", "tasks.7"])
def test_a_task_is_not_below_itself_or_a_later_one(agent: Agent, parent: str) -> None:
    tasks = [{"title": "a", "parent_id": parent}, {"title": "b"}]

    result = agent.fail("add_tasks", tasks=tasks)

    (error,) = result.data["errors"]
    assert error["field"] == "tasks.0.parent_id"
    assert "put the one above first" in error["message"]
    assert agent.do("find_tasks")["tasks"] == []
