"""The search for flaws after `up`: it neither delays nor fails the command that started it."""

from __future__ import annotations

import signal
import time

import pytest

from deploy.errors import DeployError
from deploy.scan import up_notice


def test_a_search_that_takes_too_long_ends_with_a_line() -> None:
    def search(_builder: str | None) -> str | None:
        time.sleep(60)
        return None

    began = time.monotonic()
    line = up_notice.find_in_time(bound_s=0.05, search=search)
    assert time.monotonic() - began < 30
    assert line is not None
    assert "could not be looked up (it took longer than" in line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (DeployError("no disk space", hint="make room"), "no disk space"),
        (PermissionError("scanned.json"), "scanned.json"),
    ],
)
def test_a_search_that_ends_early_is_a_line_and_no_error(error: BaseException, words: str) -> None:
    def search(_builder: str | None) -> str | None:
        raise error

    line = up_notice.find_in_time(search=search)
    assert line is not None
    assert f"could not be looked up ({words}" in line


def test_afterwards_no_alarm_is_left() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert up_notice.find_in_time(search=lambda _: "found") == "found"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
