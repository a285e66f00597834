import pytest

import todo.app
import todo.mcp.application
from todo.core.errors import (
    BatchFailedError,
    KeyReusedError,
    ProblemError,
    RateLimitedError,
    ValidationFailedError,
    VersionMismatchError,
)
from todo.mcp.tool import render_failure
from todo.mcp.tools.failure_texts import FAILURE_TEXTS
from todo.plans.errors import PlanOutdatedError, TooManyPlansError

# The middleware raises them before a tool is called, or services for what has no tool.
OTHERS = {
    *("content-too-large", "malformed-request", "other-user", "request-timeout"),
    *("too-many-bodies", "too-many-streams", "unauthorized", "gone", "list-not-empty"),
}
# Other ways to the services.
INTERFACES = ("todo.api", "todo.assistant", "todo.compat", "todo.mcp")


def test_every_problem_of_a_tool_has_a_next_step() -> None:
    assert todo.app
    assert todo.mcp.application
    pending, codes = [ProblemError], set()
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind.status < 500 and not kind.__module__.startswith(INTERFACES):
            codes.add(kind.code)
    assert codes - OTHERS == FAILURE_TEXTS.next_steps.keys()


@pytest.mark.parametrize(
    "error",
    [
        VersionMismatchError(),
        ValidationFailedError(),
        BatchFailedError(),
        KeyReusedError(),
        RateLimitedError(headers={"Retry-After": "7"}),
        PlanOutdatedError(),
        TooManyPlansError(50, 60),
    ],
)
def test_a_failure_has_no_words_of_the_http_api(error: ProblemError) -> None:
    text = render_failure(error, FAILURE_TEXTS).text
    assert not [word for word in ("`", "If-", "ETag", "Retry-", "-Key") if word in text]
