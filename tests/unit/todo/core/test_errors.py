import json

import pytest

from todo.core.errors import (
    DatabaseUnavailableError,
    HttpError,
    NotFoundError,
    ProblemError,
    UnavailableError,
    ValidationFailedError,
)
from todo.core.problem_document import render_problem


def test_a_problem_has_the_fields_of_rfc_9457_and_ours() -> None:
    status, headers, body = render_problem(NotFoundError(), instance="/x", request_id="id-1")

    assert status == 404
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not found, or not visible to you.",
        "instance": "/x",
        "code": "not-found",
        "request_id": "id-1",
    }


@pytest.mark.parametrize(("count", "shown", "omitted"), [(99, 99, 0), (100, 100, 0), (101, 100, 1)])
def test_a_hundred_errors_are_shown_and_the_others_counted(
    count: int, shown: int, omitted: int
) -> None:
    errors = [{"in": "body", "field": str(number), "code": "c"} for number in range(count)]

    problem = json.loads(
        render_problem(ValidationFailedError(errors=errors), instance="/x", request_id="i")[2]
    )

    assert problem["errors"] == errors[:shown]
    assert problem.get("errors_omitted", 0) == omitted
    assert (f" {omitted} more are not shown." in problem["detail"]) == (omitted > 0)


@pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (0.2, "1"), (1.2, "2"), (30, "30")])
def test_retry_after_is_whole_seconds_rounded_up(seconds: float, header: str) -> None:
    assert UnavailableError(retry_after_s=seconds).headers == {"Retry-After": header}


def test_every_error_has_a_code_a_status_and_a_sentence() -> None:
    def subclasses(kind: type[ProblemError]) -> list[type[ProblemError]]:
        return [kind, *(sub for direct in kind.__subclasses__() for sub in subclasses(direct))]

    found = [kind for kind in subclasses(ProblemError) if kind is not HttpError]
    assert DatabaseUnavailableError in found
    for kind in found:
        assert 400 <= kind.status < 600
        assert kind.default_detail.endswith(".")
    codes = [kind.code for kind in found if kind is not ProblemError]
    assert len(codes) == len(set(codes))


def test_text_that_no_encoding_knows_is_escaped() -> None:
    error = ValidationFailedError(errors=[{"field": "\ud800"}])

    _status, _headers, body = render_problem(error, instance="/\ud800", request_id="x")
    assert json.loads(body)["errors"] == [{"field": "\ud800"}]
