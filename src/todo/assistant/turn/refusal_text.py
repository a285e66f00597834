"""Texts for messages that the rules understand, but that neither change nor find tasks."""

from collections.abc import Callable, Mapping
from typing import Any

from todo.assistant.rules.decision import Omitted
from todo.assistant.rules.several_lines import MAX_LINES
from todo.mcp.quoting import quote

_LENGTH = 255
"""Maximum length of a title or a name, in characters."""
_MAX_LISTS = 30


def find_refusal(kind: str, fields: Mapping[str, Any]) -> str | None:
    """Return the text for a help decision of this kind; None if another text answers it."""
    say = _TEXTS.get(kind)
    return None if say is None else say(fields)


def say_omitted(omitted: Omitted) -> str:
    """Return which open tasks were searched if some were left out, otherwise ""."""
    own = f"your {omitted.own:,} newest open tasks" if omitted.own else ""
    names = ", ".join(quote(name, _LENGTH) for name in omitted.lists[:_MAX_LISTS])
    theirs = f"the {omitted.of_list} newest open tasks of {names}" if names else ""
    searched = " and ".join(part for part in (own, theirs) if part)
    return f"Only {searched} were searched." if searched else ""


def _add_omitted(fields: Mapping[str, Any]) -> str:
    said = say_omitted(fields.get("omitted", Omitted()))
    return f" {said}" if said else ""


def _say_unknown_list(fields: Mapping[str, Any]) -> str:
    return (
        f"There is no list {quote(fields['list'], _LENGTH)} to which you can add tasks here, so"
        " nothing was added. Name another list or none, or write the title in quotation marks."
    )


def _say_unknown_task(fields: Mapping[str, Any]) -> str:
    names = " or ".join(quote(name, _LENGTH) for name in fields["names"])
    return (
        f"No {fields['kind']}task fits {names}, so nothing was changed. Write only words that are"
        f" in the title of the task.{_add_omitted(fields)}"
    )


def _say_unknown_group(fields: Mapping[str, Any]) -> str:
    return (
        f"It is not clear which tasks {quote(fields['name'], _LENGTH)} are, or there are none, so"
        ' nothing was changed. Name the tasks or a group: "all tasks", "all overdue tasks", "all'
        ' tasks due today" or "tomorrow", "all tasks on my home list", "all tasks about milk".'
        f"{_add_omitted(fields)}"
    )


def _say_other_state(fields: Mapping[str, Any]) -> str:
    title = quote(fields["title"], _LENGTH)
    said = f"The task {title} is {fields['is']} already, so nothing was changed."
    return said if fields["is"] == "open" else f"{said} To change it, reopen it first."


def _say_only_tasks(fields: Mapping[str, Any]) -> str:
    title = quote(fields["message"], _LENGTH)
    return (
        "The assistant does not change lists, shares, tokens or accounts, so nothing was done: use"
        f" the API for that. If it is something to do, write add {title} with the quotation marks."
    )


def _say_known_task(fields: Mapping[str, Any]) -> str:
    title = quote(fields["title"], _LENGTH)
    return (
        f"There is a task {title} already, so nothing was changed. To move it, write move {title}"
        f" to {fields['due']}; to add another one, write add {title} {fields['due']}."
    )


def _say_known_title(fields: Mapping[str, Any]) -> str:
    title = quote(fields["title"], _LENGTH)
    return (
        f"There is a task {title} already, so nothing was changed. If it is done, write complete"
        f" {title}; if it is not needed, write delete {title}; to add another one, write add"
        f" {quote(fields['message'], _LENGTH)}."
    )


def _say_used_up(fields: Mapping[str, Any]) -> str:
    return (
        "That can mean that the task is done, or that there is none left, so nothing was changed."
        f" If it is done, write complete {quote(fields['title'], _LENGTH)}."
    )


def _say_lists(fields: Mapping[str, Any]) -> str:
    names = [quote(name, _LENGTH) for name in fields["names"]]
    shown = names[:_MAX_LISTS]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"Your lists: {', '.join(shown)}{more}." if names else "No lists were found."


_TEXTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "unknown-list": _say_unknown_list,
    "unknown-task": _say_unknown_task,
    "unknown-group": _say_unknown_group,
    "other-state": _say_other_state,
    "only-tasks": _say_only_tasks,
    "used-up": _say_used_up,
    "lists": _say_lists,
    "known-task": _say_known_task,
    "known-title": _say_known_title,
    "no-title": lambda _fields: (
        "The message does not say what the task is, so nothing was added. Write, for example, add"
        " buy milk tomorrow."
    ),
    "statement": lambda _fields: (
        "That can be something that happens, so nothing was added or changed. If it is something to"
        " do, write add in front of it."
    ),
    "too-many-lines": lambda fields: (
        f"The message has {fields['lines']} tasks, and one message can add {MAX_LINES}, so nothing"
        " was added. Send them in several messages."
    ),
    "none-chosen": lambda _fields: "Nothing was changed.",
}
