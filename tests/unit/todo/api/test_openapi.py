"""The OpenAPI document says of each operation what it takes and answers."""

import json
import re
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from todo.app import create_app
from todo.auth.tokens import TokenVerifier
from todo.config.settings import Settings

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    # Nothing connects; embedded SQLite would make the folder of its file.
    settings = Settings(database_url="postgresql+psycopg://todo@/todo?host=/nowhere")
    return create_app(settings, TokenVerifier(b"a unit test's secret of 32 bytes"))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    assert app.openapi() == made
    return made


def resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def parameters(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    return {resolve(document, each)["name"] for each in operation.get("parameters", ())}


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def calls_of(endpoint: FunctionType) -> set[str]:
    """Return what an endpoint uses, with what functions of its own module use for it."""
    found, waiting = set[str](), [endpoint]
    while waiting:
        names = set(names_in(waiting.pop().__code__)) - found
        found |= names
        known = (endpoint.__globals__.get(name) for name in names)
        waiting += [
            each
            for each in known
            if isinstance(each, FunctionType) and each.__module__ == endpoint.__module__
        ]
    return found


def test_it_is_of_the_version_that_generators_know(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])


def test_each_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))

    assert references
    for reference in references:
        assert resolve(document, {"$ref": reference})


def test_each_operation_has_a_short_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))
    assert {"create_task", "list_tasks", "undo"} <= set(names)


def test_each_status_stands_for_itself_and_an_error_is_a_problem(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for code, reference in operation["responses"].items():
            answer = resolve(document, reference)
            assert re.fullmatch(r"[2345]\d\d", code), (method, path, code)
            assert answer["description"]
            assert "X-Request-ID" in answer["headers"]
            if code >= "400":
                (content,) = answer["content"]
                assert content == "application/problem+json"
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_each_protected_operation_may_refuse_its_caller(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        protected = {"401", "403", "422", "429", "503"} <= set(operation["responses"])
        assert protected == path.startswith("/api/"), (method, path)


def test_each_write_can_be_repeated_and_each_read_be_spared(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if not path.startswith("/api/") or path.endswith("/events"):
            continue
        names, answers = parameters(document, operation), operation["responses"]
        done = next(answer for code, answer in answers.items() if code.startswith("2"))
        if method == "get":
            assert "If-None-Match" in names, path
            assert "304" in answers
            assert "ETag" in done["headers"]
        else:
            assert {"Idempotency-Key", "X-Agent", "X-Model", "X-Run-Id"} <= names, path
            assert "428" in answers
            assert "Idempotency-Replayed" in done["headers"]


def test_the_document_says_what_the_code_of_each_operation_does(
    app: FastAPI, document: dict[str, Any]
) -> None:
    endpoints = {route.name: route.endpoint for route in iter_route_contexts(app.routes)}
    for method, path, operation in operations(document):
        endpoint = endpoints[operation["operationId"]]
        assert isinstance(endpoint, FunctionType)
        calls, names = calls_of(endpoint), parameters(document, operation)
        headers = {
            name
            for code, answer in operation["responses"].items()
            if code < "300"
            for name in answer["headers"]
        }
        is_read, is_write = "json_response" in calls, bool(calls & {"run_write", "open_turn"})
        makes_tag = is_read or (is_write and "etag_for" in calls)
        where = f"{method} {path}"
        assert ("Idempotency-Key" in names) == is_write, where
        assert ("If-None-Match" in names) == is_read, where
        assert ("If-Match" in names) == ("read_if_match" in calls), where
        assert ("ETag" in headers) == makes_tag, where


@pytest.mark.parametrize(
    ("method", "path", "codes"),
    [
        ("post", "/api/v1/tasks", "201 400 401 403 408 409 413 422 428 429 500 503"),
        ("get", "/api/v1/tasks/{task_id}", "200 304 400 401 403 404 422 429 500 503"),
        (
            "patch",
            "/api/v1/tasks/{task_id}",
            "200 400 401 403 404 408 409 412 413 422 428 429 500 503",
        ),
        ("get", "/readyz", "200 400 500 503"),
    ],
)
def test_the_statuses_are_those_that_there_are(
    document: dict[str, Any], method: str, path: str, codes: str
) -> None:
    assert " ".join(document["paths"][path][method]["responses"]) == codes


def test_a_change_takes_a_version_and_tells_the_new_one(document: dict[str, Any]) -> None:
    change = document["paths"]["/api/v1/tasks/{task_id}"]["patch"]
    create = document["paths"]["/api/v1/tasks"]["post"]

    assert "If-Match" in parameters(document, change)
    assert "ETag" in change["responses"]["200"]["headers"]
    assert "If-Match" not in parameters(document, create)
    assert {"ETag", "Location"} <= set(create["responses"]["201"]["headers"])


def test_a_body_has_no_defaults_that_generators_take_for_values(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    sent = (
        "TaskCreate",
        "TaskUpdate",
        "TokenCreate",
        "UndoRequest",
        "FrontEndCreate",
        "ListCreate",
    )

    for name in sent:
        fields = schemas[name]["properties"]
        assert not [field for field, schema in fields.items() if "default" in schema], name
    assert schemas["TaskCreate"]["required"] == ["title"]
    assert schemas["TaskCreate"]["properties"]["priority"]["description"] == 'Default: `"none"`.'


def test_each_tag_and_the_server_are_declared(document: dict[str, Any]) -> None:
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}

    assert used == {tag["name"] for tag in document["tags"]}
    assert all(tag["description"] for tag in document["tags"])
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_what_needs_no_token_says_so(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert bool(operation["security"]) == path.startswith("/api/"), (method, path)


def test_one_pattern_of_a_body_has_a_wording(document: dict[str, Any]) -> None:
    found = re.findall(r'"pattern": "([^"]+)"', json.dumps(document["components"]["schemas"]))

    assert found == ["^[A-Za-z0-9._:/@+-]{1,64}$"], (
        "todo.core.validation_errors words this one only"
    )
