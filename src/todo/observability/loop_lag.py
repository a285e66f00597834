"""Event loop lag, measured by a task that sleeps and compares the clock.

Everything that blocks the loop (a long computation, a blocking call, a lack of processor time)
delays all requests, and the durations of requests do not show the cause.
"""

import asyncio
import logging
from collections.abc import Callable

_INTERVAL_S = 0.5
_WARNING_S = 0.25
# Time between warnings: a persistent lag is one event, not two per second.
_QUIET_S = 10.0

_log = logging.getLogger("todo.looplag")


async def watch_loop(
    observe: Callable[[float], None],
    *,
    interval_s: float = _INTERVAL_S,
    warning_s: float = _WARNING_S,
) -> None:
    """Measure the lag of the running loop until canceled.

    Args:
        observe: Receives each lag in seconds.
        interval_s: Seconds between two measurements.
        warning_s: Lag in seconds from which a warning is logged.
    """
    loop = asyncio.get_running_loop()
    quiet_until = 0.0
    while True:
        due = loop.time() + interval_s
        await asyncio.sleep(interval_s)
        now = loop.time()
        lag_s = max(0.0, now - due)
        observe(lag_s)
        if lag_s >= warning_s and now >= quiet_until:
            quiet_until = now + _QUIET_S
            _log.warning(
                "the event loop was blocked, which delayed all requests",
                extra={"lag_ms": round(lag_s * 1000)},
            )
