"""The page `/app` in a real browser: what a person does with it."""

from typing import Any

import httpx
import pytest

from tests.integration.users import read
from tests.integration.web.conftest import API, Visitor

TITLES = "#task-list bdi[id^=name-]"
HOSTILE = (
    "<img src=x onerror=window.bad=1><script>window.bad=1</script>",
    "\u202egnp.exe",
    "مرحبا بالعالم <b>",
    "&lt;b&gt; {{7*7}} ${7*7} javascript:window.bad=1",
    "W" * 200,
)


def tasks_of(visitor: Visitor, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(visitor.http.get(f"{API}/tasks", params=query))["items"]
    return found


def test_a_token_signs_in_and_is_forgotten_on_sign_out(visitor: Visitor) -> None:
    visitor.create("tasks", title="Call the vet")
    visitor.sign_in()
    visitor.wait_for_text("#task-list", "Call the vet")
    assert visitor.read_texts("#user") == [read(visitor.http.get(f"{API}/me"))["user"]]
    assert visitor.browser.evaluate("location.href").endswith("/app")
    assert visitor.browser.evaluate("sessionStorage.length + localStorage.length") == 0

    visitor.browser.click("#sign-out")

    visitor.wait("document.activeElement?.id === 'token'")
    page = visitor.browser.evaluate("document.documentElement.outerHTML")
    assert "Call the vet" not in page
    assert visitor.token not in page
    assert visitor.browser.complaints == []
    assert {
        url.startswith((visitor.site.origin, "data:", "about:"))
        for url in visitor.browser.requested
    } == {True}
    assert not [url for url in visitor.browser.requested if visitor.token in url]


def test_a_token_stays_over_a_reload_only_if_the_person_chooses_that(visitor: Visitor) -> None:
    visitor.visit()
    visitor.browser.fill("#token", visitor.token)
    visitor.browser.click("#remember")
    visitor.browser.click("#sign-in-form .primary")
    visitor.wait("!document.querySelector('#tasks').hidden")
    visitor.browser.evaluate("window.isOld = true")
    visitor.browser.evaluate("location.reload()")
    visitor.wait("!window.isOld && document.querySelector('#tasks')?.hidden === false")

    visitor.browser.click("#sign-out")

    assert visitor.browser.evaluate("sessionStorage.length") == 0


def test_a_token_that_is_refused_leads_back_to_the_sign_in_with_the_reason(
    visitor: Visitor,
) -> None:
    visitor.visit()
    visitor.browser.fill("#token", f"{visitor.token}x")
    visitor.browser.click("#sign-in-form .primary")

    visitor.wait_for_text("#error", "Sign in again.")
    assert visitor.browser.evaluate("document.querySelector('#tasks').hidden")
    assert visitor.browser.evaluate("document.activeElement.id") == "token"


def test_quick_add_highlights_what_it_understands_and_says_it_in_words(visitor: Visitor) -> None:
    visitor.create("lists", name="Home")
    visitor.sign_in()
    # Characters outside of the Basic Multilingual Plane have two units in a string of JavaScript.
    visitor.browser.fill("#add", "Pay 🌱🌱 rent every month on the 1st @money p1 #home")

    visitor.wait("document.querySelectorAll('#mirror mark').length === 4")
    marks = visitor.browser.evaluate(
        "[...document.querySelectorAll('#mirror mark')].map((e) => [e.className, e.textContent])"
    )
    assert marks == [
        ["recurrence", "every month on the 1st"],
        ["tag", "@money"],
        ["priority", "p1"],
        ["list", "#home"],
    ]
    assert visitor.browser.evaluate("document.querySelector('#mirror').textContent") == (
        visitor.browser.evaluate("document.querySelector('#add').value")
    )
    for part in ("Pay 🌱🌱 rent", "Due ", "every month on the 1st", "high priority", "Home"):
        assert part in visitor.read_texts("#meaning")[0]

    visitor.browser.press("Enter", 13, "\r")
    visitor.wait_for_text("#notice", "Added: Pay 🌱🌱 rent")
    (made,) = tasks_of(visitor)
    assert (made["title"], made["tags"], made["priority"]) == ("Pay 🌱🌱 rent", ["money"], "high")
    assert visitor.browser.evaluate("document.activeElement.id") == "add"
    assert visitor.browser.evaluate("document.querySelector('#mirror').childNodes.length") == 0
    assert visitor.browser.complaints == []


def test_a_question_is_answered_with_a_button(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.fill("#add", "dentist 5/6")
    visitor.wait("document.querySelectorAll('#questions button').length === 2")
    choice = visitor.read_texts("#questions button")[0]

    visitor.browser.click("#questions button")
    visitor.wait(f"document.querySelector('#add').value === 'dentist {choice}'")
    visitor.wait("document.querySelectorAll('#mirror mark.due').length === 1")
    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text("#task-list", "dentist")
    assert tasks_of(visitor)[0]["due_date"] is not None


def test_what_is_added_while_a_list_is_shown_is_put_there(visitor: Visitor) -> None:
    home = visitor.create("lists", name="Home")
    visitor.sign_in()
    visitor.browser.evaluate(f"document.querySelector('#list').value = {home['id']!r}")
    visitor.browser.evaluate("document.querySelector('#list').dispatchEvent(new Event('change'))")
    visitor.browser.fill("#add", "Fix the tap")
    visitor.wait_for_text("#meaning", "Fix the tap")
    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text("#task-list", "Fix the tap")
    assert tasks_of(visitor)[0]["list_id"] == home["id"]


def test_a_task_is_completed_reopened_and_both_are_undone(visitor: Visitor) -> None:
    task = visitor.create("tasks", title="Water the plants")
    visitor.sign_in()
    box = f"#box-{task['id']}"

    visitor.browser.click(box)
    visitor.wait_for_text("#notice", "Completed: Water the plants")
    assert [each["is_completed"] for each in tasks_of(visitor)] == [True]
    assert visitor.read_texts(TITLES) == []

    visitor.browser.click("#undo")
    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert [each["is_completed"] for each in tasks_of(visitor)] == [False]
    visitor.wait_for_text("#task-list", "Water the plants")
    assert visitor.browser.complaints == []


def test_a_deleted_task_comes_back_with_undo(visitor: Visitor) -> None:
    task = visitor.create("tasks", title="Water the plants", tags=["home"])
    visitor.sign_in()

    visitor.browser.click(f"#delete-{task['id']}")
    visitor.wait("document.activeElement?.id === 'undo'")
    assert tasks_of(visitor) == []
    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text("#task-list", "Water the plants")
    assert tasks_of(visitor)[0]["tags"] == ["home"]


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("2027-03-28", "", ("2027-03-28", None)),
        ("2027-03-28", "18:30", (None, "2027-03-28T16:30:00.000000+00:00")),
        ("2027-10-31", "02:30", (None, "2027-10-31T00:30:00.000000+00:00")),
        ("", "", (None, None)),
    ],
)
def test_title_and_due_are_edited(
    visitor: Visitor, day: str, clock: str, expected: tuple[str | None, str | None]
) -> None:
    read(visitor.http.patch(f"{API}/me", json={"zone": "Europe/Berlin"}))
    task = visitor.create("tasks", title="Plants", due_date="2027-01-01")
    visitor.sign_in()
    visitor.browser.click(f"#edit-{task['id']}")
    visitor.browser.evaluate("document.querySelector('.edit input').select()")
    visitor.browser.fill(".edit input", "Plants on the balcony")
    for kind, value in (("date", day), ("time", clock)):
        visitor.browser.evaluate(f"document.querySelector('.edit [type={kind}]').value = {value!r}")
    visitor.browser.click(".edit .primary")

    visitor.wait_for_text("#notice", "Changed: Plants on the balcony")
    (found,) = tasks_of(visitor)
    assert (found["due_date"], found["due_at"]) == expected
    assert visitor.browser.complaints == []


