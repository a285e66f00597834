"""Lists in tool results, with their numbers of open tasks."""

from collections.abc import Sequence

from todo.core.caller import Caller
from todo.db.session import Session
from todo.db.tables import LIST_NAME_LENGTH
from todo.mcp.quoting import quote
from todo.mcp.tool import Json
from todo.mcp.tools.schema import flag, integer, text
from todo.tasks.open_counts import OpenCount, count_open_tasks
from todo.tasks.visible_lists import VisibleList

LIST: Json = {
    "type": "object",
    "description": "A list.",
    "properties": {
        "id": text("Its id."),
        "name": text("Text of a user."),
        "access": text("owner, write or read."),
        "version": integer("Grows with each change."),
        "open": integer("Open tasks; absent where not counted."),
        "open_is_minimum": flag("Whether there may be more."),
    },
}


async def count_lists(
    session: Session, caller: Caller, lists: Sequence[VisibleList]
) -> tuple[list[Json], Json]:
    """Return lists with their numbers of open tasks, and the number of those without a list."""
    counts = await count_open_tasks(session, caller, lists)
    shown = [
        {"id": each.id, "name": each.name, "access": each.access}
        | _render(counts.by_list.get(each.id))
        for each in lists
    ]
    return shown, _render(counts.without_list)


def _render(count: OpenCount | None) -> Json:
    if count is None:
        return {}
    return {"open": count.number, **({"open_is_minimum": True} if count.is_minimum else {})}


def render_list(entry: Json) -> str:
    """Return a list as one line of text."""
    shared = "" if entry["access"] == "owner" else f", shared with you ({entry['access']})"
    return (
        f"- {quote(entry['name'], LIST_NAME_LENGTH)}{render_open(entry)}{shared}, id {entry['id']}"
    )


def render_open(entry: Json) -> str:
    """Return the number of open tasks as text, empty if it is unknown."""
    if "open" not in entry:
        return ""
    prefix = "at least " if "open_is_minimum" in entry else ""
    return f", {prefix}{entry['open']} open"
