"""Changes by others on the page, in a real browser."""

from tests.integration.web.conftest import Visitor

TITLES = "#task-list bdi[id^=name-]"


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
