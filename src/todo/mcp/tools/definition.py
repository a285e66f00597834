"""Definition of a tool: its schemas, and the checks that precede each of its calls."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from todo.mcp.tool import Json, Tool, ToolCall, ToolHandler, ToolResult
from todo.mcp.tools.schema import check_arguments, record, text

Effect = Literal["reads", "adds", "changes", "removes"]

# What every result with dates has.
CLOCK: Json = {
    "zone": text("Time zone of all days and times here."),
    "today": text("Today in that zone."),
    "weekday": text("Weekday of today."),
}


def define_tool(  # noqa: PLR0913 - what a tool consists of, each by its name
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
    """Return a tool whose arguments are checked before it runs.

    Args:
        name: Name by which it is called.
        title: Name for people.
        description: Description for models.
        run: Executes a call with valid arguments.
        scope: Scope that a token needs to see and call it.
        effect: Effect on the user's data.
        idempotent: Whether a repeated call has no further effect.
        arguments: Properties of its arguments.
        required: Required arguments.
        removable: Arguments in which null removes something.
        elsewhere: Names that a model may try, and the correct alternative for each.
        result: Properties of its result.
        always: Properties that every result has.
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
