import json

import pytest

from todo.core.errors import (
    BatchFailedError,
    DatabaseUnavailableError,
    KeyReusedError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    ValidationFailedError,
    VersionMismatchError,
)
from todo.mcp.tool import ToolError, render_failure
from todo.plans.errors import PlanOutdatedError, TooManyPlansError


def test_a_failure_has_cause_and_next_step() -> None:
    result = render_failure(NotFoundError())
    assert result.is_error
    assert result.text.splitlines() == [
        "Error: There is nothing here that you may see.",
        "Try next: find the right id with find_tasks or lists_and_tags.",
    ]
    assert result.structured["error"]["code"] == "not-found"


def test_a_failure_of_the_service_can_be_repeated() -> None:
    assert "same idempotency_key" in render_failure(DatabaseUnavailableError()).text


def test_every_problem_has_a_next_step() -> None:
    pending = [ProblemError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        error = ProblemError.__new__(kind)
        ProblemError.__init__(error)
        assert "Try next: " in render_failure(error).text


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
    text = render_failure(error).text
    assert not [word for word in ("`", "If-", "ETag", "Retry-", "-Key") if word in text]


def test_the_faulty_arguments_are_named() -> None:
    error = ToolError(
        "Invalid.",
        "correct them.",
        errors=[
            {"field": "tasks.1.due", "code": "x", "message": "is odd", "choices": ["a", '"\n']}
        ],
    )
    result = render_failure(error)
    assert '- tasks.1.due: is odd. Choices: "a" or "\\"\\n"' in result.text.splitlines()
    assert result.structured["error"]["errors"][0]["choices"] == ["a", '"\n']


def test_the_errors_are_bounded() -> None:
    found = [{"field": f"f{n}", "code": "x", "message": "m"} for n in range(100)]
    result = render_failure(ValidationFailedError(errors=found))
    assert len(result.structured["error"]["errors"]) == 10
    assert result.structured["error"]["errors_omitted"] == 90
    assert "- 90 more are not shown." in result.text.splitlines()
    json.dumps(result.structured)
