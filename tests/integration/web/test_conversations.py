"""Conversations on the page, in a real browser: they are listed, opened and deleted."""

from typing import Any

from tests.integration.users import read
from tests.integration.web.conftest import API, Visitor

OPENERS = "#conversation-list button[id^=conversation-]"


def talk(visitor: Visitor, *messages: str) -> str:
    """Store a conversation with these messages, and return its id."""
    fields: dict[str, Any] = {}
    for message in messages:
        answer = read(visitor.http.post(f"{API}/assistant", json={"message": message, **fields}))
        fields = {"conversation_id": answer["conversation_id"]}
    return str(fields["conversation_id"])


def open_list(visitor: Visitor, count: int) -> None:
    visitor.sign_in()
    visitor.browser.click("a[href='#assistant']")
    visitor.browser.click("#earlier summary")
    visitor.wait(f"document.querySelectorAll({OPENERS!r}).length === {count}")


def stored(visitor: Visitor) -> list[str]:
    page = read(visitor.http.get(f"{API}/conversations", params={"limit": 100}))
    return [each["id"] for each in page["items"]]


def press(visitor: Visitor, key: str) -> None:
    code, text = {"Enter": (13, "\r"), "Escape": (27, "")}[key]
    visitor.browser.press(key, code, text)


def test_a_conversation_is_deleted_with_the_keyboard_after_a_question(visitor: Visitor) -> None:
    first, second, third = (talk(visitor, f"add task {number}") for number in range(3))
    open_list(visitor, 3)
    visitor.browser.evaluate(f"document.querySelector('#delete-{second}').focus()")
    press(visitor, "Enter")
    visitor.wait(f"document.activeElement.id === 'keep-{second}'")
    group = "document.activeElement.closest('[role=group]')"
    name = f"document.getElementById({group}.getAttribute('aria-labelledby')).innerText"
    assert "cannot be undone" in visitor.browser.evaluate(name)
    assert stored(visitor) == [third, second, first]

    visitor.browser.evaluate(f"document.querySelector('#confirm-{second}').focus()")
    press(visitor, "Enter")

    visitor.wait_for_text("#notice", "Conversation deleted: add task 1")
    assert visitor.browser.evaluate("document.activeElement.id") == f"conversation-{first}"
    assert stored(visitor) == [third, first]
    assert visitor.read_texts(OPENERS) == ["add task 2", "add task 0"]
    # The tasks stay.
    assert len(read(visitor.http.get(f"{API}/tasks"))["items"]) == 3
    assert visitor.browser.complaints == []


def test_a_conversation_stays_if_the_person_does_not_confirm(visitor: Visitor) -> None:
    found = talk(visitor, "add buy milk")
    open_list(visitor, 1)

    for how in ("Enter", "Escape"):
        visitor.browser.click(f"#delete-{found}")
        visitor.wait(f"document.activeElement.id === 'keep-{found}'")
        press(visitor, how)
        visitor.wait(f"document.activeElement.id === 'delete-{found}'")

    assert visitor.browser.evaluate(f"document.querySelector('#confirm-{found}')") is None
    assert stored(visitor) == [found]


def test_deleting_the_conversation_that_is_shown_starts_another(visitor: Visitor) -> None:
    found = talk(visitor, "add buy milk")
    open_list(visitor, 1)
    visitor.browser.click(OPENERS)
    visitor.wait("document.querySelectorAll('.message').length === 2")
    visitor.browser.click("#earlier summary")
    visitor.wait(f"document.querySelector('#conversation-{found}').ariaCurrent === 'true'")

    visitor.browser.click(f"#delete-{found}")
    visitor.browser.click(f"#confirm-{found}")

    visitor.wait("!document.querySelector('#no-conversations').hidden")
    visitor.wait_for_text("#notice", "Conversation deleted")
    assert visitor.browser.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert visitor.read_texts(".message") == []
    visitor.browser.fill("#message", "add buy bread")
    press(visitor, "Enter")
    # Its answer is stored in a new conversation, which the list shows at once.
    visitor.wait(f"document.querySelectorAll({OPENERS!r}).length === 1")
    assert stored(visitor) != [found]


def test_a_conversation_that_was_deleted_elsewhere_goes_without_an_error(
    visitor: Visitor,
) -> None:
    found = talk(visitor, "add buy milk")
    open_list(visitor, 1)
    visitor.http.delete(f"{API}/conversations/{found}").raise_for_status()

    visitor.browser.click(f"#delete-{found}")
    visitor.browser.click(f"#confirm-{found}")

    visitor.wait("!document.querySelector('#no-conversations').hidden")
    assert visitor.read_texts("#error") == [""]


def test_many_conversations_are_listed_page_by_page_and_deleted_in_place(
    visitor: Visitor,
) -> None:
    ids = [talk(visitor, f"what is in list {number}?") for number in range(22)][::-1]
    open_list(visitor, 20)
    visitor.browser.click("#more-conversations")
    visitor.wait(f"document.querySelectorAll({OPENERS!r}).length === 22")

    visitor.browser.click(f"#delete-{ids[21]}")
    visitor.browser.click(f"#confirm-{ids[21]}")

    visitor.wait(f"document.activeElement.id === 'conversation-{ids[20]}'")
    assert len(visitor.read_texts(OPENERS)) == 21
    assert visitor.browser.evaluate("document.querySelector('#more-conversations').hidden")


def test_titles_of_conversations_are_shown_as_text(visitor: Visitor) -> None:
    title = "<img src=x onerror=window.bad=1> & \u202egnp"
    found = talk(visitor, title)
    visitor.browser.set_window(360, 800)
    open_list(visitor, 1)
    assert visitor.read_texts(OPENERS) == [title.replace("\u202e", "\ufffd")]

    visitor.browser.click(f"#delete-{found}")
    visitor.browser.click(f"#confirm-{found}")

    visitor.wait_for_text("#notice", "<img src=x")
    assert visitor.browser.evaluate("window.bad") is None
    assert visitor.browser.evaluate("document.querySelectorAll('img').length") == 0
    assert visitor.browser.complaints == []
