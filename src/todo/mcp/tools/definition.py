"""Definition of a tool: its schemas, and the checks that precede each of its calls."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from todo.mcp.tool import Json, Tool, ToolCall, ToolResult
from todo.mcp.tools.schema import check_arguments, record

Run = Callable[[ToolCall, Json], Awaitable[ToolResult]]
Effect = Literal["reads", "adds", "changes", "removes"]

# What every result with dates has.
CLOCK: Json = {
    "zone": {"type": "string", "description": "Time zone of all days and times here."},
    "today": {"type": "string", "description": "Today in that zone."},
    "weekday": {"type": "string", "description": "Weekday of today."},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A tool whose calls are checked for scope and arguments before it runs.

    Attributes:
        name: As in `Tool`.
        title: As in `Tool`.
        description: As in `Tool`.
        run: Does it; its arguments fit the schema.
        scope: As in `Tool`.
        effect: What it does to the user's data.
        idempotent: Whether a repeated call has no further effect.
        arguments: The properties of its arguments.
        required: Those that it needs.
        removable: Those in which null removes something.
        elsewhere: Names that a model may try, and what does that.
        result: The properties of its result.
        always: Those that every result has.
    """

    name: str
    title: str
    description: str
    run: Run
    scope: str
    effect: Effect
    idempotent: bool = False
    arguments: Json
    required: Sequence[str] = ()
    removable: Collection[str] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    result: Json
    always: Sequence[str]

    def build(self) -> Tool:
        """Return the tool."""
        schema = record(self.arguments, self.required)

        async def run_checked(call: ToolCall, given: Json) -> ToolResult:
            call.caller.require(self.scope)
            return await self.run(
                call, check_arguments(schema, given, self.removable, self.elsewhere)
            )

        return Tool(
            self.name,
            self.title,
            self.description,
            schema,
            {"type": "object", "properties": self.result, "required": list(self.always)},
            self.scope,
            run_checked,
            read_only=self.effect == "reads",
            destructive=self.effect in {"changes", "removes"},
            idempotent=self.idempotent or self.effect == "reads",
        )
