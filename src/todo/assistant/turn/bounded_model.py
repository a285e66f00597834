"""Model client within one turn's limits: its deadline, and the user's budgets."""

import asyncio
import time
from dataclasses import replace

from todo.assistant.model.client import (
    Mode,
    ModelAnswer,
    ModelClient,
    ModelError,
    ModelRequest,
    OnText,
    TokenCount,
)
from todo.assistant.turn.budget import TurnBudget
from todo.assistant.turn.control_tokens import neutralize

_GRACE_S = 1.0
"""Extra time, in seconds, in which the client's own timeout can expire and count as a failure."""


class OverBudgetError(Exception):
    """The user's token or cost budget is exhausted; no request was sent."""


class BoundedModel:
    """Model client of one turn, limited by a budget and by the monotonic deadline `ends_at`."""

    def __init__(self, model: ModelClient, budget: TurnBudget, ends_at: float) -> None:
        self._model = model
        self._budget = budget
        self._ends_at = ends_at
        self.prompt_tokens = 0
        self.output_tokens = 0

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._ends_at

    async def get_mode(self) -> Mode:
        """Return the request mode; raise ModelError if the server does not answer."""
        left_s = self._left_s()
        try:
            async with asyncio.timeout(left_s + _GRACE_S):
                return await self._model.get_mode(timeout_s=left_s)
        except TimeoutError:
            raise ModelError("timeout") from None

    async def ask(self, request: ModelRequest, on_text: OnText | None = None) -> ModelAnswer:
        """Send a request to the model.

        Raises:
            OverBudgetError: The user's token or cost budget is exhausted.
            ModelError: The model returned no usable answer in time.
        """
        if not self._budget.has_model():
            raise OverBudgetError
        left_s = self._left_s()
        used = TokenCount()
        # Done here because every text for the model passes through this method.
        request = replace(request, messages=list(map(neutralize, request.messages)))
        try:
            async with asyncio.timeout(left_s + _GRACE_S):
                return await self._model.ask(request, on_text, timeout_s=left_s, used=used)
        except TimeoutError:
            raise ModelError("timeout") from None
        finally:
            # The server charges for failed and canceled requests, too.
            self.prompt_tokens += used.prompt
            self.output_tokens += used.output
            self._budget.charge_model(used.prompt, used.output)

    def _left_s(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())
