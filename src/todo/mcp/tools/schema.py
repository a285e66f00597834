"""Declaration of argument schemas, and validation of calls against them.

Calls are validated against the schemas that clients see, so the two cannot differ. Each property
has one type, without unions and references, because some clients drop or reject those.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from todo.core.validation_errors import shorten
from todo.mcp.tool import Json, ToolError

_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}
_MAX_SHOWN = 10
# Largest integer that the JSON library can write.
_MAX_INTEGER = 2**63 - 1


def text(description: str, choices: Sequence[str] = ()) -> Json:
    """Return the schema of a string or an enumeration."""
    chosen = {"enum": list(choices)} if choices else {}
    return {"type": "string", **chosen, "description": description}


def integer(description: str, minimum: int | None = None, maximum: int | None = None) -> Json:
    """Return the schema of an integer."""
    limits = {"minimum": minimum, "maximum": maximum}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return {"type": "integer", **given, "description": description}


def flag(description: str) -> Json:
    """Return the schema of a boolean."""
    return {"type": "boolean", "description": description}


def array(
    description: str, items: Json, max_items: int | None = None, *, min_items: int | None = None
) -> Json:
    """Return the schema of an array."""
    limits = {"minItems": min_items, "maxItems": max_items}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return {"type": "array", "items": items, **given, "description": description}


def record(properties: Json, required: Sequence[str] = ()) -> Json:
    """Return the schema of an object without additional properties."""
    needed = {"required": list(required)} if required else {}
    return {
        "type": "object",
        "properties": properties,
        **needed,
        "additionalProperties": False,
    }


def check_arguments(
    schema: Json,
    given: Json,
    removable: Collection[str] = (),
    elsewhere: Mapping[str, str] | None = None,
) -> Json:
    """Return the arguments without null values, or raise a ToolError that lists violations.

    Many clients send null for omitted arguments; only in `removable` properties is null kept.
    `elsewhere` maps unknown names to the correct alternatives.
    """
    check = _Check(frozenset(removable), elsewhere or {})
    value = check.check(schema, given, "")
    if check.errors:
        message = "The arguments are invalid; nothing was done."
        raise ToolError(message, "correct the arguments, and repeat the call.", errors=check.errors)
    return dict(value)


@dataclass(frozen=True, slots=True)
class _Check:
    removable: frozenset[str]
    elsewhere: Mapping[str, str]
    errors: list[Json] = field(default_factory=list)

    def check(self, schema: Json, value: Any, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return a value without nulls; add violations of the schema to the errors."""
        if len(self.errors) >= _MAX_SHOWN:
            return value
        kind = schema["type"]
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)
        if not _is_of_type(kind, value):
            self._add(path, f"must be {_NAMES[kind]}")
        elif kind == "object":
            return self._check_object(schema, value, path)
        elif kind == "array":
            return self._check_array(schema, value, path)
        else:
            for fault in _find_faults(schema, value):
                self._add(path, fault)
        return value

    def _check_array(self, schema: Json, value: list[Any], path: str) -> list[Any]:
        if len(value) > schema.get("maxItems", len(value)):
            self._add(path, f"must have at most {schema['maxItems']} items")
            return value
        if len(value) < schema.get("minItems", 0):
            self._add(path, "must not be empty")
        return [
            self.check(schema["items"], item, _join(path, str(index)))
            for index, item in enumerate(value)
        ]

    def _check_object(self, schema: Json, value: Json, path: str) -> Json:
        known = schema["properties"]
        checked: Json = {}
        for name, item in value.items():
            if len(self.errors) >= _MAX_SHOWN:
                # Hints are slow to compute.
                break
            here = _join(path, shorten(name))
            if name not in known:
                hint = self._find_hint(name, known)
                self._add(here, f"is not an argument; {hint}", code="unknown")
            elif item is not None:
                checked[name] = self.check(known[name], item, here)
            elif name in self.removable:
                checked[name] = None
        for name in schema.get("required", ()):
            if name not in checked:
                self._add(_join(path, name), "is required", code="missing")
        return checked

    def _find_hint(self, name: str, known: Json) -> str:
        if name in self.elsewhere:
            return f"use {self.elsewhere[name]}"
        near = difflib.get_close_matches(name[:64], known, n=1)
        return f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"

    def _add(self, path: str, message: str, *, code: str = "invalid") -> None:
        self.errors.append({"field": path or "arguments", "code": code, "message": message})


def _is_of_type(kind: str, value: object) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, list if kind == "array" else dict)


def _find_faults(schema: Json, value: Any) -> Iterator[str]:  # noqa: ANN401 - of the right type
    choices = schema.get("enum")
    if choices and value not in choices:
        yield f"must be one of {', '.join(choices)}"
    if schema["type"] == "string":
        if "\0" in value:
            yield "must not contain the character NUL"
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield "must be a string without unpaired surrogates"
    elif schema["type"] == "integer" and abs(value) > _MAX_INTEGER:
        yield "must be an integer of 64 bits"
    elif schema["type"] == "integer":
        if value < schema.get("minimum", value):
            yield f"must be at least {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"must be at most {schema['maximum']}"


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step
