"""An answer of a slow model on the page, in a real browser, while it is made."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.integration.assistant.model_server import (
    Answer,
    Exchange,
    ModelServer,
    delta,
    hang_after,
    open_model_server,
)
from tests.integration.users import read
from tests.integration.web.conftest import API, Site, Visitor, open_site
from tests.machine_clock import wait_until

ANSWER = ".message:last-child"
MESSAGE = "sing a song about sockets"
BUSY = "document.querySelector('#log').getAttribute('aria-busy') === 'true'"
IDLE = BUSY.replace("true", "false")
VALUE = "document.querySelector('#message').value"


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with open_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def site(model: ModelServer) -> Iterator[Site]:
    """The package's fixture, with a model."""
    with open_site(TODO_AI_URL=model.url, TODO_AI_MODE="tools") as site:
        yield site


def send(visitor: Visitor, message: str = MESSAGE) -> None:
    visitor.browser.fill("#message", message)
    visitor.browser.press("Enter", 13, "\r")


def send_first(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.click("a[href='#assistant']")
    send(visitor)
    visitor.wait_for_text(ANSWER, "Once")


def pause(go_on: threading.Event) -> Answer:
    """Stream the first word, and the rest when the test says so."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.event(delta("Once"))
        await asyncio.to_thread(go_on.wait)
        await exchange.event(delta(" upon a time."))
        await exchange.event(delta(finish="stop"))
        await exchange.event("[DONE]")
        await exchange.end()

    return answer


def test_the_words_of_an_answer_are_shown_as_they_come(
    visitor: Visitor, model: ModelServer
) -> None:
    go_on = threading.Event()
    model.follow(pause(go_on))
    try:
        send_first(visitor)
        assert visitor.browser.evaluate(BUSY)
        assert visitor.browser.evaluate("document.querySelector('#send').disabled")
        assert "upon" not in visitor.read_texts(ANSWER)[0]
    finally:
        go_on.set()

    visitor.wait(IDLE)
    assert visitor.read_texts(f"{ANSWER} .text")[0].startswith("Once upon a time.")
    assert visitor.browser.evaluate("document.querySelector('#stop').hidden")
    assert visitor.browser.complaints == []


def test_stop_ends_the_answer_at_the_model_and_the_conversation_continues(
    visitor: Visitor, model: ModelServer
) -> None:
    model.follow(hang_after(delta("Once")))
    send_first(visitor)

    visitor.browser.click("#stop")

    visitor.wait_for_text(ANSWER, "Stopped.")
    wait_until(lambda: model.open_connections == 0, "the model server is left", within_s=120)
    assert visitor.browser.evaluate(f"{IDLE} && {VALUE} === {MESSAGE!r}")
    assert visitor.browser.evaluate("document.activeElement.id") == "message"
    assert visitor.read_texts("#error") == [""]
    visitor.browser.evaluate("document.querySelector('#message').value = ''")
    send(visitor, "add buy milk")
    visitor.wait_for_text(ANSWER, "buy milk")
    visitor.wait(IDLE)
    assert len(read(visitor.http.get(f"{API}/conversations"))["items"]) == 1
    assert visitor.browser.complaints == []


def test_the_keyboard_stays_with_the_buttons_during_an_answer(
    visitor: Visitor, model: ModelServer
) -> None:
    model.follow(hang_after(delta("Once")))
    visitor.sign_in()
    visitor.browser.click("a[href='#assistant']")
    visitor.browser.fill("#message", MESSAGE)
    visitor.browser.press("Tab", 9)
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait_for_text(ANSWER, "Once")
    assert visitor.browser.evaluate("document.activeElement.id") == "stop"

    visitor.browser.press("Enter", 13, "\r")

    visitor.wait(f"{IDLE} && document.activeElement.id === 'message'")


def test_signing_out_during_an_answer_leaves_nothing_of_it(
    visitor: Visitor, model: ModelServer
) -> None:
    model.follow(hang_after(delta("Once")))
    send_first(visitor)

    visitor.browser.click("#sign-out")

    visitor.wait(f"document.activeElement.id === 'token' && {IDLE}")
    wait_until(lambda: model.open_connections == 0, "the model server is left", within_s=120)
    assert visitor.browser.evaluate(VALUE) == ""
    assert visitor.read_texts(".message") == []