def test_an_edit_of_a_task_that_somebody_else_changed_is_refused_until_it_is_seen(
    visitor: Visitor,
) -> None:
    task = visitor.create("tasks", title="Plants")
    visitor.sign_in()
    visitor.browser.click(f"#edit-{task['id']}")
    read(visitor.http.patch(f"{API}/tasks/{task['id']}", json={"title": "Cacti"}))
    visitor.browser.fill(".edit input", "!")
    visitor.browser.click(".edit .primary")

    visitor.wait_for_text("#error", "nothing was saved. Choose Cancel to see it.")
    assert tasks_of(visitor)[0]["title"] == "Cacti"
    visitor.browser.click(".edit button:not(.primary)")
    visitor.wait_for_text("#task-list", "Cacti")
    assert visitor.browser.evaluate("document.activeElement.id") == f"edit-{task['id']}"


def test_a_task_that_somebody_else_changed_is_shown_before_it_is_deleted(
    visitor: Visitor,
) -> None:
    task = visitor.create("tasks", title="Plants")
    visitor.sign_in()
    visitor.wait_for_text("#task-list", "Plants")
    # As if the change had not arrived yet.
    visitor.browser.evaluate("window.setTimeout = () => 0")
    read(visitor.http.patch(f"{API}/tasks/{task['id']}", json={"title": "Cacti"}))

    visitor.browser.click(f"#delete-{task['id']}")

    visitor.wait_for_text("#error", "Somebody else has changed this meanwhile")
    visitor.wait_for_text("#task-list", "Cacti")
    assert [each["title"] for each in tasks_of(visitor)] == ["Cacti"]


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


