"""The assistant on the page, in a real browser, without a model: rules answer."""

from typing import Any

from tests.integration.users import read
from tests.integration.web.chat import open_assistant, say
from tests.integration.web.conftest import API, Visitor, tasks_of

# The service does what the first message says, and the connection ends before its answer arrives.
LOST_ANSWER = """
(() => {
  const original = window.fetch;
  window.fetch = async (url, options) => {
    const answer = await original(url, options);
    if (!url.pathname.endsWith('/assistant')) return answer;
    window.fetch = original;
    await answer.text();
    const start = (controller) => controller.error(new TypeError('network error'));
    return new Response(new ReadableStream({start}));
  };
})()
"""

# A tool has changed something, and the model continues until the person stops it.
HALF_ANSWER = """
(() => {
  const original = window.fetch;
  window.fetch = async (url, options) => {
    if (!url.pathname.endsWith('/assistant')) return original(url, options);
    const start = (controller) => {
      const send = (name, data) => controller.enqueue(new TextEncoder().encode(
        `event: ${name}\\ndata: ${JSON.stringify(data)}\\n\\n`));
      send('tool', {tool_name: 'add_tasks', arguments: {}, result: {run_id: 'half'}});
      send('text', {delta: 'Adding'});
      options.signal.addEventListener('abort', () => controller.error(options.signal.reason));
    };
    return new Response(new ReadableStream({start}));
  };
})()
"""

UNDO_BUTTONS = "button[data-run]"

# A model that made a call, and did not answer afterwards.
UNFINISHED = """
window.fetch = async () => new Response('event: done\\ndata: ' + JSON.stringify(
  {response: 'Added.', tool_calls: [{tool_name: 'add_tasks'}], degraded: true,
   degraded_reason: 'timeout'}) + '\\n\\n')
"""


def runs_of(visitor: Visitor) -> list[dict[str, Any]]:
    """Return the runs of agents, newest first."""
    found: list[dict[str, Any]] = read(visitor.http.get(f"{API}/runs"))["items"]
    return found


def test_a_message_changes_tasks_and_a_button_takes_that_back(visitor: Visitor) -> None:
    open_assistant(visitor)

    answer = say(visitor, "add buy milk tomorrow @shop")

    assert "buy milk" in answer
    assert [(task["title"], task["tags"]) for task in tasks_of(visitor)] == [("buy milk", ["shop"])]
    visitor.browser.click(".message:last-child button")
    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert tasks_of(visitor) == []
    assert visitor.browser.complaints == []


def test_the_button_of_an_answer_goes_with_what_it_undoes(visitor: Visitor) -> None:
    open_assistant(visitor)
    say(visitor, "add buy milk")
    say(visitor, "add buy bread")
    assert visitor.read_texts(UNDO_BUTTONS) == ["Undo what this did"] * 2
    visitor.browser.click(UNDO_BUTTONS)
    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert [task["title"] for task in tasks_of(visitor)] == ["buy bread"]
    assert visitor.read_texts(UNDO_BUTTONS) == ["Undo what this did"]

    say(visitor, "undo")

    assert tasks_of(visitor) == []
    # Only the undo itself can be taken back.
    assert visitor.read_texts(f".message:not(:last-child) > {UNDO_BUTTONS}") == []
    assert len(visitor.read_texts(UNDO_BUTTONS)) == 1


def test_an_answer_that_was_undone_elsewhere_loses_its_button_at_the_first_try(
    visitor: Visitor,
) -> None:
    open_assistant(visitor)
    say(visitor, "add buy milk")
    say(visitor, "add buy bread")
    say(visitor, "undo")
    visitor.browser.click("#new-conversation")
    visitor.browser.evaluate("location.reload()")
    open_assistant(visitor)
    (run,) = [each for each in runs_of(visitor) if not each["is_undone"]][-1:]
    read(visitor.http.post(f"{API}/undo", json={"run_id": run["run_id"]}))
    visitor.browser.click("#earlier summary")
    visitor.browser.click("#conversation-list button")
    visitor.wait("document.querySelectorAll('.message').length === 6")
    # The conversation has an undo of the second answer, and none of the first.
    assert len(visitor.read_texts(".message:not(:last-child) > button")) == 1

    visitor.browser.click(".message > button")

    visitor.wait_for_text("#error", "This was undone already.")
    assert visitor.read_texts(".message:not(:last-child) > button") == []


