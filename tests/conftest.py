"""What holds for every test: an end to each hang, and how long Hypothesis looks for an example."""

import faulthandler
import gc
import math
import os
import signal
import time
from collections.abc import Generator
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "todo",
    max_examples=int(os.environ.get("EXAMPLES", "20")),
    # Other programs run on the machine as well.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("todo")

# Seconds that one phase (set-up, call, tear-down) of a test may take. The first fixture of the
# system tier builds the images and boots a machine; the first run of mypy has no cache.
LIMITS_S = {"unit": 120, "integration": 120, "system": 1500}

# For a hang that no signal interrupts. pytest's own option arms a thread for each test, which is a
# tenth of the unit tests' time.
GIVE_UP_S = 1800
ARM_EACH_S = 60


class Watchdog:
    """Ends the process, with the stacks, when no test begins for too long."""

    def __init__(self) -> None:
        self._stderr = os.dup(2)  # now, that it is not captured
        self._armed_at = -math.inf

    def feed(self) -> None:
        if time.monotonic() > self._armed_at + ARM_EACH_S:
            self._armed_at = time.monotonic()
            faulthandler.dump_traceback_later(GIVE_UP_S, exit=True, file=self._stderr)

    def leave(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(self._stderr)


WATCHDOG = pytest.StashKey[Watchdog]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WATCHDOG] = Watchdog()
    # What is imported stays: looking through it for garbage again and again takes a tenth of the
    # unit tests' time.
    gc.disable()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[WATCHDOG].leave()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _limit_s(item: pytest.Item) -> int:
    tier = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    limit_s = LIMITS_S.get(tier, LIMITS_S["system"])
    if marker := item.get_closest_marker("longer"):
        # Longer searches are asked for through the environment.
        limit_s += math.ceil(marker.args[0])
    return limit_s


def _guarded(item: pytest.Item) -> Generator[None, None, None]:
    limit_s = _limit_s(item)

    def give_up(_number: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback(file=2)  # what pytest captures of this test
        pytest.fail(f"still running after {limit_s} s; the stacks are in its captured output")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    item.config.stash[WATCHDOG].feed()
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from _guarded(item))
