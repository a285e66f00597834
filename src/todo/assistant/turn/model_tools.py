"""Tools that a model may call, in Chat Completions format, and their results as text.

A model sees no runs, plans or idempotency keys. So it can neither confirm a plan, nor undo, nor
write in a run of another conversation; arguments with such names are rejected as unknown.
"""

from collections.abc import Sequence
from typing import Any

from todo.assistant.rules.decision import TaskName
from todo.core.caller import Caller
from todo.mcp.quoting import cut, render_json
from todo.mcp.tool import Json, Tool, ToolError, ToolResult
from todo.mcp.tools import TOOLS
from todo.mcp.tools.schema import check_arguments

_ALLOWED = (
    *("overview", "find_tasks", "add_tasks", "update_tasks", "complete_tasks"),
    *("reschedule_tasks", "delete_tasks", "lists_and_tags", "fetch"),
)
_HIDDEN_ARGUMENTS = frozenset(
    {"run_id", "idempotency_key", "plan_id", "lists", "create_missing_lists", "version"}
)
_HIDDEN_RESULTS = frozenset({"run_id", "plan_id", "replayed", "version", "owner", "url"})
_DESCRIPTIONS = {
    "delete_tasks": "Ask the user to confirm a deletion. It deletes nothing by itself."
}
_MAX_RESULT = 8_000
_MAX_NUMBER = 6


class ModelTools:
    """Tools that the token may call in one turn; the model refers to `tasks` by number."""

    def __init__(self, caller: Caller, tasks: Sequence[TaskName]) -> None:
        self._tools: dict[str, Tool] = {
            tool.name: tool
            for tool in TOOLS
            if tool.name in _ALLOWED and tool.scope in caller.scopes
        }
        self._schemas = {name: _reduce(tool.input_schema) for name, tool in self._tools.items()}
        self._tasks = tasks
        self._versions = {task.id: task.version for task in tasks}
        self._needs_versions = caller.require_match

    @property
    def offered(self) -> list[Json]:
        """Tools in Chat Completions format."""
        return [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": _DESCRIPTIONS.get(name, tool.description),
                    "parameters": self._schemas[name],
                },
            }
            for name, tool in self._tools.items()
        ]

    def read_arguments(self, name: str, given: Any) -> Json:  # noqa: ANN401 - JSON of a model
        """Return the validated arguments of a call, with task numbers replaced with IDs.

        Raises:
            ToolError: The tool is not offered to the model, or the arguments are invalid.
        """
        if name not in self._tools:
            names = ", ".join(self._tools)
            raise ToolError("There is no such tool.", f"use one of {names}.", code="unknown-tool")
        if not isinstance(given, dict):
            raise ToolError("The arguments are not a JSON object.", "repeat the call with one.")
        named = {key: self._resolve(key, value) for key, value in given.items()}
        arguments = check_arguments(self._schemas[name], named)
        if self._needs_versions and name != "add_tasks":
            self._add_versions(arguments)
        return arguments

    def render_result(self, result: ToolResult) -> str:
        """Return a result for the model: one line of limited length, with every text quoted."""
        if not result.is_error:
            for task in result.structured.get("tasks", ()):
                self._versions[task["id"]] = task["version"]
        return cut(render_json(_hide(result.structured)), _MAX_RESULT)

    def _resolve(self, key: str, value: Any) -> Any:  # noqa: ANN401 - JSON of a model
        """Replace task numbers with IDs."""
        if key == "tasks" and isinstance(value, list):
            return [
                {name: self._find_id(name, part) for name, part in each.items()}
                if isinstance(each, dict)
                else each
                for each in value
            ]
        return self._find_id(key, value)

    def _find_id(self, key: str, value: Any) -> Any:  # noqa: ANN401 - JSON of a model
        if key not in {"id", "parent_id"}:
            return value
        if not isinstance(value, str | int):
            return value
        text = str(value).strip()
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER
        if is_number and 1 <= int(text) <= len(self._tasks):
            return self._tasks[int(text) - 1].id
        return value

    def _add_versions(self, arguments: Json) -> None:
        for task in arguments.get("tasks", ()):
            version = self._versions.get(task["id"])
            if version is not None:
                task["version"] = version


def _reduce(schema: Json) -> Json:
    """Return a schema without the arguments that are hidden from the model."""
    properties = schema.get("properties")
    if properties is not None:
        kept = {
            name: _reduce(each)
            for name, each in properties.items()
            if name not in _HIDDEN_ARGUMENTS
        }
        return {**schema, "properties": kept}
    return {**schema, "items": _reduce(schema["items"])} if "items" in schema else schema


def _hide(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _hide(each) for name, each in value.items() if name not in _HIDDEN_RESULTS}
    return [_hide(each) for each in value] if isinstance(value, list) else value
