"""Definition of a tool with its schemas and the validation of its arguments."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from todo.mcp.tool import Json, Tool, ToolCall, ToolHandler, ToolResult
from todo.mcp.tools.schema import check_arguments, record, text

Effect = Literal["reads", "adds", "changes", "removes"]

# Properties that every result with dates contains.
CLOCK: Json = {
    "zone": text("Time zone of all days and times here."),
    "today": text("Today in that zone."),
    "weekday": text("Weekday of today."),
}


def define_tool(  # noqa: PLR0913 - all are keyword-only
    *,
    name: str,
    title: str,
    description: str,
    run: ToolHandler,
    scope: str,
    effect: Effect,
    idempotent: bool = False,
    arguments: Json,
    required: Sequence[str] = (),
    removable: Collection[str] = (),
    elsewhere: Mapping[str, str] | None = None,
    result: Json,
    always: Sequence[str],
) -> Tool:
    """Return a tool that validates its arguments before it runs.

    `arguments` and `result` are the properties of the schemas; `required` and `always` name the
    mandatory ones. In `removable` arguments, null removes a value. `elsewhere` maps unknown
    arguments that a model may try to the correct alternatives.
    """
    schema = record(arguments, required)

    async def run_checked(call: ToolCall, given: Json) -> ToolResult:
        return await run(call, check_arguments(schema, given, removable, elsewhere))

    return Tool(
        name=name,
        title=title,
        description=description,
        input_schema=schema,
        output_schema={"type": "object", "properties": result, "required": list(always)},
        scope=scope,
        handler=run_checked,
        read_only=effect == "reads",
        destructive=effect in {"changes", "removes"},
        idempotent=idempotent or effect == "reads",
    )
