"""Metrics of the assistant: turns, tool calls, and the requests to its model server."""

from collections.abc import Iterable
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from todo.observability.counters import make_counter

TURN_OUTCOMES = ("rules", "model", "degraded", "refused", "canceled")
MODEL_FAILURES = (
    *("unreachable", "refused", "rate-limited", "server-error", "timeout", "invalid"),
    *("interrupted", "breaker-open"),
)
REQUEST_OUTCOMES = ("answered", *MODEL_FAILURES, "canceled")
DEGRADED_REASONS = ("not-configured", *MODEL_FAILURES, "over-budget", "deadline")
CALL_OUTCOMES = ("done", "planned", "failed")
# Those of todo.mcp.tools, which nothing imports at the start.
TOOLS = (
    *("overview", "find_tasks", "add_tasks", "update_tasks", "complete_tasks", "reschedule_tasks"),
    *("delete_tasks", "lists_and_tags", "undo", "changes_since", "search", "fetch"),
)

_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120)


class AssistantMetrics(Collector):
    """Metrics of the assistant."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._turns = make_counter(
            registry, "todo_assistant_turns", "Turns of the assistant.", outcome=TURN_OUTCOMES
        )
        self._degraded = make_counter(
            registry,
            "todo_assistant_degraded",
            "Answers without the model that they needed.",
            reason=DEGRADED_REASONS,
        )
        self._turns_open = Gauge("todo_assistant_turns_open", "Turns that run.", registry=registry)
        self._turn_durations = self._histogram(
            "todo_assistant_turn_duration_seconds",
            "Time from the message to the end of its answer.",
        )
        self._calls = make_counter(
            registry,
            "todo_assistant_tool_calls",
            "Calls of tools.",
            tool=TOOLS,
            outcome=CALL_OUTCOMES,
        )
        self._requests = make_counter(
            registry,
            "todo_assistant_model_requests",
            "Requests to the model server.",
            outcome=REQUEST_OUTCOMES,
        )
        self._requests_open = Gauge(
            "todo_assistant_model_requests_open",
            "Requests to the model server that are not answered yet.",
            registry=registry,
        )
        self._requests_queued = Gauge(
            "todo_assistant_model_requests_queued",
            "Requests that wait because of TODO_AI_PARALLEL_REQUESTS.",
            registry=registry,
        )
        self._first_tokens = self._histogram(
            "todo_assistant_model_first_token_seconds",
            "Time until the model server sent the first token.",
        )
        self._durations = self._histogram(
            "todo_assistant_model_duration_seconds",
            "Time until the model server's answer was complete, or failed.",
        )
        self._tokens = make_counter(
            registry,
            "todo_assistant_tokens",
            "Tokens that the model read and wrote.",
            kind=("prompt", "output"),
        )

    def _histogram(self, name: str, help_text: str) -> Histogram:
        return Histogram(name, help_text, buckets=_BUCKETS_S, registry=self._registry)

    def running_turn(self) -> AbstractContextManager[None]:
        """Count a turn as open for the length of a block."""
        return self._turns_open.track_inprogress()

    def asking(self) -> AbstractContextManager[None]:
        """Count a request to the model server as open for the length of a block."""
        return self._requests_open.track_inprogress()

    def queueing(self) -> AbstractContextManager[None]:
        """Count a request as waiting for its turn at the model server during a block."""
        return self._requests_queued.track_inprogress()

    def observe_turn(self, outcome: str, duration_s: float) -> None:
        """Count a turn that ended.

        Args:
            outcome: One of `TURN_OUTCOMES`.
            duration_s: Seconds it took.
        """
        self._turns.labels(outcome).inc()
        self._turn_durations.observe(duration_s)

    def count_degraded(self, reason: str) -> None:
        """Count an answer that no model gave although one was needed.

        Args:
            reason: One of `DEGRADED_REASONS`.
        """
        self._degraded.labels(reason).inc()

    def count_call(self, tool: str, outcome: str) -> None:
        """Count a call of a tool.

        Args:
            tool: One of `TOOLS`; a model may invent others.
            outcome: One of `CALL_OUTCOMES`; `planned` is a change that waits for the user.
        """
        self._calls.labels(tool, outcome).inc()

    def count_request(self, outcome: str) -> None:
        """Count a request to the model server.

        Args:
            outcome: One of `REQUEST_OUTCOMES`.
        """
        self._requests.labels(outcome).inc()

    def observe_request(self, duration_s: float, first_token_s: float | None) -> None:
        """Count how long the model server took.

        Args:
            duration_s: Seconds to the end of the answer, or to the failure.
            first_token_s: Seconds to the first token, if there was one.
        """
        self._durations.observe(duration_s)
        if first_token_s is not None:
            self._first_tokens.observe(first_token_s)

    def count_tokens(self, prompt: int, output: int) -> None:
        """Count the tokens of an answer."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("output").inc(output)

    def collect(self) -> Iterable[Metric]:
        """Yield what this class counts."""
        return self._registry.collect()
