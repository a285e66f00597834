"""Messages for users when the services refuse a request."""

import re
from collections.abc import Iterator

import pytest

import todo.app
import todo.assistant.errors
import todo.mcp.endpoint
import todo.mcp.tools
import todo.plans.errors  # noqa: F401 - likewise
from todo.assistant.turn.failure_text import say_failed, say_refused
from todo.core.errors import (
    BatchFailedError,
    ForbiddenError,
    HttpError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    VersionMismatchError,
)
from todo.mcp.tool import ToolError, render_failure
from todo.mcp.tools.failure_texts import FAILURE_TEXTS
from todo.plans.errors import PlanAppliedError, PlanExpiredError, PlanOutdatedError

API_WORDS = re.compile(
    r"`|ETag|If-Match|Idempotency-Key|idempotency_key|Retry-After|[A-Z]{3,} /|\w_\w|\bheader"
    r"|\bfield|\bversion\b|\bentry\b|\d\d:\d\d:\d\d|\+00:00|request id"
)
TITLES = {"i1": "Call Ann", "i2": "Pay rent"}
BEFORE_A_TURN = {"todo.assistant.errors", "todo.mcp.endpoint"}
INSTANT = "2026-11-30T04:23:18.503843+00:00"


def make_errors() -> Iterator[ProblemError]:
    """Yield one error of each kind that a turn can meet, with its usual text."""
    kinds: list[type[ProblemError]] = list(ProblemError.__subclasses__())
    for kind in kinds:
        kinds += kind.__subclasses__()
        # The turn is not there at all, or not of a person.
        if issubclass(kind, HttpError) or kind.__module__ in BEFORE_A_TURN:
            continue
        error = kind.__new__(kind)
        ProblemError.__init__(error, kind.default_detail)
        if error.detail != ProblemError.default_detail:
            yield error


@pytest.mark.parametrize("error", [*make_errors()], ids=lambda each: type(each).__name__)
def test_no_error_of_the_services_reaches_a_person_with_words_of_the_api(
    error: ProblemError,
) -> None:
    assert not API_WORDS.search(say_refused(error, {}))
    if error.status < 500:
        assert not API_WORDS.search(
            say_failed(render_failure(error, FAILURE_TEXTS).structured, [], {})
        )


@pytest.mark.parametrize(
    "error", [PlanAppliedError(INSTANT), PlanExpiredError(INSTANT), ForbiddenError("write")]
)
def test_details_of_the_services_are_told_in_other_words(error: ProblemError) -> None:
    assert not API_WORDS.search(say_refused(error, {}))


def test_a_token_without_a_scope_gets_the_remedy() -> None:
    said = "The token lacks the scope write. Nothing was done. Use a token that has it."
    error = ForbiddenError("write")
    assert say_refused(error, {}) == said
    assert say_failed(render_failure(error, FAILURE_TEXTS).structured, [], {}) == said


def test_a_wait_is_named_without_a_header() -> None:
    error = RateLimitedError(
        "This token has reached its limit of 9 changes per hour; retry after the seconds in "
        "`Retry-After`."
    )
    assert say_refused(error, {}) == "This token has reached its limit of 9 changes per hour."


@pytest.mark.parametrize("error", [NotFoundError(), VersionMismatchError()])
def test_a_refused_plan_has_a_remedy(error: ProblemError) -> None:
    assert "Nothing was changed. Send the request again." in say_refused(error, {})


def test_an_outdated_plan_names_its_tasks() -> None:
    def differ(field: str, code: str, message: str) -> dict[str, object]:
        return {"in": "plan", "field": field, "code": code, "message": message}

    errors = [
        differ("task/i1", "changed-since", "now has version 2; the plan is for version 1"),
        differ("task/i2", "not-changed", "would no longer be changed (delete)"),
        differ("task/i9", "other-result", "would become something else now (update)"),
    ]
    lines = say_refused(PlanOutdatedError(errors=errors), TITLES).splitlines()
    assert lines[1:] == [
        '- "Call Ann" was changed meanwhile',
        '- "Pay rent" would not be changed any more',
        "- A task would become something else now",
    ]
    assert lines[0].startswith("Tasks have changed since the plan was made.")


def test_the_failure_of_a_call_names_the_task_and_the_field() -> None:
    errors = [
        {"field": "tasks.0", "code": "version-mismatch", "message": "send its new version"},
        {"field": "tasks.1.title", "code": "x", "message": "must have at most 255 characters"},
        {"field": "tasks.2", "code": "x", "message": "gives the field `title`, which must not"},
        {"field": "tasks.3.due", "code": "x", "message": "is not a due"},
        {"field": "tasks.4.list_id", "code": "not-found", "message": "no list with this id"},
    ]
    arguments = [{"id": "i1"}, {"id": "i2"}, {"text": "x"}, {"title": "new"}, {"id": "other"}]
    error = ToolError("Nothing was changed: some items cannot be done.", "x", errors=errors)
    error.code = "items-failed"
    assert say_failed(render_failure(error).structured, arguments, TITLES).splitlines() == [
        "Nothing was changed.",
        '- "Call Ann" was changed meanwhile',
        '- "Pay rent": title must have at most 255 characters',
        "- title must not",
        '- "new": due is not a due',
        "- list no list with this id",
    ]


def test_an_undo_that_is_refused_names_the_tasks_and_no_entry() -> None:
    errors = [
        {
            "field": "task/i1",
            "code": "changed-since",
            "message": "was changed again: see entry 8 (restore)",
        },
        {"field": "task/i2", "code": "parent-gone", "message": "its parent 0197 is gone"},
    ]
    error = ToolError("Nothing was undone.", "x", code="undo-conflict", errors=errors)
    assert say_failed(render_failure(error).structured, [], TITLES).splitlines() == [
        "Nothing was undone.",
        '- "Call Ann" was changed again',
        '- "Pay rent" was below a task that is not there any more',
    ]


def test_a_failure_names_the_choices() -> None:
    error = ToolError(
        "Nothing was changed.",
        "for models only",
        errors=[{"field": "tasks.0", "message": "two meanings", "choices": ["3 May", "5 March"]}],
    )
    text = say_failed(render_failure(error).structured, [], {})
    assert text == 'Nothing was changed.\n- two meanings. Choices: "3 May" or "5 March"'


def test_many_errors_are_counted() -> None:
    errors = [{"field": f"task/{n}", "code": "x", "message": f"m{n}"} for n in range(30)]
    lines = say_refused(BatchFailedError(errors=errors), {}).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "- … and 10 more"
