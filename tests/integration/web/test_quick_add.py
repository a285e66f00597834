"""Quick add on the page, in a real browser."""

import pytest

from tests.integration.web.conftest import Visitor, tasks_of


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


def test_a_title_that_is_too_long_is_named_as_the_title(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.fill("#add", "x" * 300)
    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text("#error", "Title: must have at most 255 characters.")


@pytest.mark.parametrize("width", [320, 1024])
def test_the_filter_keeps_a_distance_to_the_field(visitor: Visitor, width: int) -> None:
    visitor.browser.set_window(width, 800)
    visitor.sign_in()

    distance = visitor.browser.evaluate(
        "document.querySelector('#list').getBoundingClientRect().top"
        " - document.querySelector('#add-form').getBoundingClientRect().bottom"
    )
    # The outline of the focus needs five pixels.
    assert distance > 5


def test_a_title_that_is_too_long_is_not_shown_as_fine(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.fill("#add", "x" * 255)
    visitor.wait_for_text("#meaning", "x" * 255)

    visitor.browser.fill("#add", "y tomorrow")
    visitor.wait_for_text("#meaning", "The title is too long: at most 255 characters.")

    visitor.browser.press("Enter", 13, "\r")
    visitor.wait_for_text("#error", "Title: must have at most 255 characters.")
    assert tasks_of(visitor) == []
