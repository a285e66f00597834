"""A model within the limits of one turn: its deadline, and the budgets of the person."""

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
"""Reserve for the client's own timeout: its breaker does not count a canceled request."""


class OverBudgetError(Exception):
    """The person has no tokens left; the model got no request."""


class BoundedModel:
    """The model of one turn, with its token counts so far."""

    def __init__(self, model: ModelClient, budget: TurnBudget, ends_at: float) -> None:
        """Limit a model.

        Args:
            model: The model.
            budget: Budget of the turn.
            ends_at: Deadline of the last answer, by `time.monotonic`.
        """
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
        """Return how the model takes requests.

        Raises:
            ModelError: It does not answer.
        """
        left_s = self._left_s()
        try:
            async with asyncio.timeout(left_s + _GRACE_S):
                return await self._model.get_mode(timeout_s=left_s)
        except TimeoutError:
            raise ModelError("timeout") from None

    async def ask(self, request: ModelRequest, on_text: OnText | None = None) -> ModelAnswer:
        """Send a request to the model.

        Raises:
            OverBudgetError: The person has no tokens left.
            ModelError: The model gave no usable answer in time.
        """
        if not self._budget.has_model():
            raise OverBudgetError
        left_s = self._left_s()
        used = TokenCount()
        # Here, since every text that a model reads comes through.
        request = replace(request, messages=list(map(neutralize, request.messages)))
        try:
            async with asyncio.timeout(left_s + _GRACE_S):
                return await self._model.ask(request, on_text, timeout_s=left_s, used=used)
        except TimeoutError:
            raise ModelError("timeout") from None
        finally:
            # Also of a request that fails, or whose client leaves: the server charges for it.
            self.prompt_tokens += used.prompt
            self.output_tokens += used.output
            self._budget.charge_model(used.prompt, used.output)

    def _left_s(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())
