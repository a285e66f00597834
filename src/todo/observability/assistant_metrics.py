"""Metrics of the assistant: turns, tool calls, and requests to the model server."""

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
# The tools of todo.mcp.tools, which is not imported at startup.
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
            registry, "todo_assistant_turns", "Assistant turns by outcome.", outcome=TURN_OUTCOMES
        )
        self._degraded = make_counter(
            registry,
            "todo_assistant_degraded",
            "Answers given without a model although they needed one.",
            reason=DEGRADED_REASONS,
        )
        self._turns_open = Gauge(
            "todo_assistant_turns_open", "Running assistant turns.", registry=registry
        )
        self._turn_durations = self._histogram(
            "todo_assistant_turn_duration_seconds",
            "Time from the message to the end of its answer.",
        )
        self._calls = make_counter(
            registry,
            "todo_assistant_tool_calls",
            "Tool calls of the assistant.",
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
            "Pending requests to the model server.",
            registry=registry,
        )
        self._requests_queued = Gauge(
            "todo_assistant_model_requests_queued",
            "Requests queued because of TODO_AI_PARALLEL_REQUESTS.",
            registry=registry,
        )
        self._first_tokens = self._histogram(
            "todo_assistant_model_first_token_seconds",
            "Time until the model server sent the first token.",
        )
        self._durations = self._histogram(
            "todo_assistant_model_duration_seconds",
            "Time until the model server's response was complete or failed.",
        )
        self._tokens = make_counter(
            registry,
            "todo_assistant_tokens",
            "Prompt and output tokens of the model.",
            kind=("prompt", "output"),
        )

    def _histogram(self, name: str, help_text: str) -> Histogram:
        return Histogram(name, help_text, buckets=_BUCKETS_S, registry=self._registry)

    def running_turn(self) -> AbstractContextManager[None]:
        """Count a turn as running while the block runs."""
        return self._turns_open.track_inprogress()

    def asking(self) -> AbstractContextManager[None]:
        """Count a request to the model server as open while the block runs."""
        return self._requests_open.track_inprogress()

    def queueing(self) -> AbstractContextManager[None]:
        """Count a request as queued for the model server while the block runs."""
        return self._requests_queued.track_inprogress()

    def observe_turn(self, outcome: str, duration_s: float) -> None:
        """Record a completed turn: its outcome, one of `TURN_OUTCOMES`, and its duration."""
        self._turns.labels(outcome).inc()
        self._turn_durations.observe(duration_s)

    def count_degraded(self, reason: str) -> None:
        """Count an answer given without the model, by its reason, one of `DEGRADED_REASONS`."""
        self._degraded.labels(reason).inc()

    def count_call(self, tool: str, outcome: str) -> None:
        """Count a call of one of `TOOLS` by its outcome; `planned` waits for a confirmation."""
        self._calls.labels(tool, outcome).inc()

    def count_request(self, outcome: str) -> None:
        """Count a request to the model server by its outcome, one of `REQUEST_OUTCOMES`."""
        self._requests.labels(outcome).inc()

    def observe_request(self, duration_s: float, first_token_s: float | None) -> None:
        """Record the duration of a model request, and the time until its first token, if any."""
        self._durations.observe(duration_s)
        if first_token_s is not None:
            self._first_tokens.observe(first_token_s)

    def count_tokens(self, prompt: int, output: int) -> None:
        """Count the tokens of an answer."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("output").inc(output)

    def collect(self) -> Iterable[Metric]:
        """Yield the assistant's metrics."""
        return self._registry.collect()
