"""Aliases of parameters and fields that existing front ends use.

An alias with a single meaning is translated. An unknown name that could change the result is
rejected: ignoring a filter would list other tasks, and ignoring a field would lose its value. All
other names are ignored.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from todo.core.errors import MalformedRequestError, OtherUserError

_PARAMETERS = {
    **dict.fromkeys(("sort_by", "sortBy"), "sort"),
    **dict.fromkeys(("sort_order", "sortOrder", "sort_dir", "sortDir", "direction"), "order"),
    **dict.fromkeys(("tags", "tag"), "tag"),
    **dict.fromkeys(("offset", "skip"), "offset"),
    **dict.fromkeys(("page_size", "pageSize", "per_page", "perPage"), "limit"),
    **dict.fromkeys(("search", "q"), "search"),
    **dict.fromkeys(("is_completed", "isCompleted"), "completed"),
    **dict.fromkeys(("status_filter", "statusFilter"), "status"),
    **dict.fromkeys(("dueStatus", "due"), "due_status"),
}
# Parameters that only make the URL unique for caches.
_CACHE_BUSTERS = {"_", "_t", "t", "ts", "timestamp", "cache", "nocache", "v"}
_USERS = {"user_id", "userId", "url_user_id"}

_FIELDS = {
    **dict.fromkeys(("dueDate", "due_at", "dueAt", "due"), "due_date"),
    **dict.fromkeys(("isCompleted", "is_complete", "isComplete", "complete"), "is_completed"),
    **dict.fromkeys(("isRecurring", "recurring"), "is_recurring"),
    **dict.fromkeys(
        (
            *("recurrence", "recurrencePattern", "recurrence_rule", "recurrenceRule", "rrule"),
            *("recurrence_type", "recurrenceType", "recurring_type", "recurringType"),
        ),
        "recurrence_pattern",
    ),
    **dict.fromkeys(("tag_names", "tagNames"), "tags"),
}
_SAYS_SOMETHING = re.compile(
    "(is)?_?(recur|repeat|rrule|freq|remind|due|deadline|tag|complet|done|finish|status|state|priorit"
    "|parent|sub_?task|list_?id)",
    re.IGNORECASE,
)
# Fields that repeat the URL.
_IDS = {"id", "task_id", "taskId"}
# Timestamps that this service sets itself.
_COMPUTED = {"completed_at", "completedAt"}

_CONTRADICTION = "conflict with each other; send one value"
_OTHER_LIST = "and the list would not be what was asked for"
_OTHER_CHANGE = "and the change would not be what was asked for"
_ONE_TAG = "only one tag is supported: several may mean all of them or any of them"


class UnsupportedNameError(MalformedRequestError):
    """Unsupported parameters or fields that would change the result."""

    code = "unsupported-name"


def read_parameters(
    items: Iterable[tuple[str, str]], known: Iterable[str], user: str, *, is_write: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters' values and their names as sent, both by canonical name.

    A parameter may repeat the caller's ID `user`. `is_write` means a request that changes tasks.

    Raises:
        UnsupportedNameError: A parameter is unknown or has several values.
        OtherUserError: A parameter names another user.
    """
    given: dict[str, str] = {}
    sent: dict[str, str] = {}
    known = set(known)
    for name, value in items:
        meant = _PARAMETERS.get(name, name)
        word = value.strip()
        if not word or name in _CACHE_BUSTERS:
            continue
        if name in _USERS:
            if word != user:
                raise OtherUserError
        elif meant in known:
            if given.setdefault(meant, value) != value:
                names = list(dict.fromkeys((sent[meant], name)))
                raise _refuse("query", names, _ONE_TAG if meant == "tag" else _CONTRADICTION)
            sent.setdefault(meant, name)
        elif is_write or word.casefold() != "all":
            sent[name] = name
    if unknown := [name for name in sent if name not in given]:
        use = f"use {', '.join(sorted(known))}" if known else "leave it out"
        result = _OTHER_CHANGE if is_write else _OTHER_LIST
        raise _refuse("query", unknown, f"not supported, {result}; {use}")
    return given, sent


def read_tag(given: str, name: str) -> str | None:
    """Return the requested tag, or None if the value contains only commas.

    Raises:
        UnsupportedNameError: The value has several tags, which could mean all or any of them.
    """
    tags = [given] if name == "tag" else [tag for tag in given.split(",") if tag.strip()]
    if len(tags) > 1:
        raise _refuse("query", [name], _ONE_TAG)
    return tags[0] if tags else None


def read_fields(
    sent: Mapping[str, Any], known: Iterable[str], *, is_switch: bool = False
) -> dict[str, Any]:
    """Return the known fields of a body by canonical name.

    With `is_switch` the body only sets a state, so that any unknown field may contain the state.

    Raises:
        UnsupportedNameError: The value of an unknown field would be lost, or aliases conflict.
    """
    known = list(known)
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    unknown: list[str] = []
    for name, value in sent.items():
        meant = _FIELDS.get(name, name)
        if meant in known:
            if _is_empty(value):
                fields.setdefault(meant, value)
            elif names.setdefault(meant, name) == name:
                fields[meant] = value
            elif value != fields[meant]:
                raise _refuse("body", [names[meant], name], _CONTRADICTION)
        elif (is_switch and not _is_empty(value)) or _says_something(name, value):
            unknown.append(name)
    if is_switch:
        harmless = _USERS | _IDS | _COMPUTED if names else _USERS
        unknown = [name for name in unknown if name not in harmless]
    if unknown:
        lost = f"use {', '.join(known)}" if is_switch else "its value would be lost; leave it out"
        raise _refuse("body", unknown, f"not supported; {lost}")
    return fields


def _is_empty(value: object) -> bool:
    """Return whether a form field is empty; `false` and 0 are values."""
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _says_something(name: str, value: object) -> bool:
    return bool(value) and name not in _COMPUTED and bool(_SAYS_SOMETHING.match(name))


def refuse_state(names: list[str]) -> UnsupportedNameError:
    """Return the error for parameters that do not name a task state."""
    return _refuse("query", names, "not a state; send completed=true or completed=false")


def refuse_contradiction(place: str, names: list[str]) -> UnsupportedNameError:
    """Return the error for conflicting parameters (`query`) or fields (`body`)."""
    return _refuse(place, names, _CONTRADICTION)


def _refuse(place: str, names: list[str], why: str) -> UnsupportedNameError:
    shown = [name[:64] for name in names[:20]]
    errors = [{"in": place, "field": name, "code": "unsupported", "message": why} for name in shown]
    return UnsupportedNameError(f"{', '.join(shown)}: {why}", errors=errors)
