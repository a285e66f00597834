"""Texts of plans: what waits for the person, and what was done after a "yes"."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from todo.assistant.turn.answer_text import hint_undo, quote_list
from todo.assistant.turn.change_text import show_due, show_rule
from todo.core.caller import Caller
from todo.core.domain import TaskRule
from todo.mcp.quoting import quote
from todo.mcp.tool import Json
from todo.tasks.document import select_fields

_MAX_SHOWN = 20
_TITLE_LENGTH = 255
_SHORTER_TITLES = (60, 30, 15)
_PLAN_LENGTH = 9_500
"""Of the text of a plan: what a conversation stores of an answer is limited."""
_TAG_LENGTH = 50
_LOST_LENGTH = 60
"""Of the description of a task that would be deleted."""
# Of a planned change, by how a text names them; the title of a new task is its name.
_PLANNED_FIELDS = {
    **{name: (name,) for name in ("title", "description", "priority", "tags", "reminders")},
    "due": ("due_date", "due_at"),
    "repeats": ("recurrence",),
}
# A person recognizes a task by them where another one has the same title.
_NAMING_FIELDS = {
    "delete": ("due", "repeats", "priority", "tags", "description"),
    "complete": ("due",),
    "reopen": ("due",),
}
_EMPTY: Json = {
    **dict.fromkeys(field for fields in _PLANNED_FIELDS.values() for field in fields),
    "priority": "none",
    "tags": [],
    "reminders": [],
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
_ARROW = " \u2192 "


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of what a plan mentions.

    Attributes:
        lists: Names of the lists, and their owners if those are others, by id.
        old_titles: Titles that tasks had before the message, by id: the person knows these.
        above: Titles of the tasks with which subtasks are deleted, by id of the subtask.
        subtasks: How many subtasks are deleted with a task, by its id.
    """

    lists: Mapping[str, tuple[str, str | None]]
    old_titles: Mapping[str, str]
    above: Mapping[str, str]
    subtasks: Mapping[str, str]


def say_plan(
    plan: Json,
    reasons: Sequence[str],
    list_names: Mapping[str, str],
    shared_lists: Container[str] = (),
    old_titles: Mapping[str, str] | None = None,
    owners: Mapping[str, str] | None = None,
) -> str:
    """Return what waits for the person, and how to decide.

    What happens to tasks that are there comes before additions, deletions first, and each of these
    is shown: a long plan must not hide one. A task comes before the subtasks that go with it.

    Args:
        plan: The plan.
        reasons: Why it waits.
        list_names: Names of the lists by id.
        shared_lists: Ids of the lists that others see.
        old_titles: Titles that tasks had before the message, by id: the person knows these.
        owners: Owners of the lists of others, by id.
    """
    places = {key: (name, (owners or {}).get(key)) for key, name in list_names.items()}
    names = _find_names(plan, places, old_titles or {})

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


def _find_names(
    plan: Json, places: Mapping[str, tuple[str, str | None]], old_titles: Mapping[str, str]
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
    return _Names(places, old_titles, above, counts)


def _find_root(task_id: str, parents: Mapping[str, str | None]) -> str:
    """Return the topmost task that is deleted together with a task."""
    found = task_id
    while (parent := parents.get(found)) in parents and parent is not None:
        found = parent
    return found


def _rank(operation: str) -> int:
    """Return the place of an operation in a plan: first what loses most."""
    return {"delete": 0, "create": 2}.get(operation, 1)


def _count_planned(summary: Sequence[Json]) -> str:
    """Return how many changes of each operation a plan has, in the order of the plan's text."""
    counts: Counter[str] = Counter()
    for each in summary:
        counts[each["operation"]] += each["count"]
    ordered = sorted(counts.items(), key=lambda item: _rank(item[0]))
    return ", ".join(
        f"{count} {_NOUNS.get(operation, 'change')}{'s' * (count != 1)}"
        for operation, count in ordered
    )


def _describe(change: Json, names: _Names, length: int) -> str:
    """Return one change of a plan, with everything that a person has to know to confirm it."""
    task_id = str(change.get("id"))
    before, after = change["before"] or {}, change["after"] or {}
    verb = _VERBS.get(change["operation"], change["operation"])
    title = before.get("title") or change["title"] or ""
    titles = dict.fromkeys((names.old_titles.get(task_id, title), title))
    name = _ARROW.join(quote(each, length or _SHORTER_TITLES[-1]) for each in titles)
    shown = []
    if count := names.subtasks.get(task_id):
        shown.append(f"with its {count} subtask{'s' * (count != '1')}")
    # There can be so many changes that only their titles have room.
    if length:
        if task_id in names.above:
            shown.append(f"below {quote(names.above[task_id], length)}")
        shown += _describe_fields(change["operation"], before, after, change["title"], length)
        list_id = after.get("list_id") or change["list_id"]
        if list_id is not None:
            name_and_owner = names.lists.get(list_id, ("unknown", None))
            shown.append(f"list {quote_list(*name_and_owner, length)}")
    return f"{verb} {name} ({', '.join(shown)})" if shown else f"{verb} {name}"


def _describe_fields(
    operation: str, before: Json, after: Json, title: str, length: int
) -> list[str]:
    """Return the fields that a change sets, or those by which a person recognizes the task."""
    if operation in {"create", "update"} and after:
        old = before or {**_EMPTY, "title": title}
        return [
            f"{label} {_show_value(after, fields[0], length)}"
            for label, fields in _PLANNED_FIELDS.items()
            if any(after[field] != old[field] for field in fields)
        ]
    return [
        f"{label} {_show_value(before, _PLANNED_FIELDS[label][0], min(length, _LOST_LENGTH))}"
        for label in _NAMING_FIELDS.get(operation, ())
        if before
        and any(
            (before[field] or None) != (_EMPTY[field] or None) for field in _PLANNED_FIELDS[label]
        )
    ]


def _show_value(after: Json, field: str, length: int) -> str:
    value = after[field]
    if field in {"recurrence", "due_date"}:
        rule: TaskRule = select_fields(after, TaskRule.__annotations__)
        return show_rule(rule) if field == "recurrence" else show_due(rule)
    if isinstance(value, list):
        return " ".join(quote(str(each), min(length, _TAG_LENGTH)) for each in value) or "none"
    return "none" if value is None else quote(str(value), length)


def say_applied(summary: Sequence[Json], caller: Caller) -> str:
    """Return what a plan did.

    Args:
        summary: Of the plan; it counts the subtasks that go with a task as well.
        caller: Who may take it back.
    """
    count = sum(each["count"] for each in summary)
    has_new = any(each["operation"] == "create" for each in summary)
    done = f"Done: {count} change{'s' * (count != 1)}."
    return " ".join([done, *hint_undo(caller, has_new=has_new)])


def add_old_titles(plan: Json, old_titles: Mapping[str, str]) -> None:
    """Add to changes of a plan the titles before the message, where those are others.

    A model can rename a task and then propose to delete it.

    Args:
        plan: The plan as JSON.
        old_titles: As `say_plan`.
    """
    for change in plan["changes"]:
        title = old_titles.get(change["id"], change["title"])
        if title != change["title"]:
            change["old_title"] = title
