"""Plans in the chat of the page, in a real browser, without a model: rules answer."""

import json

import pytest

from tests.integration.users import read
from tests.integration.web.chat import FAKE_PLAN, open_assistant, say
from tests.integration.web.conftest import API, Visitor, tasks_of

BUTTONS = ".plan .actions button"


def test_a_plan_is_shown_with_its_changes_and_made_only_by_apply(visitor: Visitor) -> None:
    visitor.create("tasks", title="Call the vet", priority="high")
    open_assistant(visitor)

    answer = say(visitor, "delete call the vet")

    assert "Delete task: Call the vet" in answer
    assert "high" in visitor.read_texts(".plan del")
    assert len(tasks_of(visitor)) == 1
    visitor.browser.click(".plan .primary")
    visitor.wait_for_text(".plan", "Applied.")
    assert tasks_of(visitor) == []
    visitor.browser.click("#undo")
    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert len(tasks_of(visitor)) == 1
    assert visitor.browser.complaints == []


def test_a_plan_that_is_discarded_changes_nothing(visitor: Visitor) -> None:
    visitor.create("tasks", title="Call the vet")
    open_assistant(visitor)
    say(visitor, "delete call the vet")

    visitor.browser.click(".plan button:not(.primary)")

    visitor.wait_for_text(".plan", "Discarded")
    assert read(visitor.http.get(f"{API}/plans"))["items"] == []
    assert len(tasks_of(visitor)) == 1


def test_a_plan_shows_its_deletions_first_and_its_additions_last(visitor: Visitor) -> None:
    tasks = [visitor.create("tasks", title=f"task {number}") for number in range(3)]
    operations = [{"op": "complete", "id": each["id"]} for each in tasks[:2]]
    operations.append({"op": "delete", "id": tasks[2]["id"]})
    operations.insert(0, {"op": "create", "task": {"title": "spam"}})
    visitor.sign_in()
    visitor.browser.evaluate(FAKE_PLAN % json.dumps(visitor.create("plans", operations=operations)))
    visitor.browser.click("a[href='#assistant']")
    say(visitor, "tidy up")

    assert visitor.read_texts(".plan .changes p")[0].startswith("Delete task: task 2")


def test_a_task_is_shown_before_its_subtasks_that_go_with_it(visitor: Visitor) -> None:
    above = visitor.create("tasks", title="Trip")
    for number in range(2):
        visitor.create("tasks", title=f"part {number}", parent_id=above["id"])
    open_assistant(visitor)

    answer = say(visitor, "delete trip")

    assert '- delete "Trip" (with its 2 subtasks)' in answer
    assert visitor.read_texts(".plan .changes p")[0] == "Delete task: Trip"


def test_a_plan_names_a_task_as_it_was_called_before_the_message(visitor: Visitor) -> None:
    task = visitor.create("tasks", title="hacked")
    visitor.sign_in()
    made = visitor.create("plans", operations=[{"op": "delete", "id": task["id"]}])
    made["changes"][0]["old_title"] = "precious"
    visitor.browser.evaluate(FAKE_PLAN % json.dumps(made))
    visitor.browser.click("a[href='#assistant']")
    say(visitor, "tidy up")

    assert visitor.read_texts(".plan .changes p") == [
        "Delete task: precious \N{RIGHTWARDS ARROW} hacked"
    ]


@pytest.mark.parametrize("count", [4, 20])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
def test_the_buttons_of_a_long_plan_are_in_sight(
    visitor: Visitor, width: int, height: int, count: int
) -> None:
    visitor.browser.set_window(width, height)
    for number in range(count):
        visitor.create("tasks", title=f"task {number} of many", priority="high")
    open_assistant(visitor)

    say(visitor, "delete all my tasks")

    for place in ("document.querySelector('.message:last-child .text')", *_find_buttons()):
        box = f"{place}.getBoundingClientRect()"
        shown = f"document.elementFromPoint({box}.left + 9, {box}.top + 9)"
        assert visitor.browser.evaluate(f"{shown} === {place}"), place
    # The fields of many changes are folded; each change is named.
    assert visitor.read_texts(".plan summary")[0].startswith("Delete task: task")
    assert visitor.browser.evaluate("document.querySelector('.plan details').open") is False
    visitor.browser.click(".plan .primary")
    visitor.wait_for_text(".plan", "Applied.")
    assert tasks_of(visitor) == []


def _find_buttons() -> list[str]:
    return [f"document.querySelectorAll('.plan button')[{number}]" for number in range(2)]


@pytest.mark.parametrize("message", ["no", "yes", "undo", "add buy tape"])
def test_a_plan_that_was_answered_in_words_has_no_buttons(visitor: Visitor, message: str) -> None:
    visitor.create("tasks", title="Pay rent")
    open_assistant(visitor)
    say(visitor, "delete pay rent")
    assert visitor.read_texts(BUTTONS) == ["Apply", "Discard"]

    say(visitor, message)

    assert visitor.read_texts(BUTTONS) == []
    assert "See the answer below." in visitor.read_texts(".plan")[0]
    assert visitor.browser.complaints == []


def test_only_the_last_of_two_cards_of_a_plan_has_buttons(visitor: Visitor) -> None:
    visitor.create("tasks", title="Pay rent")
    open_assistant(visitor)
    say(visitor, "delete pay rent")
    say(visitor, "ok")

    assert len(visitor.read_texts(".plan")) == 2
    assert visitor.read_texts(BUTTONS) == ["Apply", "Discard"]
    visitor.browser.click(".message:last-child .plan .primary")
    visitor.wait_for_text(".message:last-child .plan", "Applied.")
    assert tasks_of(visitor) == []


@pytest.mark.parametrize("button", [".primary", "button:not(.primary)"])
def test_a_plan_that_is_gone_has_no_buttons_after_the_first_try(
    visitor: Visitor, button: str
) -> None:
    visitor.create("tasks", title="Pay rent")
    open_assistant(visitor)
    say(visitor, "delete pay rent")
    (plan,) = read(visitor.http.get(f"{API}/plans"))["items"]
    visitor.http.delete(f"{API}/plans/{plan['id']}").raise_for_status()

    visitor.browser.click(f".plan {button}")

    visitor.wait_for_text(".plan", "It was deleted")
    assert visitor.read_texts(BUTTONS) == []


def test_the_notice_of_a_plan_ends_with_the_next_message_and_covers_nothing(
    visitor: Visitor,
) -> None:
    visitor.browser.set_window(900, 800)
    for title in ("Pay rent", "Call the vet"):
        visitor.create("tasks", title=title)
    open_assistant(visitor)
    say(visitor, "show my tasks")
    say(visitor, "delete pay rent")
    visitor.browser.click(".plan .primary")
    visitor.wait_for_text("#notice", "The plan was applied.")

    visitor.browser.evaluate("document.querySelector('#message').focus()")
    assert visitor.browser.evaluate(
        "document.querySelector('#notice').getBoundingClientRect().top"
        " >= document.querySelector('#send').getBoundingClientRect().bottom"
    )
    say(visitor, "delete call the vet")
    assert visitor.read_texts("#notice") == [""]


def test_a_plan_that_was_applied_by_the_button_is_a_run_of_the_assistant(visitor: Visitor) -> None:
    visitor.create("tasks", title="Pay rent")
    open_assistant(visitor)
    say(visitor, "delete pay rent")
    visitor.browser.click(".plan .primary")
    visitor.wait_for_text(".plan", "Applied.")

    visitor.browser.click("a[href='#runs']")

    visitor.wait_for_text("#run-list h3", "assistant")
