"""How many open tasks each list has, as far as a bounded read shows it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from todo.core.caller import Caller
from todo.db.session import Session
from todo.mcp.quoting import quote
from todo.mcp.tool import Json
from todo.mcp.tools.places import Place
from todo.tasks.document import parse_document
from todo.tasks.query import Query, read_page

MAX_COUNTED = 1000
"""Of the caller's tasks, and of each list of another user."""
MAX_SHARED = 10
"""Lists of other users whose tasks are counted; each is a statement."""

LIST: Json = {
    "type": "object",
    "description": "A list.",
    "properties": {
        "id": {"type": "string", "description": "Its id."},
        "name": {"type": "string", "description": "Text of a user."},
        "access": {"type": "string", "description": "owner, write or read."},
        "open": {"type": "integer", "description": "Open tasks; absent where not counted."},
        "open_is_minimum": {"type": "boolean", "description": "Whether there may be more."},
    },
}

_NAME_LENGTH = 100


async def count_lists(
    session: Session, caller: Caller, places: Sequence[Place], now: datetime
) -> tuple[list[Json], Json]:
    """Return the lists with the number of their open tasks, and the tasks that are in no list.

    Args:
        session: Reads.
        caller: Who asks.
        places: Lists that the caller sees.
        now: The present instant.
    """
    counted, more = await _count(session, caller, None, now)
    shown: list[Json] = []
    shared = 0
    for place in places:
        entry = {"id": place.id, "name": place.name, "access": place.access}
        if place.access == "owner":
            shown.append(entry | _render(counted[place.id], is_minimum=more))
        elif shared < MAX_SHARED:
            shared += 1
            number, is_minimum = await _count(session, caller, place, now)
            shown.append(entry | _render(number[place.id], is_minimum=is_minimum))
        else:
            shown.append(entry)
    return shown, _render(counted[None], is_minimum=more)


async def _count(
    session: Session, caller: Caller, place: Place | None, now: datetime
) -> tuple[Counter[str | None], bool]:
    """Count by list, of the caller's tasks or of those of one list; say whether there are more."""
    query = Query(
        status="open",
        list_id=None if place is None else place.id,
        limit=MAX_COUNTED,
        fields=("list_id",),
    )
    page = await read_page(session, caller, query, now)
    counted = Counter(parse_document(item)["list_id"] for item in page.items)
    return counted, page.next_cursor is not None


def _render(number: int, *, is_minimum: bool) -> Json:
    return {"open": number, **({"open_is_minimum": True} if is_minimum else {})}


def render_list(entry: Json) -> str:
    """Return a list as one line of text."""
    shared = "" if entry["access"] == "owner" else f", shared with you ({entry['access']})"
    return f"- {quote(entry['name'], _NAME_LENGTH)}{render_open(entry)}{shared}, id {entry['id']}"


def render_open(entry: Json) -> str:
    """Return the number of open tasks in words."""
    if "open" not in entry:
        return ""
    least = "at least " if "open_is_minimum" in entry else ""
    return f", {least}{entry['open']} open"
