"""Texts of errors on the page, in a real browser: what happened, and what a person can do."""

import json
import re
from collections.abc import Iterator

import todo.app
import todo.assistant.errors
import todo.plans.errors  # noqa: F401 - likewise
from tests.integration.web.conftest import Visitor
from todo.core.errors import HttpError, ProblemError, RateLimitedError, UnauthorizedError
from todo.core.problem_document import render_problem

# Words of the API, which say nothing to a person in front of a page.
API_WORDS = re.compile(
    r"`|ETag|If-Match|Idempotency-Key|Retry-After|[A-Z]{3,} /|\w_\w|\bheader|\brequest\b|\bfield",
)
ANSWER = """
window.fetch = async () => new Response(JSON.stringify({body}), {{status: {status}, headers: {{}}}})
"""


def make_errors() -> Iterator[ProblemError]:
    """Yield one error of each kind that the page can receive, with its usual text."""
    kinds = [ProblemError]
    for kind in kinds:
        # Those of the MCP endpoint, whose module another test may have imported, reach only agents.
        kinds += [each for each in kind.__subclasses__() if not is_of_mcp(each)]
        if not issubclass(kind, (UnauthorizedError, HttpError)):
            error = kind.__new__(kind)
            ProblemError.__init__(error, kind.default_detail)
            yield error


def is_of_mcp(kind: type[ProblemError]) -> bool:
    return kind.__module__.startswith("todo.mcp.")


def show(visitor: Visitor, error: ProblemError, number: int) -> str:
    """Let the page receive an error, and return what it shows."""
    _, _, body = render_problem(error, instance="/api/v1/runs", request_id=f"id{number}")
    document = json.loads(body)
    fake = ANSWER.format(body=json.dumps(document), status=error.status)
    visitor.browser.evaluate(f"{fake}; document.querySelector('#error').replaceChildren()")
    visitor.browser.evaluate(
        "document.querySelector('#journal').dispatchEvent(new Event('change'))"
    )
    visitor.wait("document.querySelector('#error').innerText !== ''")
    text: str = visitor.browser.evaluate("document.querySelector('#error span').innerText")
    return text


def test_no_error_text_on_the_page_has_words_of_the_api(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.click("a[href='#runs']")
    visitor.wait("!document.querySelector('#no-runs').hidden")

    shown = {type(e).__name__: show(visitor, e, n) for n, e in enumerate(make_errors())}

    known = {name: text.replace("request ID", "") for name, text in shown.items()}
    assert {name: text for name, text in known.items() if API_WORDS.search(text)} == {}
    assert len(shown) > 40
    assert "report the request ID id0" in shown["ProblemError"]


def test_an_error_of_a_field_names_it_as_the_page_does(visitor: Visitor) -> None:
    error = ProblemError(
        "The request has invalid fields; `errors` lists them.",
        errors=[{"in": "body", "field": "title", "code": "x", "message": "must not be empty"}],
    )
    error.status, error.code = 422, "validation-failed"  # type: ignore[misc]
    visitor.sign_in()
    visitor.browser.click("a[href='#runs']")
    visitor.wait("!document.querySelector('#no-runs').hidden")

    assert show(visitor, error, 1) == "Title: must not be empty."


def test_a_wait_is_said_once(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.browser.click("a[href='#runs']")
    visitor.wait("!document.querySelector('#no-runs').hidden")

    said = "Limit reached: 2 messages per minute; 0 are left. Nothing was done."
    assert show(visitor, RateLimitedError(f"{said} Retry in 5 seconds."), 1) == said
