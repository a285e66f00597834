"""The search for flaws after `up`: it neither delays nor fails the command that started it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError
from deploy.image import build, builder
from deploy.scan import up_notice

if TYPE_CHECKING:
    from pathlib import Path


def test_a_search_that_takes_too_long_ends_with_a_line() -> None:
    def search(_builder: str | None) -> str | None:
        time.sleep(60)
        return None

    began = time.monotonic()
    line = up_notice.find_in_time(bound_s=0.05, search=search)
    assert time.monotonic() - began < 30
    assert line is not None
    assert line == (
        "Warning: the scan for known vulnerabilities is incomplete: it took longer than 0 s; "
        "python3 build.py scan --target all scans without a limit"
    )


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
    assert line.startswith(f"Warning: the scan for known vulnerabilities is incomplete: {words}")
    assert line.endswith("; python3 build.py scan --target all tries again")


def test_images_from_elsewhere_are_not_scanned_and_the_line_says_how_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    image = build.Image("backend", "localhost/todo-backend:latest", "sha256:1", 1, "")
    monkeypatch.setattr(build, "find", lambda target: image if target == "backend" else None)
    monkeypatch.setattr(builder, "find", lambda: None)
    assert up_notice.find_in_time() == (
        "Warning: the scan for known vulnerabilities is incomplete: it needs the builder image, "
        "which is not on this machine; python3 build.py scan --target all makes it, then scans"
    )
    # Once a day is enough.
    assert up_notice.find_in_time() is None


def test_afterwards_no_alarm_is_left() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert up_notice.find_in_time(search=lambda _: "found") == "found"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
