"""A hang ends with a stack dump instead of a pipeline that times out without a word."""

import faulthandler
import signal
from collections.abc import Generator
from types import FrameType

import pytest

# Seconds that one phase (set-up, call, tear-down) of a test may take. The first fixture of the
# system tier builds the images and boots a machine; the first run of mypy has no cache.
LIMITS_S = {"unit": 120, "integration": 120, "system": 1500}


def _limit_s(item: pytest.Item) -> int:
    tier = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    return LIMITS_S.get(tier, LIMITS_S["system"])


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
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from _guarded(item))
