"""Metrics of the assistant: turns, tool calls, and the requests to its model server."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from todo.observability.metric_families import Durations, render_counter

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


class AssistantMetrics:
    """What the assistant counts; a scrape reads it."""

    def __init__(self) -> None:
        self._turns = Counter(dict.fromkeys(TURN_OUTCOMES, 0))
        self._degraded = Counter(dict.fromkeys(DEGRADED_REASONS, 0))
        self._requests = Counter(dict.fromkeys(REQUEST_OUTCOMES, 0))
        self._tokens = Counter({"prompt": 0, "output": 0})
        self._calls = Counter(dict.fromkeys(itertools.product(TOOLS, CALL_OUTCOMES), 0))
        self._turns_open = 0
        self._requests_open = 0
        self._requests_queued = 0
        self._turn_durations = Durations(_BUCKETS_S)
        self._first_tokens = Durations(_BUCKETS_S)
        self._durations = Durations(_BUCKETS_S)

    @contextlib.contextmanager
    def running_turn(self) -> Iterator[None]:
        """Count a turn as open for the length of the block."""
        self._turns_open += 1
        try:
            yield
        finally:
            self._turns_open -= 1

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Count a request to the model server as open for the length of the block."""
        self._requests_open += 1
        try:
            yield
        finally:
            self._requests_open -= 1

    @contextlib.contextmanager
    def queueing(self) -> Iterator[None]:
        """Count a request as waiting for its turn at the model server during the block."""
        self._requests_queued += 1
        try:
            yield
        finally:
            self._requests_queued -= 1

    def observe_turn(self, outcome: str, duration_s: float) -> None:
        """Count a turn that ended.

        Args:
            outcome: One of `TURN_OUTCOMES`.
            duration_s: Seconds it took.
        """
        self._turns[outcome] += 1
        self._turn_durations.add(duration_s)

    def count_degraded(self, reason: str) -> None:
        """Count an answer that no model gave although one was needed.

        Args:
            reason: One of `DEGRADED_REASONS`.
        """
        self._degraded[reason] += 1

    def count_call(self, tool: str, outcome: str) -> None:
        """Count a call of a tool.

        Args:
            tool: One of `TOOLS`; a model may invent others.
            outcome: One of `CALL_OUTCOMES`; `planned` is a change that waits for the user.
        """
        self._calls[tool, outcome] += 1

    def count_request(self, outcome: str) -> None:
        """Count a request to the model server.

        Args:
            outcome: One of `REQUEST_OUTCOMES`.
        """
        self._requests[outcome] += 1

    def observe_request(self, duration_s: float, first_token_s: float | None) -> None:
        """Count how long the model server took.

        Args:
            duration_s: Seconds to the end of the answer, or to the failure.
            first_token_s: Seconds to the first token, if there was one.
        """
        self._durations.add(duration_s)
        if first_token_s is not None:
            self._first_tokens.add(first_token_s)

    def count_tokens(self, prompt: int, output: int) -> None:
        """Count the tokens of an answer."""
        self._tokens["prompt"] += prompt
        self._tokens["output"] += output

    def collect(self) -> Iterator[Metric]:
        """Yield what this class counts."""
        yield render_counter(
            "todo_assistant_turns", "Turns of the assistant.", "outcome", self._turns
        )
        yield render_counter(
            "todo_assistant_degraded",
            "Answers without the model that they needed.",
            "reason",
            self._degraded,
        )
        yield GaugeMetricFamily(
            "todo_assistant_turns_open", "Turns that run.", value=self._turns_open
        )
        yield _histogram(
            "todo_assistant_turn_duration_seconds",
            "Time from the message to the end of its answer.",
            self._turn_durations,
        )
        calls = CounterMetricFamily(
            "todo_assistant_tool_calls", "Calls of tools.", labels=["tool", "outcome"]
        )
        for (tool, outcome), count in sorted(self._calls.items()):
            calls.add_metric([tool, outcome], count)
        yield calls
        yield from self._collect_model()

    def _collect_model(self) -> Iterator[Metric]:
        yield render_counter(
            "todo_assistant_model_requests",
            "Requests to the model server.",
            "outcome",
            self._requests,
        )
        yield GaugeMetricFamily(
            "todo_assistant_model_requests_open",
            "Requests to the model server that are not answered yet.",
            value=self._requests_open,
        )
        yield GaugeMetricFamily(
            "todo_assistant_model_requests_queued",
            "Requests that wait because of TODO_AI_PARALLEL_REQUESTS.",
            value=self._requests_queued,
        )
        yield _histogram(
            "todo_assistant_model_first_token_seconds",
            "Time until the model server sent the first token.",
            self._first_tokens,
        )
        yield _histogram(
            "todo_assistant_model_duration_seconds",
            "Time until the model server's answer was complete, or failed.",
            self._durations,
        )
        yield render_counter(
            "todo_assistant_tokens", "Tokens that the model read and wrote.", "kind", self._tokens
        )


def _histogram(name: str, help_text: str, durations: Durations) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, help_text, labels=[])
    durations.render(family, [])
    return family
