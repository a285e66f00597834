"""Runner of one turn's tool calls, which are guarded, counted and recorded for the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from todo.app_state import AppState
from todo.assistant.turn.answer import Events, ToolUse
from todo.assistant.turn.budget import TurnBudget
from todo.assistant.turn.change_text import Updates
from todo.assistant.turn.guard import (
    DELETES,
    ConfirmationNeededError,
    ForbiddenChangeError,
    Guard,
)
from todo.core.caller import Caller
from todo.core.errors import ForbiddenError, ProblemError, UnavailableError
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult, render_failure
from todo.mcp.tools import TOOLS
from todo.mcp.tools.failure_texts import FAILURE_TEXTS
from todo.tasks.batch import Operation

DELETE = "delete_tasks"
_PLANNED = "needs-confirmation"
_TOOLS = {tool.name: tool for tool in TOOLS}
_NO_CALLS_LEFT = ToolError(
    "The budget of tool calls is used up; this was not done.",
    "stop, and answer with what is done.",
    code="over-budget",
)
_ONLY_TASKS = ToolError(
    "The assistant changes tasks only; nothing was done.",
    "ask the user to do that in the app.",
    code="not-allowed",
)

_NO_ID = ToolError("Something is not the id of a task.", "find the ids with find_tasks.")


@dataclass(slots=True)
class ToolRunner:
    """Runner of one turn's tool calls.

    Attributes:
        caller: User of the turn, with the agent, the model and the run ID.
        now: Arrival time of the message.
        key: Prefix of the idempotency keys, unique for the turn.
        guard: Guard that decides which writes need a confirmation.
        events: Sink for completed calls.
        uses: Completed calls.
        proposed: Operations of each rejected write, pending a confirmation.
        reasons: Reasons for the confirmation, as an ordered set.
        list_names: Names of the lists that the token can see, by ID.
    """

    state: AppState
    caller: Caller
    now: datetime
    key: str
    guard: Guard
    budget: TurnBudget
    events: Events
    uses: list[ToolUse] = field(default_factory=list)
    proposed: list[Sequence[Operation]] = field(default_factory=list)
    reasons: dict[str, None] = field(default_factory=dict)
    changed: bool = False
    run_id: str = ""
    list_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run_id = self.caller.run_id or ""

    @property
    def was_asked_to_change(self) -> bool:
        """Whether a tool with write access was called, even without success."""
        called = (_TOOLS.get(use.tool_name) for use in self.uses)
        return any(tool is not None and not tool.read_only for tool in called)

    @property
    def updates(self) -> Updates:
        """Updates of tasks so far."""
        return Updates(self.guard.updates, self.list_names)

    async def call(self, name: str, arguments: Json, *, is_guarded: bool = True) -> ToolResult:
        """Run a tool and record the call; a write that needs a confirmation becomes a proposal.

        Only an explicit command that no model interprets is run without the guard. It does not
        count against the budget.

        Raises:
            UnavailableError: The database is not available, and nothing was changed yet.
        """
        result = await self._call(name, arguments, is_guarded=is_guarded)
        await self.note(name, arguments, result.structured)
        structured = result.structured
        if not result.is_error and "run_id" in structured and "unchanged" not in structured:
            self.changed = True
            self.run_id = structured["run_id"]
        return result

    async def propose_deletion(self, tasks: Sequence[Json]) -> ToolResult:
        """Propose the deletion of tasks, given by `id` and, if known, `version`."""
        arguments: Json = {"tasks": list(tasks)}
        if not self.budget.take_call():
            result = render_failure(_NO_CALLS_LEFT)
        elif _TOOLS[DELETE].scope not in self.caller.scopes:
            result = render_failure(ForbiddenError(_TOOLS[DELETE].scope), FAILURE_TEXTS)
        else:
            result = self._propose_deletion(tasks)
        await self.note(DELETE, arguments, result.structured)
        return result

    async def note(self, name: str, arguments: Json, result: Json) -> None:
        """Record a completed call."""
        if name in _TOOLS:
            self.state.metrics.assistant.count_call(name, _name_outcome(result))
        use = ToolUse(name, arguments, result)
        self.uses.append(use)
        await self.events.tool(use)

    async def _call(self, name: str, arguments: Json, *, is_guarded: bool) -> ToolResult:
        if is_guarded and not self.budget.take_call():
            return render_failure(_NO_CALLS_LEFT)
        call = ToolCall(
            self.state,
            self.caller,
            self.now,
            idempotency_key=f"{self.key}/{len(self.uses)}",
            check=self.guard.check if is_guarded else None,
        )
        try:
            return await _TOOLS[name].run(call, dict(arguments))
        except ConfirmationNeededError as needed:
            return self._propose(needed)
        except ForbiddenChangeError:
            return render_failure(_ONLY_TASKS)
        except UnavailableError as error:
            if not self.changed:
                raise
            return render_failure(error, FAILURE_TEXTS)
        except (ProblemError, ToolError) as error:
            return render_failure(error, FAILURE_TEXTS)

    def _propose_deletion(self, tasks: Sequence[Json]) -> ToolResult:
        try:
            ids = [str(UUID(task["id"])) for task in tasks]
        except ValueError:
            return render_failure(_NO_ID)
        if not ids:
            return render_failure(_NO_ID)
        operations: list[Operation] = [
            {"op": "delete", "id": task_id, "if_match": task.get("version")}
            for task_id, task in zip(ids, tasks, strict=True)
        ]
        return self._propose(ConfirmationNeededError([DELETES], operations))

    def _propose(self, needed: ConfirmationNeededError) -> ToolResult:
        self.proposed.append(needed.operations)
        self.reasons |= dict.fromkeys(needed.reasons)
        text = f"Not done: the user has to confirm it, because {' and '.join(needed.reasons)}."
        return ToolResult({"status": _PLANNED, "reasons": list(needed.reasons)}, text)


def _name_outcome(result: Json) -> str:
    if "error" in result:
        return "failed"
    return "planned" if result.get("status") == _PLANNED else "done"