def test_what_show_more_has_added_stays_when_others_change_tasks(visitor: Visitor) -> None:
    for number in range(120):
        visitor.create("tasks", title=f"task {number}", due_date="2027-03-01")
    visitor.sign_in()
    count = f"document.querySelectorAll('{TITLES}').length"
    for expected in (50, 100, 120):
        visitor.wait(f"{count} === {expected}")
        if expected < 120:
            visitor.browser.click("#more-tasks")

    visitor.create("tasks", title="From elsewhere", due_date="2027-02-01")

    visitor.wait_for_text("#task-list", "From elsewhere")
    assert visitor.browser.evaluate(count) >= 120


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


def test_changes_by_others_appear_by_themselves(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.wait("!document.querySelector('#no-tasks').hidden")

    visitor.create("tasks", title="From elsewhere")

    visitor.wait_for_text("#task-list", "From elsewhere")


def test_a_list_that_somebody_makes_can_be_chosen_at_once(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.wait("!document.querySelector('#no-tasks').hidden")

    visitor.create("lists", name="Garden")

    visitor.wait("document.querySelector('#list').innerText.includes('Garden')")


def test_what_is_being_edited_stays_while_other_tasks_change(visitor: Visitor) -> None:
    first, second = (visitor.create("tasks", title=title) for title in ("First", "Second"))
    visitor.sign_in()
    visitor.browser.click(f"#edit-{first['id']}")
    visitor.browser.evaluate("document.querySelector('.edit input').value = 'typed'")

    visitor.browser.click(f"#box-{second['id']}")

    visitor.wait_for_text("#notice", "Completed: Second")
    visitor.wait(f"document.querySelector('#box-{second['id']}') === null")
    assert visitor.browser.evaluate("document.querySelector('.edit input').value") == "typed"


def test_hostile_texts_are_shown_as_text(visitor: Visitor) -> None:
    for title in HOSTILE:
        visitor.create("tasks", title=title, tags=["<i>tag</i>"])
    name = "<h1>list</h1>"
    visitor.create("lists", name=name)
    with visitor.open_agent("nightly-7", agent="broom/2") as agent:
        for title in HOSTILE:
            read(agent.post(f"{API}/tasks", json={"title": title, "description": title}), 201)
    visitor.browser.set_window(320, 800)
    visitor.sign_in()
    visitor.wait(f"document.querySelectorAll('{TITLES}').length === {2 * len(HOSTILE)}")

    shown = {text.replace("\ufffd", "\u202e") for text in visitor.read_texts(TITLES)}
    assert shown == set(HOSTILE)
    assert not any("\u202e" in text for text in visitor.read_texts(TITLES))
    assert name in visitor.read_texts("#list option")
    visitor.browser.click("a[href='#runs']")
    visitor.browser.click("#run-list button[id$=toggle]")
    visitor.wait(f"document.querySelectorAll('.changes > li').length === {len(HOSTILE)}")
    assert visitor.browser.evaluate("window.bad") is None
    assert (
        visitor.browser.evaluate("document.querySelectorAll('main img, main i, main b').length")
        == 0
    )
    # Nothing is wider than the window.
    assert visitor.browser.evaluate("document.documentElement.scrollWidth") <= 320
    assert visitor.browser.complaints == []


def test_without_a_connection_the_page_says_so_and_goes_on_afterwards(visitor: Visitor) -> None:
    visitor.create("tasks", title="Water the plants")
    visitor.sign_in()
    visitor.wait_for_text("#task-list", "Water the plants")
    visitor.browser.cut_off(is_offline=True)
    try:
        visitor.browser.click("a[href='#runs']")
        visitor.wait_for_text("#error", "cannot be reached")
    finally:
        visitor.browser.cut_off(is_offline=False)
    visitor.browser.click("a[href='#tasks']")
    visitor.wait_for_text("#task-list", "Water the plants")


def test_the_policy_refuses_a_script_and_html_that_somebody_slips_in(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.evaluate("document.querySelector('#notice').innerHTML = '<b>bold</b>'")
    visitor.browser.evaluate(
        "fetch('https://evil.example/').catch(() => {});"
        "document.body.append(Object.assign(document.createElement('script'), {text: 'bad = 1'}))"
    )

    assert visitor.browser.evaluate("window.bad") is None
    assert visitor.browser.evaluate("document.querySelectorAll('#notice b').length") == 0
    visitor.wait("true")
    assert any("connect-src" in complaint for complaint in visitor.browser.complaints)
