"""Progress of long steps: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFRESH_S = 0.25
_HEARTBEAT_S = 30.0
"""Interval between status lines of a step, if the output is not a terminal."""
_PLAIN_COLUMNS = 120
"""Maximum length of a status line; pip and apt print lines with hundreds of names."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclasses.dataclass
class Step:
    """Running step of a command; `detail` is its latest line of output."""

    title: str
    started: float = dataclasses.field(default_factory=time.monotonic)
    detail: str = ""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the step started."""
        return time.monotonic() - self.started

    def note(self, detail: str) -> None:
        """Set the detail to a line of output, without its escape sequences; ignore empty lines."""
        line = "".join(filter(str.isprintable, _ESCAPE.sub("", detail))).strip()
        if line:
            self.detail = line


@dataclasses.dataclass
class Timings:
    """Finished steps of a command, in order, with their durations in seconds."""

    steps: list[tuple[str, float]] = dataclasses.field(default_factory=list)

    def render(self) -> str:
        """Return a table of the steps, one line each, with the total below."""
        width = max((len(title) for title, _ in self.steps), default=5)
        lines = [f"  {title:<{width}}  {seconds:7.1f} s" for title, seconds in self.steps]
        total = sum(seconds for _, seconds in self.steps)
        return "\n".join([*lines, f"  {'total':<{width}}  {total:7.1f} s"])


TIMINGS = Timings()
_RUNNING: list[Step] = []
"""The current steps, innermost last."""


@contextlib.contextmanager
def step(title: str, stream: TextIO | None = None) -> Iterator[Step]:
    """Show a step while it runs, and record its duration; the title is a gerund.

    The default stream is standard error, so that standard output contains only results.
    """
    out = stream or sys.stderr
    live = out.isatty() and os.environ.get("TERM") != "dumb"
    current = Step(title)
    done = threading.Event()
    if not live:
        _write(out, f"{title} …\n")
    watcher = threading.Thread(
        target=_show_live if live else _show_plain, args=(current, done, out), daemon=True
    )
    _RUNNING.append(current)
    watcher.start()
    outcome = "interrupted"
    try:
        yield current
        outcome = "done"
    except Exception:
        outcome = "failed"
        raise
    finally:
        done.set()
        watcher.join()
        _RUNNING.remove(current)
        # The duration of an outer step includes its inner steps.
        if outcome == "done" and not _RUNNING:
            TIMINGS.steps.append((title, current.elapsed_s))
        clear = "\r\033[K" if live else ""
        _write(out, f"{clear}{title}: {outcome} ({current.elapsed_s:.1f} s)\n")


def say(line: str) -> None:
    """Print a line to standard error, like all progress output."""
    _write(sys.stderr, f"{line}\n")


def _show_live(current: Step, done: threading.Event, out: TextIO) -> None:
    while not done.wait(_REFRESH_S):
        if current is not _RUNNING[-1]:
            continue  # an inner step owns the line
        width = shutil.get_terminal_size().columns - 1
        line = f"{current.title} … {current.elapsed_s:.0f} s  {current.detail}"[:width]
        _write(out, f"\r\033[K{line}")


def _show_plain(current: Step, done: threading.Event, out: TextIO) -> None:
    while not done.wait(_HEARTBEAT_S):
        line = f"{current.title} … {current.elapsed_s:.0f} s  {current.detail}"[:_PLAIN_COLUMNS]
        _write(out, f"{line}\n")


def _write(out: TextIO, text: str) -> None:
    # A command continues even if its progress cannot be shown.
    with contextlib.suppress(OSError):
        out.write(text)
        out.flush()
