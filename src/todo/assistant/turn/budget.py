"""Budgets of the assistant: turns, tool calls, tokens and cost, per user and per API token.

They refill evenly, and are kept in bounded memory or in the file that instances share. Without
turns or tool calls left, a message is rejected before anything is done. Without tokens or cost
left, rules decide the message without a model.
"""

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from todo.api.rate_buckets import Buckets, open_buckets
from todo.api.rate_limit import Field, RateLimit
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.errors import RateLimitedError

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_MILLION = 1_000_000
_BUSY_RETRY_S = 1

_Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Places:
    """Clock and bucket factory that all limits share."""

    clock: _Clock
    open_buckets: Callable[[str], Buckets]


class _Limit:
    """Budget of each user, of which one API token may use half.

    An agent that exhausts its half leaves the other half to the user and to other tokens.
    """

    def __init__(
        self, name: str, permits: float, window_s: int, unit: str, places: _Places
    ) -> None:
        def make(most: float, buckets: Buckets) -> RateLimit:
            return RateLimit(
                f"assistant-{name}", most, window_s=window_s, clock=places.clock, buckets=buckets
            )

        of_user = make(permits, places.open_buckets(f"assistant-{name}"))
        half = make(_halve(permits), places.open_buckets(f"assistant-{name}-of-token"))
        self._of_user = (of_user, _describe(permits, unit))
        self._of_token = (half, f"{_describe(_halve(permits), unit)} with one API token")

    def take(self, caller: Caller) -> None:
        """Take a permit; raise RateLimitedError if none is left."""
        # Check all buckets first: a rejection must not cost a permit of another bucket.
        self.require(caller)
        for buckets, key, _ in self._find_buckets(caller):
            buckets.take(key)

    def require(self, caller: Caller) -> None:
        """Raise RateLimitedError if no permit is left; take none."""
        for buckets, key, amount in self._find_buckets(caller):
            if buckets.find_left(key) < 1:
                try:
                    buckets.take(key)
                except RateLimitedError as error:
                    raise _refuse(amount, error) from None

    def has(self, caller: Caller) -> bool:
        return all(buckets.find_left(key) > 0 for buckets, key, _ in self._find_buckets(caller))

    def charge(self, caller: Caller, permits: float) -> None:
        for buckets, key, _ in self._find_buckets(caller):
            # The usage of a model is only known afterwards, so it may exceed the budget.
            buckets.charge(key, permits, owe=True)

    def find_wait(self, caller: Caller) -> tuple[float, str]:
        """Return the seconds until a permit is available, and the limit in words."""
        waits = [
            (buckets.find_wait_s(key), amount)
            for buckets, key, amount in self._find_buckets(caller)
        ]
        return max(waits)

    def render_left(self, caller: Caller) -> tuple[Field, Field]:
        """Return the two rate-limit fields for the bucket with the fewest permits left."""
        found = [
            (buckets.find_left(key), buckets, key) for buckets, key, _ in self._find_buckets(caller)
        ]
        _, buckets, key = min(found, key=lambda each: each[0])
        return buckets.render_left(key)

    def _find_buckets(self, caller: Caller) -> Iterator[tuple[RateLimit, str, str]]:
        of_user, amount = self._of_user
        yield of_user, caller.user, amount
        if caller.token_id is not None:
            of_token, amount = self._of_token
            yield of_token, caller.token_id, amount


