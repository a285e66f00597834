"""Budgets of the assistant: turns, tool calls, tokens and cost, by user and by token.

They are kept in this process, in bounded memory, and refill evenly. A budget for a turn as a whole
refuses it before anything is done; one for the model only makes the turn work by rules.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from todo.api.rate_limit import RateLimit
from todo.config.assistant_settings import AssistantSettings
from todo.core.caller import Caller
from todo.core.errors import RateLimitedError

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_MILLION = 1_000_000
_BUSY_RETRY_S = 1


@dataclass(frozen=True, slots=True)
class _Limit:
    """A budget, and how a refusal names it."""

    buckets: RateLimit
    amount: str

    def take(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            try:
                self.buckets.take(key)
            except RateLimitedError as error:
                raise self._refuse(error) from None

    def require(self, keys: tuple[str, ...]) -> None:
        """Refuse where nothing is left; take nothing."""
        for key in keys:
            if self.buckets.find_left(key) < 1:
                self.take((key,))

    def has(self, keys: tuple[str, ...]) -> bool:
        return all(self.buckets.find_left(key) > 0 for key in keys)

    def charge(self, keys: tuple[str, ...], permits: float) -> None:
        for key in keys:
            # What a model used is known afterwards.
            self.buckets.charge(key, permits, owe=True)

    def _refuse(self, error: RateLimitedError) -> RateLimitedError:
        wait_s = error.headers["Retry-After"]
        detail = (
            f"Limit of the assistant reached: {self.amount}; 0 are left. Nothing was done."
            f" Retry in {_count(int(wait_s), 'second')}."
        )
        return RateLimitedError(detail, headers=error.headers)


class Budgets:
    """The budgets of one process."""

    def __init__(
        self, settings: AssistantSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with full budgets.

        Args:
            settings: How large they are.
            clock: Seconds that only grow.
        """

        def make(name: str, permits: float, window_s: int, amount: str) -> _Limit | None:
            if not permits:
                return None
            buckets = RateLimit(f"assistant-{name}", permits, window_s=window_s, clock=clock)
            return _Limit(buckets, amount)

        turns, calls = settings.ai_turns_per_minute, settings.ai_tool_calls_per_hour
        tokens, cost = settings.ai_tokens_per_day, settings.ai_cost_per_day
        self._turns = make("turns", turns, _MINUTE_S, f"{_count(turns, 'message')} per minute")
        self._calls = make("tool-calls", calls, _HOUR_S, f"{_count(calls, 'tool call')} per hour")
        self._tokens = make("tokens", tokens, _DAY_S, f"{_count(tokens, 'token')} per day")
        self._cost = make("cost", float(cost), _DAY_S, f"{cost} per day")
        self._concurrency = settings.ai_concurrency
        self._prices = (settings.ai_cost_per_million_input, settings.ai_cost_per_million_output)
        self._running: Counter[str] = Counter()

    def check(self, caller: Caller) -> None:
        """Refuse a turn that `spend` would refuse; count nothing.

        Raises:
            RateLimitedError: As `spend`.
        """
        keys = _keys_of(caller)
        if self._running[caller.user] >= self._concurrency:
            raise self._refuse_concurrent()
        for limit in (self._calls, self._turns):
            if limit is not None:
                limit.require(keys)

    @contextlib.contextmanager
    def spend(self, caller: Caller) -> Iterator["TurnBudget"]:
        """Count a turn, which is the block.

        Raises:
            RateLimitedError: A budget is used up, or too many turns of the user are running.
        """
        keys, user = _keys_of(caller), caller.user
        self.check(caller)
        if self._turns is not None:
            self._turns.take(keys)
        self._running[user] += 1
        try:
            yield TurnBudget(self, keys)
        finally:
            self._running[user] -= 1
            if not self._running[user]:
                del self._running[user]

    def _refuse_concurrent(self) -> RateLimitedError:
        most = self._concurrency
        return RateLimitedError(
            f"Limit of the assistant reached: {_count(most, 'message')} at a time; 0 are left."
            " Nothing was done. Wait for an answer, then send the message again.",
            headers={
                "Retry-After": str(_BUSY_RETRY_S),
                "RateLimit-Policy": f'"assistant-concurrency";q={most}',
                "RateLimit": '"assistant-concurrency";r=0',
            },
        )

    def take_call(self, keys: tuple[str, ...]) -> bool:
        """Count a tool call; return whether it may be made."""
        if self._calls is None:
            return True
        try:
            self._calls.take(keys)
        except RateLimitedError:
            return False
        return True

    def has_model(self, keys: tuple[str, ...]) -> bool:
        """Whether the model may be used."""
        return all(limit is None or limit.has(keys) for limit in (self._tokens, self._cost))

    def charge_model(self, keys: tuple[str, ...], prompt_tokens: int, output_tokens: int) -> None:
        """Count what a model read and wrote."""
        if self._tokens is not None:
            self._tokens.charge(keys, prompt_tokens + output_tokens)
        if self._cost is not None:
            of_input, of_output = self._prices
            cost = prompt_tokens * of_input + output_tokens * of_output
            self._cost.charge(keys, float(cost / _MILLION))


@dataclass(frozen=True, slots=True)
class TurnBudget:
    """What one turn may spend."""

    budgets: Budgets
    keys: tuple[str, ...]

    def take_call(self) -> bool:
        """Count a tool call; return whether it may be made."""
        return self.budgets.take_call(self.keys)

    def has_model(self) -> bool:
        """Whether the model may be used."""
        return self.budgets.has_model(self.keys)

    def charge_model(self, prompt_tokens: int, output_tokens: int) -> None:
        """Count what a model read and wrote."""
        self.budgets.charge_model(self.keys, prompt_tokens, output_tokens)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _keys_of(caller: Caller) -> tuple[str, ...]:
    user = (f"user:{caller.user}",)
    return user if caller.token_id is None else (*user, f"token:{caller.token_id}")
