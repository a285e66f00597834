"""Tasks on the page, in a real browser: what a person does with them."""

import pytest

from tests.integration.users import read
from tests.integration.web.conftest import API, Visitor, tasks_of

TITLES = "#task-list bdi[id^=name-]"
HOSTILE = (
    "<img src=x onerror=window.bad=1><script>window.bad=1</script>",
    "\u202egnp.exe",
    "مرحبا بالعالم <b>",
    "&lt;b&gt; {{7*7}} ${7*7} javascript:window.bad=1",
    "W" * 200,
)


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


def test_what_is_undone_and_redone_is_said_each_time(visitor: Visitor) -> None:
    task = visitor.create("tasks", title="Water the plants")
    visitor.sign_in()
    visitor.browser.click(f"#box-{task['id']}")
    visitor.wait_for_text("#notice", "Completed: Water the plants")
    for said, label, is_completed in (
        ("Undone: 1 change.", "Redo", False),
        ("Redone: 1 change.", "Undo", True),
        ("Undone: 1 change.", "Redo", False),
    ):
        visitor.browser.click("#undo")
        visitor.wait_for_text("#notice", said)
        assert visitor.read_texts("#undo") == [label]
        assert [each["is_completed"] for each in tasks_of(visitor)] == [is_completed]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=MONTHLY", "Repeats every month"),
        ("FREQ=DAILY;INTERVAL=11", "Repeats every 11 days"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "Repeats every 2 weeks on several days"),
        ("FREQ=YEARLY;INTERVAL=1;COUNT=3", "Repeats every year"),
    ],
)
def test_a_recurrence_that_quick_add_has_not_made_is_shown_in_words(
    visitor: Visitor, rule: str, said: str
) -> None:
    visitor.create("tasks", title="Rent", due_date="2027-01-01", recurrence=rule)
    visitor.sign_in()

    visitor.wait_for_text("#task-list", said)
    assert said in visitor.read_texts("#task-list li.task li")


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
    assert visitor.read_texts("#error") == [""]


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


def test_hostile_texts_are_shown_as_text(visitor: Visitor) -> None:
    for title in HOSTILE:
        visitor.create("tasks", title=title, tags=["<i>tag</i>"])
    name = "<h1>list</h1>"
    # The emoji contain invisible characters that are needed to show them.
    kept = "\u2764\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467"
    invisible = ("\u200b", "\u00ad", "\u034f", "\u115f", "\u3164", "\u180e", "\U000e0041")
    for each in (name, kept, "Tri\u202ep", *(f"Ho{one}me" for one in invisible)):
        visitor.create("lists", name=each)
    with visitor.open_agent("nightly-7", agent="broom/2") as agent:
        for title in HOSTILE:
            read(agent.post(f"{API}/tasks", json={"title": title, "description": title}), 201)
    visitor.browser.set_window(320, 800)
    visitor.sign_in()
    visitor.wait(f"document.querySelectorAll('{TITLES}').length === {2 * len(HOSTILE)}")

    shown = {text.replace("\ufffd", "\u202e") for text in visitor.read_texts(TITLES)}
    assert shown == set(HOSTILE)
    assert not any("\u202e" in text for text in visitor.read_texts(TITLES))
    lists = visitor.read_texts("#list option")
    assert {name, kept, "Tri\ufffdp"} <= set(lists)
    assert lists.count("Ho\ufffdme") == len(invisible)
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
