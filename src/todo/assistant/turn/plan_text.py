"""Texts of plans: the proposed changes, and the result after a "yes"."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from todo.assistant.turn.answer_text import hint_undo, quote_list
from todo.assistant.turn.change_text import ARROW, FieldTexts
from todo.core.caller import Caller
from todo.mcp.quoting import quote
from todo.mcp.tool import Json

_MAX_SHOWN = 20
_TITLE_LENGTH = 255
_SHORTER_TITLES = (60, 30, 15)
_PLAN_LENGTH = 9_500
"""Maximum length of the text of a plan, because stored answers are limited."""
_LOST_LENGTH = 60
"""Maximum length of the description of a task that would be deleted."""
# Fields that distinguish a task from others with the same title.
_NAMING_FIELDS = {
    "delete": ("due", "repeats", "priority", "tags", "description", "list"),
    "complete": ("due", "list"),
    "reopen": ("due", "list"),
}
_VERBS = {
    "create": "add",
    "update": "change",
    "complete": "complete",
    "reopen": "reopen",
    "delete": "delete",
}
_NOUNS = {
    "create": "addition",
    "update": "change",
    "complete": "completion",
    "reopen": "reopening",
    "delete": "deletion",
}


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of the items in a plan.

    Attributes:
        lists: Name of each list by ID, with the owner if that is another user.
        titles: Titles of tasks by ID.
        old_titles: Titles before the message, by ID, which the user knows.
        above: Title of the deleted task above a deleted subtask, by ID of the subtask.
        subtasks: Number of subtasks deleted with a task, such as "3 or more", by ID of the task.
    """

    lists: Mapping[str, tuple[str, str | None]]
    titles: Mapping[str, str]
    old_titles: Mapping[str, str]
    above: Mapping[str, str]
    subtasks: Mapping[str, str]

    def show_list(self, list_id: str, length: int) -> str:
        return quote_list(*self.lists.get(list_id, ("unknown", None)), length)


