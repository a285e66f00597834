import asyncio
import logging
import time

import pytest

from todo.observability.loop_lag import watch_loop


def measure(*, held_up_s: float, turns: int = 1) -> list[float]:
    """The lags that a loop shows which something holds up once."""

    async def run() -> list[float]:
        lags: asyncio.Queue[float] = asyncio.Queue()
        watch = asyncio.create_task(watch_loop(lags.put_nowait, interval_s=0.01, warning_s=0.05))
        await asyncio.sleep(0.005)
        time.sleep(held_up_s)  # noqa: ASYNC251 - this is what must not happen, and is measured
        found = [await lags.get() for _ in range(turns)]
        watch.cancel()
        return found

    return asyncio.run(run())


def test_what_holds_the_loop_up_is_measured() -> None:
    assert max(measure(held_up_s=0.1)) >= 0.09


def test_a_long_lag_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        measure(held_up_s=0.2, turns=3)

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.__dict__["lag_ms"] >= 100
