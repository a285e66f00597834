from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from todo.assistant.turn.budget import Budgets
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.errors import RateLimitedError

_ANN = Caller("ann")
_DAY_S = 86_400


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _make(clock: _Clock | None = None, **options: Any) -> Budgets:  # noqa: ANN401 - of settings
    none = {"ai_turns_per_minute": 0, "ai_tool_calls_per_hour": 0}
    settings = Settings(database_url="postgresql+psycopg://todo@/todo", **none | options)
    return Budgets(settings, clock or _Clock())


def _spend(budgets: Budgets, caller: Caller) -> None:
    with budgets.spend(caller):
        pass


def test_turns_refill_evenly_and_say_what_is_left() -> None:
    clock = _Clock()
    budgets = _make(clock, ai_turns_per_minute=2)
    _spend(budgets, _ANN)
    _spend(budgets, _ANN)
    with pytest.raises(RateLimitedError) as hit:
        _spend(budgets, _ANN)
    assert hit.value.headers == {
        "Retry-After": "30",
        "RateLimit-Policy": '"assistant-turns";q=2;w=60',
        "RateLimit": '"assistant-turns";r=0;t=30',
    }
    assert "Limit of the assistant reached: 2 messages per minute; 0 are left." in hit.value.detail
    clock.now = 30
    _spend(budgets, _ANN)


def test_a_token_at_its_end_leaves_half_to_the_person_and_other_tokens() -> None:
    budgets = _make(ai_turns_per_minute=4)
    agent, other = (replace(_ANN, token_id=str(UUID(int=number))) for number in (2, 3))
    for _ in range(2):
        _spend(budgets, agent)
    for _ in range(5):
        with pytest.raises(RateLimitedError, match="2 messages per minute with one API token"):
            _spend(budgets, agent)
    _spend(budgets, other)
    _spend(budgets, _ANN)
    for caller in (other, _ANN):
        with pytest.raises(RateLimitedError, match="4 messages per minute; 0 are left"):
            _spend(budgets, caller)
    _spend(budgets, Caller("ben"))


def test_a_token_uses_half_of_the_calls_the_tokens_and_the_turns_at_a_time() -> None:
    budgets = _make(ai_tool_calls_per_hour=4, ai_tokens_per_day=100, ai_concurrency=3)
    agent = replace(_ANN, token_id=str(UUID(int=2)))
    with budgets.spend(agent) as turn, budgets.spend(agent):
        with pytest.raises(RateLimitedError, match="2 messages at a time"):
            _spend(budgets, agent)
        with budgets.spend(_ANN) as own:
            assert [turn.take_call() for _ in range(3)] == [True, True, False]
            turn.charge_model(45, 10)
            assert (turn.has_model(), own.has_model()) == (False, True)
            assert own.take_call()
    _spend(budgets, _ANN)


def test_what_is_left_is_that_of_the_bucket_with_less() -> None:
    budgets = _make(ai_turns_per_minute=50, ai_tokens_per_day=1000)
    agent = replace(_ANN, token_id=str(UUID(int=2)))
    with budgets.spend(agent) as turn:
        turn.charge_model(600, 0)
    assert budgets.render_left(agent) == {
        "RateLimit-Policy": '"assistant-turns";q=25;w=60, "assistant-tokens";q=500;w=86400',
        "RateLimit": '"assistant-turns";r=24;t=3, "assistant-tokens";r=0;t=103680',
    }
    assert budgets.render_left(_ANN)["RateLimit"] == (
        '"assistant-turns";r=49;t=2, "assistant-tokens";r=400;t=51840'
    )
    assert _make().render_left(agent) == {}


def test_tool_calls_that_are_used_up_refuse_the_next_turn() -> None:
    budgets = _make(ai_tool_calls_per_hour=2)
    with budgets.spend(_ANN) as turn:
        assert [turn.take_call() for _ in range(3)] == [True, True, False]
    with pytest.raises(RateLimitedError, match="2 tool calls per hour"):
        _spend(budgets, _ANN)


def test_turns_of_a_user_at_the_same_time_are_limited() -> None:
    budgets = _make(ai_concurrency=1)
    with budgets.spend(_ANN):
        with pytest.raises(RateLimitedError) as hit:
            _spend(budgets, _ANN)
        _spend(budgets, Caller("ben"))
    assert hit.value.headers["Retry-After"] == "1"
    _spend(budgets, _ANN)


def test_a_turn_that_fails_ends() -> None:
    budgets = _make(ai_concurrency=1)
    with pytest.raises(KeyError), budgets.spend(_ANN):
        raise KeyError
    _spend(budgets, _ANN)


def test_tokens_beyond_the_budget_are_owed_up_to_one_budget() -> None:
    clock = _Clock()
    budgets = _make(clock, ai_tokens_per_day=100)
    with budgets.spend(_ANN) as turn:
        assert turn.has_model()
        turn.charge_model(100, 50)
        assert not turn.has_model()
        assert turn.find_wait() == (_DAY_S / 2, "100 tokens per day")
        clock.now = _DAY_S / 3
        assert not turn.has_model()
        turn.charge_model(10**9, 0)
        assert turn.find_wait()[0] == _DAY_S
        clock.now += 1.1 * _DAY_S
        assert turn.has_model()


def test_cost_counts_what_is_read_and_written_by_their_prices() -> None:
    budgets = _make(
        ai_cost_per_million_input=Decimal(1),
        ai_cost_per_million_output=Decimal(10),
        ai_cost_per_day=Decimal("0.5"),
    )
    with budgets.spend(_ANN) as turn:
        turn.charge_model(200_000, 20_000)
        assert turn.has_model()
        turn.charge_model(0, 20_000)
        assert not turn.has_model()


def test_without_limits_nothing_is_refused() -> None:
    budgets = _make()
    with budgets.spend(_ANN) as turn:
        turn.charge_model(10**9, 10**9)
        assert turn.has_model()
        assert turn.take_call()


def test_a_check_refuses_what_a_turn_would_be_refused_for_and_counts_nothing() -> None:
    budgets = _make(ai_turns_per_minute=1, ai_concurrency=1)
    for _ in range(3):
        budgets.check(_ANN)
    with budgets.spend(_ANN), pytest.raises(RateLimitedError):
        budgets.check(_ANN)
    with pytest.raises(RateLimitedError):
        budgets.check(_ANN)
    budgets.check(Caller("ben"))
