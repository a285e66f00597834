"""The assistant of the page, as a person uses it."""

from tests.integration.web.conftest import Visitor

# The answer of an assistant that proposes this plan.
FAKE_PLAN = """
window.fetch = async () => new Response('event: done\\ndata: ' + JSON.stringify(
  {response: 'A plan.', tool_calls: [], plan: %s}) + '\\n\\n')
"""


def open_assistant(visitor: Visitor) -> None:
    """Sign in and open the assistant."""
    visitor.sign_in()
    visitor.browser.click("a[href='#assistant']")
    visitor.wait("!document.querySelector('#assistant').hidden")


def say(visitor: Visitor, message: str) -> str:
    """Send a message and return the whole answer as people see it."""
    answers = "document.querySelectorAll('.message:not(.mine)').length"
    before = visitor.browser.evaluate(answers)
    visitor.browser.fill("#message", message)
    visitor.browser.press("Enter", 13, "\r")
    visitor.wait(f"{answers} === {before + 1}")
    visitor.wait("document.querySelector('#log').getAttribute('aria-busy') === 'false'")
    return visitor.read_texts(".message:not(.mine)")[-1]
