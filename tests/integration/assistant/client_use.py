"""The client of model servers in this process, with limits that no slow machine meets."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from todo.assistant.model.client import ModelAnswer, ModelError, ModelRequest, OnText
from todo.assistant.model.http_client import HttpModelClient
from todo.config.settings import Settings
from todo.observability.assistant_metrics import AssistantMetrics

HANGS_S = 0.2
"""The limit where the server hangs."""
REQUEST = ModelRequest(messages=[{"role": "user", "content": "hello"}])


def make_settings(url: str, **options: Any) -> Settings:  # noqa: ANN401 - any option
    limits = {"ai_connect_timeout_s": 60, "ai_first_token_timeout_s": 600, "ai_run_timeout_s": 600}
    return Settings(ai_url=url, **{**limits, **options})


def run(
    settings: Settings,
    use: Callable[[HttpModelClient], Coroutine[Any, Any, Any]],
    metrics: AssistantMetrics | None = None,
) -> Any:  # noqa: ANN401 - what the use returns
    """Use a client, and close it."""

    async def scenario() -> Any:  # noqa: ANN401
        client = HttpModelClient(settings, metrics or AssistantMetrics())
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(scenario())


def ask(settings: Settings, request: ModelRequest = REQUEST, on_text: OnText | None = None) -> Any:  # noqa: ANN401
    """Return the answer, or the error."""

    async def use(client: HttpModelClient) -> ModelAnswer | ModelError:
        try:
            return await client.ask(request, on_text)
        except ModelError as error:
            return error

    return run(settings, use)


async def fail(
    client: HttpModelClient, count: int, *, timeout_s: float | None = None
) -> list[ModelError]:
    """Send requests one after the other, which fail; return their errors."""
    errors = []
    for _ in range(count):
        with pytest.raises(ModelError) as caught:
            await client.ask(REQUEST, timeout_s=timeout_s)
        errors.append(caught.value)
    return errors


def sample(metrics: AssistantMetrics, name: str, **labels: str) -> float:
    """Return the value of a metric."""
    (value,) = (
        each.value
        for family in metrics.collect()
        for each in family.samples
        if each.name == name and each.labels == labels
    )
    return value
