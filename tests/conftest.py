"""Fixtures and hooks of all tests: time limits, reasons of failures, and Hypothesis."""

import collections
import contextlib
import faulthandler
import gc
import math
import os
import signal
import time
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.machine_clock import CLOCK

settings.register_profile(
    "todo",
    max_examples=int(os.environ.get("EXAMPLES", "20")),
    # Other programs run on the machine as well.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("todo")

# Seconds on `CLOCK` that one phase (set-up, call, tear-down) of a test may take, and the set-up of
# each fixture that tests share: ten times what the longest takes on a quiet machine. The first run
# of mypy has no cache; the first fixture of the system tier builds the images and boots a machine.
LIMITS_S = {"unit": 300, "integration": 300, "system": 3600}
TICK_S = 1.0
# A test that caught the failure, or waits for a thread while it unwinds, gets another one.
AGAIN_S = 30

# For a hang that no signal interrupts. pytest's own option arms a thread for each test, which is a
# tenth of the unit tests' time.
GIVE_UP_S = 1800
ARM_EACH_S = 60


class Watchdog:
    """Ends what hangs, with the stacks: the phase of a test, or the process."""

    def __init__(self) -> None:
        self._stderr = os.dup(2)  # now, that it is not captured
        self._armed_at = -math.inf
        self._limit_s = 0.0
        self._ends_at = math.inf

    def feed(self) -> None:
        """Postpone the end of the process."""
        if time.monotonic() > self._armed_at + ARM_EACH_S:
            self._armed_at = time.monotonic()
            faulthandler.dump_traceback_later(GIVE_UP_S, exit=True, file=self._stderr)

    @contextlib.contextmanager
    def phase(self, limit_s: float) -> Iterator[None]:
        """Bound the block; what a phase inside of it takes does not count."""
        outer = self._limit_s, self._ends_at - CLOCK.now()
        self._limit_s, self._ends_at = limit_s, CLOCK.now() + limit_s
        try:
            yield
        finally:
            self._limit_s, self._ends_at = outer[0], CLOCK.now() + outer[1]

    def look(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a tick of the timer: fail what runs too long."""
        self.feed()
        if CLOCK.now() < self._ends_at:
            return
        self._ends_at = CLOCK.now() + AGAIN_S
        faulthandler.dump_traceback(file=2)  # what pytest captures of this test
        pytest.fail(f"still running after {self._limit_s:g} s; the stacks are in captured output")

    def leave(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(self._stderr)


class BrokenSetUps:
    """Ends a file at its first error in set-up: the rest would wait for the same in vain."""

    def __init__(self) -> None:
        self._of_file: dict[str, str] = {}
        self._seen: list[BaseException] = []

    def check(self, item: pytest.Item) -> None:
        if first := self._of_file.get(str(item.path)):
            pytest.fail(f"{NOT_RUN}{first}", pytrace=False)

    def note(self, item: pytest.Item, error: BaseException) -> None:
        """Remember an error; one that pytest kept of a shared fixture is not shown again."""
        known = next((each for each in self._seen if each is error), None)
        self._seen.append(error)
        first = self._of_file.setdefault(str(item.path), item.nodeid)
        if known is not None:
            pytest.fail(f"{NOT_RUN}{first}", pytrace=False)


NOT_RUN = "not run; see the first error in set-up: "
WATCHDOG = pytest.StashKey[Watchdog]()
BROKEN = pytest.StashKey[BrokenSetUps]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WATCHDOG] = Watchdog()
    config.stash[BROKEN] = BrokenSetUps()
    # What is imported stays: looking through it for garbage again and again takes a tenth of the
    # unit tests' time.
    gc.disable()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[WATCHDOG].leave()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _limit_s(item: pytest.Item) -> float:
    tier = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    limit_s: float = LIMITS_S.get(tier, LIMITS_S["system"])
    if marker := item.get_closest_marker("longer"):
        # Longer searches are asked for through the environment.
        limit_s += marker.args[0]
    return limit_s


@contextlib.contextmanager
def _guarded(item: pytest.Item) -> Iterator[None]:
    watchdog = item.config.stash[WATCHDOG]
    before = signal.signal(signal.SIGALRM, watchdog.look)
    signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
    try:
        with watchdog.phase(_limit_s(item)):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    item.config.stash[WATCHDOG].feed()
    broken = item.config.stash[BROKEN]
    broken.check(item)
    try:
        with _guarded(item):
            return (yield)
    except (Exception, pytest.fail.Exception) as error:
        broken.note(item, error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    with _guarded(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    with _guarded(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    if fixturedef.scope == "function":
        return (yield)
    # Whichever test comes first: what the others share is not at its expense.
    item = request._pyfuncitem  # noqa: SLF001 - `node` is the file or the session
    with request.config.stash[WATCHDOG].phase(_limit_s(item)):
        return (yield)


def _find_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else report.longreprtext


class Durations:
    """Reports the seconds of each tier and of the slowest files, to show what to make faster."""

    _MIN_S = 60.0
    _MAX_FILES = 25

    def __init__(self, reporter: Any) -> None:  # noqa: ANN401 - pytest does not export its type
        self._reporter = reporter
        self._files: dict[str, float] = collections.defaultdict(float)
        self._tiers: dict[str, float] = collections.defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        self._files[file] += report.duration
        self._tiers["/".join(file.split("/")[:2])] += report.duration

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self) -> None:
        if sum(self._files.values()) < self._MIN_S:
            return
        self._reporter.write_sep("=", "seconds by tier and file")
        slowest = sorted(self._files.items(), key=lambda each: -each[1])[: self._MAX_FILES]
        for name, seconds in (*self._tiers.items(), *slowest):
            self._reporter.write_line(f"{seconds:7.0f} {name}")


class Reasons:
    """Shows why tests failed, at once and again at the end; in full where a set-up failed.

    pytest's own summary cuts each reason off at the width of a terminal.
    """

    def __init__(self, reporter: Any) -> None:  # noqa: ANN401 - pytest does not export its type
        self._reporter = reporter

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Count apart what was not run, which also keeps it out of the list of tracebacks."""
        not_run = report.failed and NOT_RUN in _find_reason(report)
        return ("not run", "E", "NOT RUN") if not_run else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        reason = _find_reason(report)
        if NOT_RUN in reason:
            return
        # pytest itself shows them only at the end, which can be an hour later.
        kinds = {"setup": "ERROR in set-up of", "teardown": "ERROR in tear-down of"}
        shown = reason if report.when == "setup" else next(iter(reason.splitlines()), "")
        self._reporter.ensure_newline()
        kind = kinds.get(report.when or "", "FAILED")
        self._reporter.write_line(f"{kind} {report.nodeid}: {shown}", red=True)

    def pytest_terminal_summary(self) -> None:
        stats = self._reporter.stats
        if not stats.get("failed") and not stats.get("error"):
            return
        self._reporter.write_sep("=", "reasons")
        for report in stats.get("failed", ()):
            # The first line: what it was about. The rest is where the test's own output is.
            line = next(iter(_find_reason(report).splitlines()), "")
            self._reporter.write_line(f"FAILED {report.nodeid}: {line}")
        for report in stats.get("error", ()):
            self._reporter.write_line(f"ERROR {report.nodeid}: {_find_reason(report)}")
        firsts = [
            _find_reason(report).rpartition(NOT_RUN)[2] for report in stats.get("not run", ())
        ]
        for first in dict.fromkeys(firsts):
            count = firsts.count(first)
            self._reporter.write_line(f"NOT RUN {count} tests after the error in set-up of {first}")


def pytest_sessionstart(session: pytest.Session) -> None:
    # The workers of xdist have none: their reports come to the process that has.
    if reporter := session.config.pluginmanager.get_plugin("terminalreporter"):
        for plugin in (Durations, Reasons):
            session.config.pluginmanager.register(plugin(reporter))
