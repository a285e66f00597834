"""Validation error messages in JSON terms, for API clients.

pydantic's own messages use Python terms and never reach a client; its error type is the `code`.
Error types that are not listed here get a general message.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from todo.core.errors import ValidationFailedError

_DATE = "must be a valid date, such as 2026-11-25"
_INSTANT = "must be a valid time with its UTC offset, such as 2026-11-25T18:30:00+01:00"
_OBJECT = "must be an object"
_INTEGER = "must be an integer"
_BOOLEAN = "must be true or false"
_UUID = "must be a UUID"
_GENERAL = "is not valid"
# The characters of the header X-Agent; no other field has a pattern.
_PATTERN = "must be 1 to 64 of the characters A-Z a-z 0-9 . _ : / @ + -"

_WORDINGS = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "must be a string without unpaired surrogates",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "list_type": "must be an array",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "uuid_version": _UUID,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "timezone_aware": _INSTANT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "literal_error": "must be {expected}",
    "union_tag_not_found": "{discriminator} is required",
    "union_tag_invalid": "{discriminator} must be {expected_tags}",
    "string_pattern_mismatch": _PATTERN,
}
_NOT_EMPTY = "must not be empty"
_UNKNOWN = {
    "body": "is not a known field",
    "query": "is not a known parameter",
}
_WHOLE_BODY = {
    "missing": "is required: send a JSON object",
    # Without this header the framework passes the body as bytes.
    "model_attributes_type": "must be a JSON object, sent with Content-Type: application/json",
}
_SHOWN_LENGTH = 64
_QUOTED = re.compile(r"'([^']*)'")


def word_errors(found: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the `errors` of a problem document from pydantic's errors.

    The first step of each `loc` is `body`, `query`, `path` or `header`.
    """
    errors: dict[tuple[str, str], dict[str, str]] = {}
    for item in found:
        place, *path = item["loc"]
        field = ".".join(_find_path(path) if place == "body" else _find_parameter(path))
        message = _word(item, str(place), is_whole=not path)
        known = errors.get((place, field))
        if known is None:
            wording = {"in": place, "field": field, "code": item["type"], "message": message}
            errors[place, field] = wording
        else:
            # Each member of a union reports its own error.
            known["message"] += f" or {message.removeprefix('must be ')}"
    return list(errors.values())


def word_error(item: Mapping[str, Any]) -> str:
    """Return the message of one pydantic error, without its location."""
    return _word(item, "", is_whole=False)


def _word(item: Mapping[str, Any], place: str, *, is_whole: bool) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if is_whole and kind in _WHOLE_BODY:
        return _WHOLE_BODY[kind]
    if kind == "extra_forbidden":
        return _UNKNOWN.get(place, _GENERAL)
    if kind == "value_error":
        # The validators of this program raise such errors, with messages for clients.
        return str(context["error"])
    if kind in {"too_short", "string_too_short"} and context["min_length"] == 1:
        return _NOT_EMPTY
    words = {name: _show(name, value) for name, value in context.items()}
    return _WORDINGS.get(kind, _GENERAL).format_map(words)


def _show(name: str, value: Any) -> Any:  # noqa: ANN401 - a number or text
    match name:
        case "expected" | "expected_tags":
            # pydantic lists the choices in Python's notation: 'read' or 'write'.
            choices = [f'"{choice}"' for choice in _QUOTED.findall(value)]
            return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
        case "discriminator":
            return value.strip("'")
        case _:
            return int(value) if isinstance(value, float) and value.is_integer() else value


def _find_path(path: Sequence[str | int]) -> Iterator[str]:
    """Yield the steps of the path as the client sent them.

    In this API, an object in an array is always a union member; pydantic adds the member's name
    after the index.
    """
    for before, step in pairwise((None, *path)):
        if not (isinstance(before, int) and isinstance(step, str)):
            yield shorten(str(step))


def _find_parameter(path: Sequence[str | int]) -> Iterator[str]:
    """Yield a parameter's name and the index of its value, without the union member."""
    for position, step in enumerate(path):
        if position == 0 or isinstance(step, int):
            yield shorten(str(step))


def shorten(step: str) -> str:
    """Return a name for an error message, shortened if it is too long."""
    return step if len(step) <= _SHOWN_LENGTH else f"{step[:_SHOWN_LENGTH]}…"


def field_error(
    field: str, message: str, *, place: str = "body", code: str = "invalid"
) -> ValidationFailedError:
    """Return a validation error for one field; the message is its predicate ("is required")."""
    error = {"in": place, "field": field, "code": code, "message": message}
    return ValidationFailedError(errors=[error])
