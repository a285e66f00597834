"""lists_and_tags: returns the names of lists and tags, in pages."""

from uuid import UUID

from todo.api.pagination import decode_cursor, encode_cursor
from todo.core.caller import Caller
from todo.core.domain import VisibleTaskList
from todo.db.documents import parse_visible_list
from todo.db.session import Session
from todo.db.tables import TAG_LENGTH
from todo.lists.repository import ListRepository
from todo.mcp.quoting import quote
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.definition import define_tool
from todo.mcp.tools.list_counts import LIST, count_lists, render_list
from todo.mcp.tools.schema import array, text
from todo.tags.repository import find_names
from todo.tasks.visible_lists import VisibleList

_MAX_LISTS = 50
_MAX_TAGS = 200
# Cursor after all lists: the greatest UUID.
_END = str(UUID(int=2**128 - 1))
_Position = tuple[str, str | None, bool]
_START: _Position = ("", None, False)


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    caller = call.caller
    after_list, after_tag, no_tags = _START
    if "cursor" in arguments:
        after_list, after_tag, no_tags = decode_cursor(arguments["cursor"], _read_position)
    async with call.state.database.reading(caller.user) as session:
        following = await _fetch_lists(session, caller, after_list)
        shown = following[:_MAX_LISTS]
        visible = [
            VisibleList(each["id"], each["name"], each["owner"], each["access"]) for each in shown
        ]
        counted, _ = await count_lists(session, caller, visible)
        lists = [
            entry | {"version": each["version"]} for entry, each in zip(counted, shown, strict=True)
        ]
        tags = [] if no_tags else await _find_tags(session, caller, after_tag)
    structured: Json = {"lists": lists, "tags": tags[:_MAX_TAGS]}
    more_lists, more_tags = len(following) > len(shown), len(tags) > _MAX_TAGS
    if more_lists or more_tags:
        structured["next_cursor"] = encode_cursor(
            shown[-1]["id"] if more_lists else _END,
            tags[_MAX_TAGS - 1] if more_tags else None,
            not more_tags,
        )
    return ToolResult(structured, _render(structured))


async def _fetch_lists(session: Session, caller: Caller, after: str) -> list[VisibleTaskList]:
    """Return the lists after an ID: one page, plus one list if there are more."""
    found = await ListRepository(session, caller).find_page(after or None, _MAX_LISTS + 1)
    return [parse_visible_list(document) for document, _ in found]


async def _find_tags(session: Session, caller: Caller, after: str | None) -> list[str]:
    if caller.list_id is not None:
        # Tags belong to all lists, and a token for one list must not see those of others.
        return []
    return await find_names(session, caller.user, after, _MAX_TAGS + 1)


def _read_position(after_list: str, after_tag: str | None, no_tags: object) -> _Position:
    if not isinstance(after_tag, str | None) or "\0" in (after_tag or ""):
        raise ValueError
    return str(UUID(after_list)), after_tag, no_tags is True


def _render(structured: Json) -> str:
    lists, tags = structured["lists"], structured["tags"]
    lines = ["Lists:" if lists else "No lists.", *map(render_list, lists)]
    lines.append(f"Tags: {', '.join(quote(tag, TAG_LENGTH) for tag in tags) or 'none'}")
    if "next_cursor" in structured:
        lines.append(f"More: repeat the call with cursor {structured['next_cursor']}")
    return "\n".join(lines)


TOOL = define_tool(
    name="lists_and_tags",
    title="Lists and tags",
    description="The user's lists (own and shared) with ids and open tasks, and the tags in use.",
    run=_run,
    scope="read",
    effect="reads",
    arguments={"cursor": text("next_cursor of the page before.")},
    result={
        "lists": array("Oldest first.", LIST),
        "tags": array("By name.", {"type": "string"}),
        "next_cursor": text("For the next page; absent on the last."),
    },
    always=["lists", "tags"],
)
