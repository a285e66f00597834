from typing import get_args

from todo.assistant.model.client import ModelFailure
from todo.mcp import tools
from todo.observability.assistant_metrics import (
    CALL_OUTCOMES,
    DEGRADED_REASONS,
    REQUEST_OUTCOMES,
    TOOLS,
    AssistantMetrics,
)


def samples(metrics: AssistantMetrics, name: str) -> dict[tuple[str, ...], float]:
    """Values of the labels -> value of every sample of a name."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_every_tool_is_there_from_the_start() -> None:
    found = samples(AssistantMetrics(), "todo_assistant_tool_calls_total")

    assert set(TOOLS) == {tool.name for tool in tools.TOOLS}
    assert found == {(tool, outcome): 0 for tool in TOOLS for outcome in CALL_OUTCOMES}


def test_every_reason_of_a_failure_is_there_from_the_start() -> None:
    metrics = AssistantMetrics()
    reasons = set(get_args(ModelFailure))

    assert reasons <= set(DEGRADED_REASONS)
    assert reasons - {"not-configured"} <= set(REQUEST_OUTCOMES)
    assert samples(metrics, "todo_assistant_degraded_total") == {
        (reason,): 0 for reason in DEGRADED_REASONS
    }


def test_what_is_open_is_counted_while_it_lasts() -> None:
    metrics = AssistantMetrics()
    names = ("todo_assistant_turns_open", "todo_assistant_model_requests_open")

    with metrics.running_turn(), metrics.asking():
        assert [samples(metrics, name)[()] for name in names] == [1, 1]
    assert [samples(metrics, name)[()] for name in names] == [0, 0]


def test_a_request_without_a_token_has_only_a_duration() -> None:
    metrics = AssistantMetrics()
    metrics.observe_request(3.0, None)
    metrics.observe_request(4.0, 1.5)

    assert samples(metrics, "todo_assistant_model_duration_seconds_sum") == {(): 7.0}
    assert samples(metrics, "todo_assistant_model_first_token_seconds_count") == {(): 1}


def test_turns_tokens_and_calls_are_counted_by_their_label() -> None:
    metrics = AssistantMetrics()
    metrics.observe_turn("degraded", 0.2)
    metrics.count_degraded("timeout")
    metrics.count_tokens(30, 7)
    metrics.count_call("add_tasks", "done")

    assert samples(metrics, "todo_assistant_turns_total")["degraded",] == 1
    assert samples(metrics, "todo_assistant_turn_duration_seconds_sum") == {(): 0.2}
    assert samples(metrics, "todo_assistant_degraded_total")["timeout",] == 1
    assert samples(metrics, "todo_assistant_tokens_total") == {("prompt",): 30, ("output",): 7}
    assert samples(metrics, "todo_assistant_tool_calls_total")["add_tasks", "done"] == 1
