"""The OpenAPI document describes every operation and has examples that are valid."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from todo.app import create_app
from todo.auth.tokens import TokenVerifier
from todo.config.settings import Settings

JSON = "application/json"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    # Nothing connects; embedded SQLite would make the folder of its file.
    settings = Settings(database_url="postgresql+psycopg://todo@/todo?host=/nowhere")
    app = create_app(settings, TokenVerifier(b"a unit test's secret of 32 bytes"))
    made: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def check(document: dict[str, Any], schema: dict[str, Any], example: object) -> None:
    whole = {"components": document["components"], "allOf": [schema]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        example
    )


def has_example(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Return whether a schema, or that of what it holds, has an example."""
    schema = resolve(document, schema)
    if "examples" in schema or "const" in schema:
        return True
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    parts += [schema["items"]] if "items" in schema else []
    return any(has_example(document, part) for part in parts)


def test_every_operation_has_a_summary_a_description_and_one_tag(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        assert operation["description"] != operation["summary"], name
        assert len(operation["tags"]) == 1, name


def test_every_parameter_of_a_path_and_every_header_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for each in operation.get("parameters", ()):
            parameter = resolve(document, each)
            ids = parameter["schema"].get("format") == "uuid"
            if parameter["in"] != "query" and not ids:
                assert parameter["description"], (name, parameter["name"])


def test_every_request_body_has_a_description_and_valid_named_examples(
    document: dict[str, Any],
) -> None:
    count = 0
    for name, operation in operations(document):
        if "requestBody" not in operation:
            continue
        body = operation["requestBody"]
        assert body["description"].endswith("."), name
        content = body["content"][JSON]
        assert content["examples"], name
        for example in content["examples"].values():
            assert example["summary"]
            check(document, content["schema"], example["value"])
            count += 1
    assert count > 20


def test_every_example_of_a_schema_is_valid(document: dict[str, Any]) -> None:
    checked = set()
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            check(document, schema, example)
            # An example has every key that a response has.
            if name.endswith(("Read", "Created", "Task")):
                assert set(example) == set(schema["properties"]), name
            checked.add(name)
    assert {"TaskRead", "ListRead", "ChangeRead", "EntryRead", "TokenCreated"} <= checked
    assert "x-example" not in json.dumps(document)


def test_every_response_with_json_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, each in operation["responses"].items():
            content = resolve(document, each).get("content", {})
            if PROBLEM in content:
                example = content[PROBLEM]["example"]
                check(document, content[PROBLEM]["schema"], example)
                assert example["status"] == int(status), name
            elif JSON in content:
                assert has_example(document, content[JSON]["schema"]), (name, status)
