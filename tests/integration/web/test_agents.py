"""Runs of agents on the page, in a real browser."""

import httpx

from tests.integration.users import read
from tests.integration.web.conftest import API, Visitor, tasks_of


def run_agent(visitor: Visitor) -> httpx.Client:
    """Change, delete and create a task, as one run."""
    plants = visitor.create("tasks", title="Water the plants", priority="high")
    report = visitor.create("tasks", title="Write the report")
    agent = visitor.open_agent("nightly-7", agent="broom/2")
    read(agent.patch(f"{API}/tasks/{plants['id']}", json={"title": "Plants", "priority": "low"}))
    agent.delete(f"{API}/tasks/{report['id']}").raise_for_status()
    read(agent.post(f"{API}/tasks", json={"title": "Tidy up", "due_date": "2027-03-01"}), 201)
    return agent


def test_a_run_of_an_agent_is_shown_with_before_and_after_and_undone(visitor: Visitor) -> None:
    run_agent(visitor).close()
    visitor.sign_in()
    visitor.browser.click("a[href='#runs']")
    visitor.wait_for_text("#run-list", "broom/2")
    (shown,) = visitor.read_texts("#run-list > li")
    for part in ("token nightly cleanup", "nightly-7", "1 task changed", "1 task deleted"):
        assert part in shown

    visitor.browser.click("#run-list button[id$=toggle]")
    visitor.wait("document.querySelectorAll('.changes > li').length === 3")
    created, deleted, changed = visitor.read_texts(".changes > li")
    assert "Task created: Tidy up" in created
    assert "Task deleted: Write the report" in deleted
    assert "Task changed: Plants" in changed
    rows = visitor.browser.evaluate(
        "[...document.querySelectorAll('.changes > li:last-child tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    assert rows == [["Title", "Water the plants", "Plants"], ["Priority", "high", "low"]]

    visitor.browser.click("#run-list button[id$=undo]")
    visitor.wait_for_text("#notice", "Undone: 3 changes.")
    visitor.wait_for_text("#run-list h3", "Undone")
    titles = sorted((each["title"], each["priority"]) for each in tasks_of(visitor))
    assert titles == [("Water the plants", "high"), ("Write the report", "none")]

    visitor.browser.click("#undo")
    visitor.wait("document.querySelector('#run-list button[id$=undo]') !== null")
    assert sorted(each["title"] for each in tasks_of(visitor)) == ["Plants", "Tidy up"]
    assert visitor.browser.complaints == []


def test_a_run_that_conflicts_with_a_later_change_says_which(visitor: Visitor) -> None:
    run_agent(visitor).close()
    (task,) = [each for each in tasks_of(visitor) if each["title"] == "Plants"]
    read(visitor.http.patch(f"{API}/tasks/{task['id']}", json={"title": "Cacti"}))
    visitor.sign_in()
    visitor.wait_for_text("#task-list", "Cacti")
    visitor.browser.click("a[href='#runs']")
    visitor.browser.click("#run-list button[id$=undo]")

    visitor.wait_for_text("#error", "Nothing was undone. Task Cacti was changed again.")
    assert "Cacti" in {each["title"] for each in tasks_of(visitor)}


def test_undo_takes_back_the_own_change_not_the_same_of_an_agent(visitor: Visitor) -> None:
    task = visitor.create("tasks", title="Water the plants")
    visitor.sign_in()
    visitor.browser.click(f"#box-{task['id']}")
    visitor.wait_for_text("#notice", "Completed: Water the plants")
    with visitor.open_agent("nightly-7") as agent:
        read(agent.post(f"{API}/tasks/{task['id']}/reopen"))
        read(agent.post(f"{API}/tasks/{task['id']}/complete"))

    visitor.browser.click("#undo")

    visitor.wait_for_text("#error", "was changed again")
    assert [each["is_completed"] for each in tasks_of(visitor)] == [True]


def test_what_show_older_runs_has_added_stays_when_agents_change_tasks(visitor: Visitor) -> None:
    for number in range(22):
        with visitor.open_agent(f"run-{number}") as agent:
            read(agent.post(f"{API}/tasks", json={"title": f"task {number}"}), 201)
    visitor.sign_in()
    visitor.browser.click("a[href='#runs']")
    count = "document.querySelectorAll('#run-list > li').length"
    visitor.wait(f"{count} === 20")
    visitor.browser.click("#more-runs")
    visitor.wait(f"{count} === 22")

    with visitor.open_agent("run-last") as agent:
        read(agent.post(f"{API}/tasks", json={"title": "the last"}), 201)

    visitor.wait_for_text("#run-list", "run-last")
    assert visitor.browser.evaluate(count) >= 22
