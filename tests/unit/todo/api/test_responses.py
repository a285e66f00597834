"""Entity tags: what a caller sends back is compared as RFC 9110 says."""

import pytest
from fastapi import Request

from todo.api.conditional import MAX_TAGS, read_if_match
from todo.api.responses import StoredResponse, json_response
from todo.core.errors import MalformedRequestError, VersionMismatchError

BODY = b'{"id":"x","title":"version\\":9","version":12}'


def ask(**headers: str) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"1"', {1}),
        (' "1" , "2"', {1, 2}),
        ("3", {3}),
        ('W/"1", "2"', {2}),
        ('"other", "2"', {2}),
        ('"999999999"', {999999999}),
    ],
)
def test_if_match_names_the_versions_that_it_accepts(given: str, expected: set[int]) -> None:
    assert read_if_match(ask(if_match=given)) == frozenset(expected)


@pytest.mark.parametrize("headers", [{}, {"if_match": "*"}, {"if_match": " * "}])
def test_without_a_version_any_will_do(headers: dict[str, str]) -> None:
    assert read_if_match(ask(**headers)) is None


@pytest.mark.parametrize(
    "given",
    ['""', 'W/"1"', '"abc"', '"-1"', '"1.0"', '"99999999999999999999"', '"²"', ',"a,1",'],
)
def test_if_match_without_any_version_matches_nothing(given: str) -> None:
    with pytest.raises(VersionMismatchError):
        read_if_match(ask(if_match=given))


@pytest.mark.parametrize(
    "given",
    ["", ",", '"', '"1', "W/", "W/1", "x", '"1", x', 'x, "1"', '"1" "2"', '*, "1"', '"1", "a b"'],
)
def test_if_match_that_is_not_a_list_of_tags_is_refused(given: str) -> None:
    with pytest.raises(MalformedRequestError, match="not a list of entity tags"):
        read_if_match(ask(if_match=given))


def test_if_match_has_a_bounded_number_of_tags() -> None:
    tags = [f'"{version}"' for version in range(MAX_TAGS + 1)]

    assert read_if_match(ask(if_match=",".join(tags[:-1]))) == frozenset(range(MAX_TAGS))
    with pytest.raises(MalformedRequestError, match="more than 16 entity tags"):
        read_if_match(ask(if_match=",".join(tags)))


@pytest.mark.parametrize("known", ['"12"', 'W/"12"', "*", '"11", "12"', '"11",W/"12"'])
def test_who_has_it_already_gets_304_without_the_body(known: str) -> None:
    answer = json_response(ask(if_none_match=known), BODY, '"12"')

    assert (answer.status_code, answer.body) == (304, b"")
    assert answer.headers["etag"] == '"12"'


def test_each_line_of_what_is_known_counts() -> None:
    lines = [(b"if-none-match", b'"11"'), (b"if-none-match", b'"12"')]

    answer = json_response(Request({"type": "http", "headers": lines}), BODY, '"12"')

    assert answer.status_code == 304


@pytest.mark.parametrize("known", ["", '"1"', '"120"', "12x", '"W/12"'])
def test_who_has_another_gets_the_body(known: str) -> None:
    answer = json_response(ask(if_none_match=known), BODY, '"12"')

    assert (answer.status_code, answer.body) == (200, BODY)


def test_a_body_without_a_version_has_a_tag_of_its_bytes() -> None:
    tags = [json_response(ask(), body).headers["etag"] for body in (b"[]", b"[1]", b"[]")]

    assert tags[0] == tags[2] != tags[1]
    assert json_response(ask(if_none_match=tags[0]), b"[]").status_code == 304


def test_an_answer_without_a_body_has_no_type() -> None:
    rendered = StoredResponse(204, headers={"x": "y"}).render()

    assert (rendered.status_code, rendered.body) == (204, b"")
    assert "content-type" not in rendered.headers
    assert rendered.headers["x"] == "y"
