"""Requests generated from only the OpenAPI document: every operation, with IDs in all positions."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

Schema = dict[str, Any]

# Stands where the id of something goes, and where that of a user does.
ID = "{id}"
USER = "{user}"
_USERS = {"user_id", "user", "actor"}
_IDS = {"entity"}
_ENDLESS = {"/api/v1/events"}


@dataclass(frozen=True)
class Call:
    """A request with ID and USER in it."""

    name: str
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None

    def fill(self, thing: str, user: str) -> "Call":
        """Return the request about a thing and a user."""
        return replace(
            self,
            path=_fill(self.path, thing, user),
            query=_fill(self.query, thing, user),
            body=_fill(self.body, thing, user),
        )

    def has(self, what: str) -> bool:
        """Return whether ID or USER is in it."""
        return what in str([self.path, self.query, self.body])


def list_calls(document: Schema, own_user: str) -> Iterator[Call]:
    """Yield requests of all protected operations; each has an id somewhere.

    Args:
        document: The OpenAPI document.
        own_user: Whoever calls: an address with a user is asked for with that one, too.
    """
    for path, item in document["paths"].items():
        if not path.startswith("/api/") or path in _ENDLESS:
            continue
        for method, operation in item.items():
            for call in _vary(document, path, method, operation):
                own = replace(call, path=call.path.replace(f"/api/{USER}/", f"/api/{own_user}/"))
                asked = [call] if own == call else [call, own]
                yield from (each for each in asked if each.has(ID) or each.has(USER))


def _vary(document: Schema, path: str, method: str, operation: Schema) -> Iterator[Call]:
    parameters = [_resolve(document, each) for each in operation.get("parameters", ())]
    shown = path
    for each in parameters:
        if each["in"] == "path":
            sample = USER if each["name"] in _USERS else ID
            shown = shown.replace(f"{{{each['name']}}}", sample)
    queries: list[dict[str, str]] = [{}]
    queries += [
        {each["name"]: sample}
        for each in parameters
        if each["in"] == "query"
        for sample in [_sample_parameter(document, each)]
        if sample in {ID, USER}
    ]
    bodies: list[Any] = [None]
    if "requestBody" in operation:
        bodies = list(_bodies(document, operation["requestBody"]["content"]["application/json"]))
    for query, body in itertools.product(queries, bodies):
        yield Call(operation["operationId"], method, shown, query, body)


def _bodies(document: Schema, content: Schema) -> Iterator[Any]:
    schema = _resolve(document, content["schema"])
    least = _sample(document, schema)
    yield least
    properties = schema.get("properties", {})
    for name, part in properties.items():
        for sample in _alternatives(document, part, name):
            body = {**least, name: sample}
            yield body
            if ID in str(sample) and not least:
                # Where all is optional, an id may need another beside it.
                yield from (
                    {**body, other: _sample(document, properties[other], other)}
                    for other in properties
                    if other not in body
                )


def _alternatives(document: Schema, schema: Schema, name: str) -> Iterator[Any]:
    """Yield a sample of a schema, of each of its alternatives."""
    schema = _resolve(document, schema)
    if "oneOf" in schema:
        for each in schema["oneOf"]:
            yield _sample(document, each, name)
    elif schema.get("type") == "array":
        for each in _alternatives(document, schema["items"], name):
            yield [each]
    else:
        yield _sample(document, schema, name)


def _sample_parameter(document: Schema, parameter: Schema) -> str:
    sample = _sample(document, parameter["schema"], parameter["name"])
    return sample if isinstance(sample, str) else "1"


def _sample(document: Schema, schema: Schema, name: str = "") -> Any:  # noqa: ANN401 - any JSON
    schema = _resolve(document, schema)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _sample(document, choices[0], name)
    if name in _USERS:
        return USER
    if schema.get("type") == "object":
        parts = schema.get("properties", {})
        return {each: _sample(document, parts[each], each) for each in schema.get("required", ())}
    if schema.get("type") == "array":
        return [_sample(document, schema["items"], name)]
    return _sample_plain(schema, name)


def _sample_plain(schema: Schema, name: str) -> Any:  # noqa: ANN401 - any JSON
    if schema.get("format") == "uuid" or name in _IDS:
        return ID
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kinds = {"string": "sample", "boolean": True}
    formats = {"date": "2026-11-25", "date-time": "2026-11-25T10:00:00Z"}
    return formats.get(schema.get("format", ""), kinds.get(schema.get("type", ""), 1))


def _resolve(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _fill(value: Any, thing: str, user: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.replace(ID, thing).replace(USER, user)
    if isinstance(value, dict):
        return {name: _fill(each, thing, user) for name, each in value.items()}
    if isinstance(value, list):
        return [_fill(each, thing, user) for each in value]
    return value
