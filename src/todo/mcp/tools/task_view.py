"""Tasks in tool results: JSON without empty fields, and one line of text."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from todo.core.domain import Task
from todo.db.tables import TAG_LENGTH, TITLE_LENGTH
from todo.mcp.quoting import cut, quote
from todo.mcp.tool import Json
from todo.mcp.tools.account_time import AccountTime
from todo.mcp.tools.schema import integer, text
from todo.quickadd.vocabulary import WEEKDAY_NAMES
from todo.quickadd.words import describe_rule
from todo.schedule.due import check_zone
from todo.schedule.rule import read_rule
from todo.tasks.document import read_due
from todo.tasks.visible_lists import VisibleLists

KEYS = (
    *("id", "title", "description", "due_date", "due_at", "due_zone", "overdue", "repeats"),
    *("recurrence", "recurrence_from", "reminders", "priority", "tags", "list", "list_id"),
    *("parent_id", "completed_at", "owner", "created_at", "updated_at", "version"),
)
"""Keys of a task in a result, in order."""
DETAILS = frozenset({"owner", "created_at", "updated_at", "recurrence", "list_id"})
"""Fields that are shown only on request."""
DESCRIPTION_LENGTH = 200
"""Maximum length of a description; only `fetch` returns the whole text."""
TASK: Json = {
    "type": "object",
    "description": "A task, without what is empty. Due on a day: due_date; at a time: due_at.",
    "properties": {
        "id": text("Its id."),
        "title": text("Text of a user."),
        "due_date": text("Day, without a time."),
        "due_at": text("Time with its UTC offset in due_zone."),
        "due_zone": text("IANA zone of due_at."),
        "repeats": text("Its recurrence in words."),
        "list": text("Name of its list."),
        "version": integer("Grows with each change."),
    },
}

TIMES = ("due_at", "completed_at", "created_at", "updated_at")
"""Fields with a timestamp."""

_DEFAULTS: Json = {"priority": "none", "recurrence_from": "schedule"}


def view_task(
    task: Task,
    clock: AccountTime,
    lists: VisibleLists,
    wanted: Collection[str] | None = None,
) -> Json:
    """Return a task as JSON, with `id` and the wanted keys, by default all except details.

    Times without their own zone are in the zone of the account.
    """
    shown: Json = {}
    values: Mapping[str, object] = {**task, **_derive(task, clock, lists)}
    for key in KEYS:
        if key != "id" and key not in wanted if wanted else key in DETAILS:
            continue
        value = values.get(key)
        if value not in (None, "", [], False, _DEFAULTS.get(key)):
            shown[key] = value
    return shown


def _derive(task: Task, clock: AccountTime, lists: VisibleLists) -> Json:
    day, at = read_due(task)
    now = clock.now
    derived: Json = {
        "created_at": clock.show(task["created_at"]),
        "updated_at": clock.show(task["updated_at"]),
    }
    if task["due_at"] is not None:
        zone = check_zone(task["due_zone"]) if task["due_zone"] else None
        derived["due_at"] = clock.show(task["due_at"], zone)
    if task["completed_at"] is not None:
        derived["completed_at"] = clock.show(task["completed_at"])
    is_past = (day is not None and day < clock.today) or (at is not None and at < now)
    derived["overdue"] = is_past and not task["is_completed"]
    if task["recurrence"] is not None:
        rule = read_rule(task["recurrence"])
        derived["repeats"] = describe_rule(rule, task["recurrence_from"])
    if task["list_id"] is not None:
        derived["list"] = lists.find_name(task["list_id"]) or task["list_id"]
    if task["description"]:
        derived["description"] = cut(task["description"], DESCRIPTION_LENGTH)
    return derived


def render_due(task: Json, zone: str) -> str:
    """Return the due date of a shown task as text, with its zone if that differs from `zone`."""
    if "due_date" in task:
        day = date.fromisoformat(task["due_date"])
        return _render_day(day)
    if "due_at" in task:
        at = datetime.fromisoformat(task["due_at"])
        of_zone = task.get("due_zone", zone)
        other = "" if of_zone == zone else f" ({of_zone})"
        return f"{_render_day(at.date())} {at:%H:%M}{other}"
    return ""


def _render_day(day: date) -> str:
    return f"{WEEKDAY_NAMES[day.weekday()][:3]} {day.isoformat()}"


def render_task(task: Json, zone: str) -> str:
    """Return a shown task as one line of text."""
    parts = [quote(task["title"], TITLE_LENGTH)] if "title" in task else []
    if due := render_due(task, zone):
        parts.append(f"due {due}" + (" OVERDUE" if task.get("overdue") else ""))
    if "repeats" in task:
        parts.append(f"repeats {task['repeats']}")
    if "priority" in task:
        parts.append(f"{task['priority']} priority")
    if "list" in task:
        parts.append(f"list {quote(task['list'], TITLE_LENGTH)}")
    if "tags" in task:
        parts.append(f"tags {' '.join(quote(tag, TAG_LENGTH) for tag in task['tags'])}")
    if "reminders" in task:
        parts.append(f"reminders {', '.join(map(str, task['reminders']))} min before")
    if "description" in task:
        parts.append(f"description {quote(task['description'], 2 * DESCRIPTION_LENGTH)}")
    if "completed_at" in task:
        parts.append(f"completed {task['completed_at']}")
    if "parent_id" in task:
        parts.append(f"below {task['parent_id']}")
    version = f" v{task['version']}" if "version" in task else ""
    return "- " + ", ".join([*parts, "id " + task["id"] + version])


def render_tasks(tasks: Sequence[Json], zone: str) -> list[str]:
    """Return shown tasks as lines of text."""
    return [render_task(task, zone) for task in tasks]