def test_one_conversation_continues_until_the_person_starts_another(visitor: Visitor) -> None:
    open_assistant(visitor)
    say(visitor, "add buy milk")
    say(visitor, "what is due today?")
    assert len(read(visitor.http.get(f"{API}/conversations"))["items"]) == 1

    visitor.browser.click("#new-conversation")
    say(visitor, "what is due today?")

    assert len(read(visitor.http.get(f"{API}/conversations"))["items"]) == 2
    assert len(visitor.read_texts(".message")) == 2


def test_an_earlier_conversation_is_opened_and_continued(visitor: Visitor) -> None:
    visitor.create("tasks", title="Call the vet")
    open_assistant(visitor)
    say(visitor, "add <b>buy milk</b>")
    say(visitor, "delete call the vet")
    visitor.browser.click("#new-conversation")
    say(visitor, "what is due today?")

    visitor.browser.click("#earlier summary")
    visitor.wait("document.querySelectorAll('#conversation-list [id^=conversation-]').length === 2")
    visitor.browser.click("#conversation-list li:last-child button")

    visitor.wait("document.querySelectorAll('.message').length === 4")
    assert [text.split("\n")[0] for text in visitor.read_texts(".message")] == [
        "You",
        "Assistant",
    ] * 2
    assert "<b>buy milk</b>" in visitor.read_texts(".message")[0]
    assert visitor.browser.evaluate("document.activeElement.id") == "message"
    # The plan that waits is there, and so is the way back of each answer.
    visitor.browser.click(".plan .primary")
    visitor.wait_for_text(".plan", "Applied.")
    visitor.browser.click(".message:nth-child(2) > button")
    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert tasks_of(visitor) == []
    say(visitor, "what is due today?")
    assert len(read(visitor.http.get(f"{API}/conversations"))["items"]) == 2
    assert visitor.browser.complaints == []


def test_a_long_conversation_is_opened_page_by_page(visitor: Visitor) -> None:
    sent = [f"add task {number}" for number in range(12)]
    fields: dict[str, Any] = {}
    for message in sent:
        answer = read(visitor.http.post(f"{API}/assistant", json={"message": message, **fields}))
        fields = {"conversation_id": answer["conversation_id"]}
    open_assistant(visitor)
    visitor.browser.click("#earlier summary")
    visitor.browser.click("#conversation-list button")
    visitor.wait("document.querySelectorAll('.message').length === 20")

    visitor.browser.click("#more-messages")

    visitor.wait("document.querySelectorAll('.message').length === 24")
    shown = visitor.read_texts(".message.mine")
    assert [text.partition("\n")[2].strip() for text in shown] == sent
    assert visitor.browser.evaluate("document.querySelector('#more-messages').hidden")


def test_a_message_that_gets_no_answer_need_not_be_typed_again(visitor: Visitor) -> None:
    open_assistant(visitor)
    visitor.browser.cut_off(is_offline=True)
    try:
        visitor.browser.fill("#message", "add buy milk")
        visitor.browser.press("Enter", 13, "\r")
        visitor.wait_for_text("#error", "cannot be reached")
    finally:
        visitor.browser.cut_off(is_offline=False)

    assert visitor.browser.evaluate("document.querySelector('#message').value") == "add buy milk"
    assert not visitor.browser.evaluate("document.querySelector('#send').disabled")


def test_what_was_typed_is_gone_after_signing_out(visitor: Visitor) -> None:
    open_assistant(visitor)
    visitor.browser.fill("#message", "my secret plan")

    visitor.browser.click("#sign-out")

    visitor.wait("document.activeElement?.id === 'token'")
    assert visitor.browser.evaluate("document.querySelector('#message').value") == ""


