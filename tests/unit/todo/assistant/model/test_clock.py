import asyncio

import pytest

from todo.assistant.model.client import ModelError
from todo.assistant.model.clock import AnswerClock, Silence

LONG_S = 3600.0
SHORT_S = 0.01


def wait(whole_s: float, gap_s: float) -> AnswerClock:
    """Wait for ever, with these limits."""

    async def scenario() -> AnswerClock:
        clock = AnswerClock(whole_s, gap_s)
        with pytest.raises(ModelError) as caught:
            async with clock.limiting():
                await asyncio.Event().wait()
        assert caught.value.reason == "timeout"
        return clock

    return asyncio.run(scenario())


@pytest.mark.parametrize(("whole_s", "gap_s"), [(SHORT_S, LONG_S), (LONG_S, SHORT_S)])
def test_the_first_limit_that_is_met_ends_the_wait(whole_s: float, gap_s: float) -> None:
    assert wait(whole_s, gap_s).first_token_s is None


def test_a_token_is_as_good_as_a_new_limit() -> None:
    async def scenario() -> None:
        clock = AnswerClock(LONG_S, LONG_S)
        async with clock.limiting():
            clock.note_token()
            first = clock.first_token_s
            clock.note_token()
            assert clock.first_token_s == first is not None

    asyncio.run(scenario())


def test_a_caller_who_is_slow_is_not_a_server_that_hangs() -> None:
    async def scenario() -> None:
        clock = AnswerClock(LONG_S, SHORT_S)
        async with clock.limiting():
            with clock.with_caller():
                await asyncio.sleep(3 * SHORT_S)

    asyncio.run(scenario())


async def take_time(clock: AnswerClock) -> None:
    with clock.with_caller():
        await asyncio.Event().wait()


def test_a_caller_who_takes_all_the_time_does_not_blame_the_server() -> None:
    async def scenario() -> ModelError:
        clock = AnswerClock(SHORT_S, SHORT_S)
        with pytest.raises(ModelError) as caught:
            async with clock.limiting():
                await take_time(clock)
        return caught.value

    assert not asyncio.run(scenario()).of_server


@pytest.mark.parametrize(("gap_s", "of_server"), [(SHORT_S, True), (LONG_S, False)])
def test_a_server_is_silent_for_too_long_or_the_caller_has_too_little_time(
    gap_s: float,
    of_server: bool,  # noqa: FBT001
) -> None:

    async def scenario() -> ModelError:
        clock = AnswerClock(3 * SHORT_S, gap_s)
        with pytest.raises(ModelError) as caught:
            async with clock.limiting():
                await asyncio.Event().wait()
        return caught.value

    assert asyncio.run(scenario()).of_server is of_server


def test_silence_counts_requests_that_wait_together_once_and_no_pauses() -> None:
    now = [100.0]
    silence = Silence(lambda: now[0])

    with silence.waiting():
        now[0] += 10
        with silence.waiting():
            now[0] += 20
        assert silence.length_s == 30
    now[0] += 3600
    assert silence.length_s == 30
    with silence.waiting():
        now[0] += 5
        assert silence.length_s == 35
        silence.end()
        now[0] += 2
    assert silence.length_s == 2
