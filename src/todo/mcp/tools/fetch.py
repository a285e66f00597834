"""search and fetch: the two tools that ChatGPT's connectors require.

Their text is the JSON of the result, and each result has a `url`.
"""

from uuid import UUID

from todo.core.errors import NotFoundError
from todo.db.documents import parse_task
from todo.mcp.quoting import render_json
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult
from todo.mcp.tools.account_time import AccountTime, render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.schema import text
from todo.mcp.tools.task_view import KEYS, render_task, view_task
from todo.tasks.query import Query, read_page
from todo.tasks.quick_add import fetch_context
from todo.tasks.repository import TaskRepository

_MAX_RESULTS = 20
_QUERY_LENGTH = 200
_SHOWN = frozenset(KEYS) - {"description"}
_STRING: Json = {"type": "string"}


async def _search(call: ToolCall, arguments: Json) -> ToolResult:
    query = Query(
        search=arguments["query"][:_QUERY_LENGTH],
        sort="relevance" if arguments["query"].strip() else "created",
        limit=_MAX_RESULTS,
        fields=("id", "title"),
    )
    async with call.state.database.reading(call.caller.user) as session:
        page = await read_page(session, call.caller, query, call.now)
    found = map(parse_task, page.items)
    results = [
        {"id": each["id"], "title": each["title"], "url": _link(each["id"])} for each in found
    ]
    return _render_result({"results": results})


async def _fetch(call: ToolCall, arguments: Json) -> ToolResult:
    caller = call.caller
    async with call.state.database.reading(caller.user) as session:
        stored = await TaskRepository(session, caller).find(_read_id(arguments["id"]))
        if stored is None:
            raise NotFoundError
        context = await fetch_context(session, caller)
    task, clock = parse_task(stored.body), AccountTime(call.now, context.zone)
    shown = view_task(task, clock, context.lists, _SHOWN)
    lines = [render_heading(clock.render()), render_task(shown, clock.name)]
    if task["description"]:
        lines += ["Description:", task["description"]]
    result: Json = {
        "id": task["id"],
        "title": task["title"],
        "text": "\n".join(lines),
        "url": _link(task["id"]),
        "metadata": {**clock.render(), **shown},
    }
    return _render_result(result)


def _read_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError:
        raise ToolError(
            "The arguments are invalid.",
            "find the id with search or find_tasks.",
            errors=[{"field": "id", "code": "invalid", "message": "is not an id"}],
        ) from None


def _link(task_id: str) -> str:
    # An absolute URL that does not depend on the host name of the service.
    return f"urn:uuid:{task_id}"


def _render_result(structured: Json) -> ToolResult:
    return ToolResult(structured, render_json(structured))


SEARCH = define_tool(
    name="search",
    title="Search",
    description="Search tasks; for connectors. find_tasks does more.",
    run=_search,
    scope="read",
    effect="reads",
    arguments={"query": text("Words.")},
    required=["query"],
    result={
        "results": {
            "type": "array",
            "description": "The best matches first.",
            "items": {
                "type": "object",
                "properties": {"id": _STRING, "title": _STRING, "url": _STRING},
            },
        }
    },
    always=["results"],
)
FETCH = define_tool(
    name="fetch",
    title="Fetch",
    description="Return one task with its whole description.",
    run=_fetch,
    scope="read",
    effect="reads",
    arguments={"id": text("Task id.")},
    required=["id"],
    result={
        "id": _STRING,
        "title": _STRING,
        "text": text("The task, with its whole description."),
        "url": _STRING,
        "metadata": {
            "type": "object",
            "properties": CLOCK,
            "description": "The keys of the task that are set.",
        },
    },
    always=["id", "title", "text", "url"],
)
