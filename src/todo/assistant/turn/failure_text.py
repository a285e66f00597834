"""Texts for errors of the services: cause and remedy for a user, with the title of the task.

The services' own texts are for programs: they name headers, fields, versions and times in UTC.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from todo.core.errors import ProblemError
from todo.mcp.quoting import escape, quote
from todo.mcp.tool import Json

Titles = Mapping[str, str]
"""Titles of tasks by ID."""

PLAN_APPLIED = 'The plan was applied already. To take it back, write "undo".'
PLAN_TOO_LONG = "That changes too much for one plan, so nothing of it was done. Name fewer tasks."
_AGAIN = "Send the request again."
_NOT_DONE = "Nothing was changed."
_CHANGED = "was changed meanwhile"
_CAUSES = {
    "ambiguous-text": "Part of the text has more than one meaning, so nothing was done.",
    "batch-failed": _NOT_DONE,
    "idempotency-key-reused": f"{_NOT_DONE} {_AGAIN}",
    "items-failed": _NOT_DONE,
    "plan-applied": PLAN_APPLIED,
    "plan-expired": f"The plan has expired. {_NOT_DONE} {_AGAIN}",
    "plan-outdated": f"Tasks have changed since the plan was made. {_NOT_DONE} {_AGAIN}",
    "plan-too-large": PLAN_TOO_LONG,
    "precondition-required": "This token is only for programs. Use another one.",
    "too-many-plans": f"Too many plans are waiting. {_NOT_DONE} Apply or discard one first.",
    "validation-failed": _NOT_DONE,
    "version-mismatch": f"It was changed meanwhile. {_NOT_DONE} {_AGAIN}",
}
_PLAN_GONE = f"The plan was discarded or is not there any more. {_NOT_DONE} {_AGAIN}"
# Errors about a whole task. Errors about one field already have texts for users.
_OF_TASK = {
    "also-changed": "would be changed as well now",
    "in-use": "has tasks in it that were put there meanwhile",
    "list-gone": "was in a list that is not there any more",
    "not-changed": "would not be changed any more",
    "not-found": "is not there any more, or you may not see it",
    "other-result": "would become something else now",
    "parent-gone": "was below a task that is not there any more",
    "read-only": "is in a list that you may only read",
    "version-mismatch": _CHANGED,
}
_FIELD = re.compile(r"(?:tasks|operations)\.(?P<at>\d+)(?:\.task)?(?:\.(?P<name>\w+))?")
_THING = re.compile(r"(?P<kind>\w+)/(?P<id>.+)")
_QUICK_ADD = re.compile(r"gives the field `(\w+)`, which (.*)")
_LABELS = {"list_id": "list", "parent_id": "task above", "due_date": "due", "due_at": "due"}
_WHOLE = ("", "text", "id", "version", "if_match")
_TITLE_LENGTH = 255
_MAX_LINES = 20


def say_refused(error: ProblemError, titles: Titles) -> str:
    """Return why a plan was not created, applied or deleted."""
    if error.code == "not-found":
        return _PLAN_GONE
    return _say(error.code, error.detail, error.errors or (), (), titles)


def say_failed(structured: Json, arguments: Sequence[Json], titles: Titles) -> str:
    """Return why a tool call failed, given its result and its task arguments."""
    error = structured["error"]
    return _say(error["code"], error["message"], error.get("errors", ()), arguments, titles)


def _say(
    code: str,
    detail: str,
    errors: Sequence[Mapping[str, Any]],
    arguments: Sequence[Json],
    titles: Titles,
) -> str:
    lines = [_CAUSES.get(code) or _clean(code, detail)]
    found = dict.fromkeys(_describe(each, arguments, titles) for each in errors)
    lines += [*found][:_MAX_LINES]
    more = len(found) - _MAX_LINES
    return "\n".join([*lines, f"- … and {more} more"] if more > 0 else lines)


def _clean(code: str, detail: str) -> str:
    """Return a text of the services without the parts that only programs can use."""
    text = escape(detail).replace("`", "")
    if code == "insufficient-scope":
        return f"{text} Nothing was done. Use a token that has it."
    # The second part names a header, which the assistant's answer does not have.
    return f"{text.partition(';')[0]}." if code == "rate-limited" and ";" in text else text


def _describe(error: Mapping[str, Any], arguments: Sequence[Json], titles: Titles) -> str:
    """Return one line that names the task, its field and the problem."""
    field, message = str(error.get("field", "")), str(error["message"])
    name, subject = "", None
    if thing := _THING.fullmatch(field):
        subject = _quote(titles.get(thing["id"])) or f"A {thing['kind']}"
    elif found := _FIELD.fullmatch(field):
        name, subject = found["name"] or "", _name_task(arguments, int(found["at"]), titles)
    if quick_add := _QUICK_ADD.fullmatch(message):
        name, message = quick_add.groups()
    label = "" if name in _WHOLE else _LABELS.get(name, name)
    text = _shorten(message)
    if subject is not None and not label:
        text = _OF_TASK.get(str(error.get("code")), text)
    start = ": ".join([each for each in (subject, label) if each])
    line = f"- {start} {text}" if start else f"- {text}"
    choices = " or ".join(quote(str(one), _TITLE_LENGTH) for one in error.get("choices", ()))
    return f"{line}. Choices: {choices}" if choices else line


def _shorten(message: str) -> str:
    if message.startswith("now has version "):
        return _CHANGED
    return escape(message).replace("`", "").partition(": see entry")[0]


def _name_task(arguments: Sequence[Json], at: int, titles: Titles) -> str | None:
    given = arguments[at] if at < len(arguments) else {}
    return _quote(titles.get(str(given.get("id"))) or given.get("title"))


def _quote(title: str | None) -> str | None:
    return quote(title, _TITLE_LENGTH) if title else None
