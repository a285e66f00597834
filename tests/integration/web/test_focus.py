"""Focus and scroll position of the page after a change, in a real browser."""

import pytest

from tests.integration.web.conftest import Visitor, tasks_of

COUNT = 20
FOCUSED = "document.activeElement.id"


def open_tasks(visitor: Visitor) -> list[str]:
    """Show many tasks in a small window, scrolled to the middle; return their ids in order."""
    for number in range(COUNT):
        visitor.create("tasks", title=f"task {number}", due_date=f"2027-01-{number + 1:02}")
    visitor.browser.set_window(1000, 500)
    visitor.sign_in()
    visitor.wait(f"document.querySelectorAll('#task-list > li').length === {COUNT}")
    visitor.browser.evaluate(
        "document.querySelector('#task-list li:nth-child(9)').scrollIntoView()"
    )
    return [each["id"] for each in tasks_of(visitor, sort="due", order="asc")]


def change(visitor: Visitor, selector: str) -> None:
    """Click something in a row, and wait until it has done its work."""
    visitor.browser.click(selector)
    visitor.wait("document.querySelector('#undo') !== null")
    visitor.wait(f"document.querySelector({selector!r}) === null")


@pytest.mark.parametrize("button", ["box", "delete"])
def test_a_row_that_goes_neither_moves_the_page_nor_the_focus(
    visitor: Visitor, button: str
) -> None:
    ids = open_tasks(visitor)
    before = visitor.browser.evaluate("scrollY")
    assert before > 0

    change(visitor, f"#{button}-{ids[8]}")

    assert visitor.browser.evaluate("scrollY") == before
    assert visitor.browser.evaluate(FOCUSED) == f"box-{ids[9]}"
    assert visitor.browser.complaints == []


def test_the_focus_is_on_the_task_before_when_the_last_one_goes(visitor: Visitor) -> None:
    ids = open_tasks(visitor)

    change(visitor, f"#box-{ids[-1]}")

    assert visitor.browser.evaluate(FOCUSED) == f"box-{ids[-2]}"


def test_closing_a_message_returns_the_focus_without_moving_the_page(visitor: Visitor) -> None:
    ids = open_tasks(visitor)
    change(visitor, f"#box-{ids[8]}")
    before = visitor.browser.evaluate("scrollY")

    visitor.browser.click("#notice button:last-child")

    assert visitor.read_texts("#notice") == [""]
    assert visitor.browser.evaluate(FOCUSED) == f"box-{ids[9]}"
    assert visitor.browser.evaluate("scrollY") == before


def test_closing_the_message_about_the_last_task_leaves_the_focus_in_the_view(
    visitor: Visitor,
) -> None:
    task = visitor.create("tasks", title="only one")
    visitor.sign_in()
    change(visitor, f"#box-{task['id']}")
    assert visitor.browser.evaluate(FOCUSED) == "undo"

    visitor.browser.click("#notice button:last-child")

    assert visitor.browser.evaluate(FOCUSED) == "tasks-title"


def test_a_shortcut_undoes_a_change_except_while_somebody_types(visitor: Visitor) -> None:
    ids = open_tasks(visitor)
    change(visitor, f"#box-{ids[8]}")
    press = (
        "document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'z', ctrlKey: true, bubbles: true}))"
    )

    visitor.browser.evaluate(f"document.querySelector('#add').focus(); {press}")
    assert len(tasks_of(visitor, status="open")) == COUNT - 1
    visitor.browser.evaluate(f"document.querySelector('#box-{ids[9]}').focus(); {press}")

    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert len(tasks_of(visitor, status="open")) == COUNT


@pytest.mark.parametrize("view", ["", "#tasks", "#assistant", "#runs"])
def test_the_field_of_the_token_has_the_focus_at_every_address(visitor: Visitor, view: str) -> None:
    visitor.browser.open("about:blank")
    visitor.browser.open(f"{visitor.site.origin}/app{view}")

    visitor.wait("document.readyState === 'complete'")
    visitor.wait(f"{FOCUSED} === 'token'")
    # Chrome moves the focus to the view once more when the page is complete.
    visitor.browser.wait_for_promise(
        "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
    )
    assert visitor.browser.evaluate(FOCUSED) == "token"
