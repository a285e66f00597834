"""Hooks of schemathesis for responses that it reports as failures but that are correct.

Schemathesis loads this file by its path, from `SCHEMATHESIS_HOOKS`.
"""

import unicodedata
from typing import Any

import schemathesis
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from schemathesis.core.failures import AcceptedNegativeData, Failure


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,  # noqa: ARG001 - the hook's signature
    failure: Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,  # noqa: ARG001
) -> bool:
    """Return whether a failure is one: a text may be too long before the service trims it."""
    if not isinstance(failure, AcceptedNegativeData):
        return True
    operation = case.operation
    return not is_valid_once_counted(
        operation.schema.raw_schema, operation.path, operation.method.lower(), case.body
    )


def is_valid_once_counted(document: dict[str, Any], path: str, method: str, body: object) -> bool:
    """Return whether a JSON body follows its schema if texts are counted as the service does.

    JSON Schema has no word for a length after trimming and in NFC, so the document's `maxLength`
    holds for a text that needs neither.
    """
    counted = _count_as_service(body)
    if counted == body:
        return False
    steps = ["paths", path, method, "requestBody", "content", "application/json", "schema"]
    pointer = "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
    return bool(Draft202012Validator({**document, "$ref": f"#/{pointer}"}).is_valid(counted))


def _count_as_service(value: object) -> object:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value.strip())
    if isinstance(value, list):
        return [_count_as_service(each) for each in value]
    if isinstance(value, dict):
        return {key: _count_as_service(each) for key, each in value.items()}
    return value