def say_plan(
    plan: Json,
    reasons: Sequence[str],
    list_names: Mapping[str, str],
    shared_lists: Container[str] = (),
    old_titles: Mapping[str, str] | None = None,
    owners: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """Return the text of a plan, with the reasons for it and how to decide.

    Deletions come first and additions last. Changes of existing tasks are all shown, because a
    long plan must not hide one. A task precedes its subtasks.

    All mappings are keyed by ID. `old_titles` are those before the message, which the user knows;
    `titles` are for parent tasks.
    """
    places = {key: (name, (owners or {}).get(key)) for key, name in list_names.items()}
    known = {**(titles or {}), **_find_titles(plan)}
    names = _find_names(plan, places, known, old_titles or {})

    def rank(change: Json) -> tuple[int, bool, bool]:
        is_below = change.get("id") in names.above
        return _rank(change["operation"]), is_below, change["list_id"] not in shared_lists

    changes = sorted(plan["changes"], key=rank)
    count = max(_MAX_SHOWN, sum(change["operation"] != "create" for change in changes))
    for length in (_TITLE_LENGTH, *_SHORTER_TITLES, 0):
        shown = [f"- {_describe(each, names, length)}" for each in changes[:count]]
        if sum(map(len, shown)) + count <= _PLAN_LENGTH:
            break
    more = len(changes[count:]) + plan["changes_omitted"]
    because, counts = " and ".join(reasons), _count_planned(plan["summary"])
    heading = f"This waits for your confirmation, because {because}: {counts}."
    lines = [
        f"{heading} Nothing has been done yet:",
        *shown,
        *([f"- … and {more} more"] if more else ()),
        'Write "yes" to do it, or "no" to discard it.',
    ]
    return "\n".join(lines)


def _find_titles(plan: Json) -> dict[str, str]:
    return {each["id"]: each["title"] or "" for each in plan["changes"] if each.get("id")}


def _find_names(
    plan: Json,
    places: Mapping[str, tuple[str, str | None]],
    titles: Mapping[str, str],
    old_titles: Mapping[str, str],
) -> _Names:
    deleted = {
        change["id"]: change
        for change in plan["changes"]
        if change["operation"] == "delete" and change.get("id") is not None
    }
    parents = {each: (change["before"] or {}).get("parent_id") for each, change in deleted.items()}
    roots = {task_id: _find_root(task_id, parents) for task_id in deleted}
    below = {task_id: root for task_id, root in roots.items() if root != task_id}
    counts = {root: str(count) for root, count in Counter(below.values()).items()}
    if plan["changes_omitted"] and counts:
        total = sum(each["count"] for each in plan["summary"] if each["operation"] == "delete")
        is_only = len(below) + 1 == len(deleted)
        counts = {
            root: str(total - 1) if is_only else f"{count} or more"
            for root, count in counts.items()
        }
    above = {task_id: deleted[root]["title"] or "" for task_id, root in below.items()}
    return _Names(places, titles, old_titles, above, counts)


def _find_root(task_id: str, parents: Mapping[str, str | None]) -> str:
    """Return the topmost task that is deleted together with a task."""
    found = task_id
    while (parent := parents.get(found)) in parents and parent is not None:
        found = parent
    return found


def _rank(operation: str) -> int:
    """Return the sort key of an operation in a plan: the most destructive first."""
    return {"delete": 0, "create": 2}.get(operation, 1)


def _count_planned(summary: Sequence[Json]) -> str:
    """Return the number of changes by operation, in the order of the plan's text."""
    counts: Counter[str] = Counter()
    for each in summary:
        counts[each["operation"]] += each["count"]
    ordered = sorted(counts.items(), key=lambda item: _rank(item[0]))
    return ", ".join(
        f"{count} {_NOUNS.get(operation, 'change')}{'s' * (count != 1)}"
        for operation, count in ordered
    )


def _describe(change: Json, names: _Names, length: int) -> str:
    """Return the line for a change, with everything that a user needs to know to confirm it."""
    task_id = str(change.get("id"))
    before, after = change["before"] or {}, change["after"] or {}
    verb = _VERBS.get(change["operation"], change["operation"])
    title = before.get("title") or change["title"] or ""
    titles = dict.fromkeys((names.old_titles.get(task_id, title), title))
    is_update = change["operation"] == "update" and before and after
    if is_update:
        titles[after["title"]] = None
    name = ARROW.join(quote(each, length or _SHORTER_TITLES[-1]) for each in titles)
    shown = []
    if count := names.subtasks.get(task_id):
        shown.append(f"with its {count} subtask{'s' * (count != '1')}")
    # With many changes, only their titles fit.
    if length:
        if task_id in names.above:
            shown.append(f"below {quote(names.above[task_id], length)}")
        shown += _describe_fields(change, names, length)
        if is_update and before["list_id"] is not None:
            # The changed fields follow in parentheses.
            name = f"{name} in list {names.show_list(before['list_id'], length)}"
    return f"{verb} {name} ({', '.join(shown)})" if shown else f"{verb} {name}"


def _describe_fields(change: Json, names: _Names, length: int) -> list[str]:
    """Return the fields that a change sets, or those that identify the task."""
    operation, before, after = change["operation"], change["before"], change["after"]

    def show_list(list_id: str) -> str:
        return names.show_list(list_id, length)

    texts = FieldTexts(show_list, names.titles, length=length, description_length=length)
    if operation == "create" and after:
        return texts.name(after)
    if operation == "update" and before and after:
        return texts.compare(before, after)
    labels = _NAMING_FIELDS.get(operation, ("list",))
    if before:
        lost = replace(texts, description_length=min(length, _LOST_LENGTH))
        return lost.name(before, labels)
    # The plan was too large to contain the documents.
    return texts.name({"list_id": change["list_id"], "parent_id": None}, ("list",))


def say_applied(summary: Sequence[Json], caller: Caller) -> str:
    """Return the text for an applied plan, given the counts of its changes."""
    count = sum(each["count"] for each in summary)
    has_new = any(each["operation"] == "create" for each in summary)
    done = f"Done: {count} change{'s' * (count != 1)}."
    return " ".join([done, *hint_undo(caller, has_new=has_new)])


def add_old_titles(plan: Json, old_titles: Mapping[str, str]) -> None:
    """Add `old_title` to changes of a plan whose task had another title before the message.

    A model can rename a task and then propose to delete it.
    """
    for change in plan["changes"]:
        title = old_titles.get(change["id"], change["title"])
        if title != change["title"]:
            change["old_title"] = title