class Budgets:
    """Budgets of users and their tokens, and limits of concurrent turns in this process."""

    def __init__(self, settings: Settings, clock: _Clock = time.monotonic) -> None:
        places = _Places(clock, partial(open_buckets, settings.instance_file))
        turns, calls = settings.ai_turns_per_minute, settings.ai_tool_calls_per_hour
        tokens, cost = settings.ai_tokens_per_day, float(settings.ai_cost_per_day)
        self._turns = _make("turns", turns, _MINUTE_S, "message per minute", places)
        self._calls = _make("tool-calls", calls, _HOUR_S, "tool call per hour", places)
        self._tokens = _make("tokens", tokens, _DAY_S, "token per day", places)
        self._cost = _make("cost", cost, _DAY_S, "per day", places)
        self._concurrency = settings.ai_concurrency
        self._prices = (settings.ai_cost_per_million_input, settings.ai_cost_per_million_output)
        self._running: Counter[str] = Counter()

    def check(self, caller: Caller, *, needs_calls: bool = True) -> None:
        """Raise RateLimitedError if `spend` would reject a turn; count nothing.

        Without `needs_calls`, the budget of tool calls may be exhausted.
        """
        for key, most in self._find_running(caller):
            if self._running[key] >= most:
                raise _refuse_concurrent(most)
        for limit in (self._calls if needs_calls else None, self._turns):
            if limit is not None:
                limit.require(caller)

    @contextlib.contextmanager
    def spend(self, caller: Caller, *, needs_calls: bool = True) -> Iterator["TurnBudget"]:
        """Count a turn, which lasts as long as the block; for `needs_calls`, see `check`.

        Raises:
            RateLimitedError: A budget is exhausted, or too many turns are running.
        """
        self.check(caller, needs_calls=needs_calls)
        if self._turns is not None:
            self._turns.take(caller)
        keys = [key for key, _ in self._find_running(caller)]
        self._running.update(keys)
        try:
            yield TurnBudget(caller, self._calls, self._tokens, self._cost, self._prices)
        finally:
            self._running.subtract(keys)
            for key in keys:
                if not self._running[key]:
                    del self._running[key]

    def _find_running(self, caller: Caller) -> Iterator[tuple[str, int]]:
        """Yield the counter keys of concurrent turns and their maximum values."""
        yield f"user {caller.user}", self._concurrency
        if caller.token_id is not None:
            yield f"token {caller.token_id}", math.ceil(self._concurrency / 2)

    def render_left(self, caller: Caller) -> dict[str, str]:
        """Return the rate-limit headers for turns, tool calls and tokens."""
        limits = (self._turns, self._calls, self._tokens)
        fields = [limit.render_left(caller) for limit in limits if limit is not None]
        policies = b", ".join(policy for (_, policy), _ in fields)
        left = b", ".join(left for _, (_, left) in fields)
        return {"RateLimit-Policy": policies.decode(), "RateLimit": left.decode()} if fields else {}


@dataclass(frozen=True, slots=True)
class TurnBudget:
    """Budget of one turn, in which None means no limit; prices are per million tokens."""

    caller: Caller
    calls: _Limit | None
    tokens: _Limit | None
    cost: _Limit | None
    prices: tuple[Decimal, Decimal]

    def take_call(self) -> bool:
        """Count a tool call; return False if the budget is exhausted."""
        if self.calls is None:
            return True
        try:
            self.calls.take(self.caller)
        except RateLimitedError:
            return False
        return True

    def has_model(self) -> bool:
        """Return whether the token and cost budgets allow a model request."""
        return all(limit.has(self.caller) for limit in self._find_model_limits())

    def charge_model(self, prompt_tokens: int, output_tokens: int) -> None:
        """Charge the tokens of a model request, and their cost."""
        if self.tokens is not None:
            self.tokens.charge(self.caller, prompt_tokens + output_tokens)
        if self.cost is not None:
            of_input, of_output = self.prices
            cost = prompt_tokens * of_input + output_tokens * of_output
            self.cost.charge(self.caller, float(cost / _MILLION))

    def find_wait(self) -> tuple[float, str]:
        """Return the seconds until the model may be used again, and the limit in words."""
        return max(limit.find_wait(self.caller) for limit in self._find_model_limits())

    def _find_model_limits(self) -> list[_Limit]:
        return [limit for limit in (self.tokens, self.cost) if limit is not None]


def _make(name: str, permits: float, window_s: int, unit: str, places: _Places) -> _Limit | None:
    return _Limit(name, permits, window_s, unit, places) if permits else None


def _refuse(amount: str, error: RateLimitedError) -> RateLimitedError:
    wait_s = error.headers["Retry-After"]
    detail = (
        f"Limit of the assistant reached: {amount}; 0 are left. Nothing was done."
        f" Retry in {_count(int(wait_s), 'second')}."
    )
    return RateLimitedError(detail, headers=error.headers)


def _refuse_concurrent(most: int) -> RateLimitedError:
    return RateLimitedError(
        f"Limit of the assistant reached: {_count(most, 'message')} at a time; 0 are left."
        " Nothing was done. Wait for an answer, then send the message again.",
        headers={
            "Retry-After": str(_BUSY_RETRY_S),
            "RateLimit-Policy": f'"assistant-concurrency";q={most}',
            "RateLimit": '"assistant-concurrency";r=0',
        },
    )


def _halve(permits: float) -> float:
    """Return half of a budget, rounded up if it is an integer."""
    return permits / 2 if isinstance(permits, float) else math.ceil(permits / 2)


def _describe(permits: float, unit: str) -> str:
    """Return a budget in words: "2 messages per minute"."""
    if isinstance(permits, float):
        return f"{permits:g} {unit}"
    noun, _, window = unit.partition(" per ")
    return f"{_count(permits, noun)} per {window}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