def test_a_message_whose_answer_was_lost_is_carried_out_once(visitor: Visitor) -> None:
    open_assistant(visitor)
    visitor.browser.evaluate(LOST_ANSWER)
    visitor.browser.fill("#message", "add buy milk")
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait_for_text("#error", "The connection was lost.")
    assert [task["title"] for task in tasks_of(visitor)] == ["buy milk"]

    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text(".message:last-child", "buy milk")
    visitor.wait("document.querySelector('#log').getAttribute('aria-busy') === 'false'")
    assert [task["title"] for task in tasks_of(visitor)] == ["buy milk"]
    assert visitor.read_texts("#error") == [""]
    assert visitor.browser.complaints == []


def test_a_conversation_that_was_deleted_elsewhere_is_left(visitor: Visitor) -> None:
    open_assistant(visitor)
    say(visitor, "add buy milk")
    (found,) = read(visitor.http.get(f"{API}/conversations"))["items"]
    visitor.http.delete(f"{API}/conversations/{found['id']}").raise_for_status()
    say(visitor, "add buy bread")
    visitor.wait_for_text("#error", "This conversation was deleted.")

    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text(".message:last-child", "buy bread")
    assert {task["title"] for task in tasks_of(visitor)} == {"buy milk", "buy bread"}


def test_an_address_that_names_no_view_shows_the_tasks(visitor: Visitor) -> None:
    open_assistant(visitor)

    visitor.browser.evaluate("location.hash = '#constructor'")

    visitor.wait("!document.querySelector('#tasks').hidden")
    assert visitor.browser.complaints == []


def test_an_answer_without_a_model_says_so(visitor: Visitor) -> None:
    open_assistant(visitor)

    answer = say(visitor, "sing a song about sockets")

    assert "Answered by rules: no language model is set up." in answer


def test_hostile_texts_in_an_answer_are_shown_as_text(visitor: Visitor) -> None:
    title = "<img src=x onerror=window.bad=1> pay rent"
    visitor.create("tasks", title=title, due_date="2026-01-01")
    open_assistant(visitor)

    assert title in say(visitor, "what is overdue?")
    assert visitor.browser.evaluate("document.querySelectorAll('#log img').length") == 0
    assert visitor.browser.evaluate("window.bad") is None
    assert visitor.browser.complaints == []


def test_a_token_without_the_scope_gets_the_reason_and_stays_signed_in(visitor: Visitor) -> None:
    with visitor.open_agent("none") as agent:
        token = agent.headers["authorization"].removeprefix("Bearer ")
    visitor.visit()
    visitor.browser.fill("#token", token)
    visitor.browser.click("#sign-in-form .primary")
    visitor.wait("!document.querySelector('#tasks').hidden")
    visitor.browser.click("a[href='#assistant']")
    visitor.browser.fill("#message", "add buy milk")
    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text("#error", "assistant")
    assert not visitor.browser.evaluate("document.querySelector('#assistant').hidden")


def test_a_message_that_is_too_long_is_named(visitor: Visitor) -> None:
    open_assistant(visitor)
    visitor.browser.fill("#message", "x" * 10_001)
    visitor.browser.press("Enter", 13, "\r")

    visitor.wait_for_text("#error", "Message: must have at most 10000 characters.")


def test_a_stopped_answer_has_a_button_for_what_it_did_until_then(visitor: Visitor) -> None:
    open_assistant(visitor)
    with visitor.open_agent("half", agent="assistant") as agent:
        read(agent.post(f"{API}/tasks", json={"title": "half"}), 201)
    visitor.browser.evaluate(HALF_ANSWER)
    visitor.browser.fill("#message", "add half and more")
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait_for_text(".message:last-child", "Adding")
    visitor.browser.click("#stop")

    visitor.wait_for_text(".message:last-child", "Stopped.")
    visitor.browser.click(".message:last-child button")
    visitor.wait_for_text("#notice", "Undone: 1 change.")
    assert tasks_of(visitor) == []


def test_an_answer_that_a_model_began_is_not_called_one_of_rules(visitor: Visitor) -> None:
    open_assistant(visitor)
    visitor.browser.evaluate(UNFINISHED)

    answer = say(visitor, "add half and more")

    assert "Not finished: the language model did not answer." in answer
    assert "rules" not in answer
