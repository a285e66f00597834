"""Waiting for a unit to start, for as long as systemd keeps trying.

There is no total timeout, because machines can be slow. systemd bounds each attempt
(TimeoutStartSec) and fast crash loops (the start limit). It does not bound a loop of slow attempts,
or a job that waits for a stuck unit: those waits end after 15 minutes without progress.
"""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Protocol

from deploy import command_hints
from deploy.errors import DeployError, ExitCode
from deploy.stack import journal, systemd
from deploy.stack.exits import ExitStatus
from deploy.stack.services import (
    MIGRATE,
    find_instances,
    find_services,
    find_sockets,
    number_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.progress import Step
    from deploy.stack.systemd import UnitState

STALL_TIMEOUT_S = 900.0
"""Maximum time without progress, in seconds; every step takes less than a tenth of it."""

MAX_RESTARTS = 10
"""Maximum number of restarts while one of several instances starts; they have no start limit."""

NEWER_SCHEMA = 65
"""Exit code of the migration if the database has the schema of a newer version."""

FINAL = {77, 78}
"""Exit codes after which systemd does not restart the unit (RestartPreventExitStatus)."""

_POLL_S = 0.2
_NOTE_S = 2.0
_LAST_LINE_COLUMNS = 100


class StartState(enum.Enum):
    """State of a unit's start."""

    WAIT = enum.auto()
    STARTED = enum.auto()
    FAILED = enum.auto()
    """systemd gave up."""
    LOOPING = enum.auto()
    """systemd keeps restarting the unit: for 15 minutes, or too many times."""
    STUCK = enum.auto()
    """The unit's job has waited for another unit for 15 minutes."""


class StartMonitor:
    """Monitor of a unit's start, which evaluates successive observations.

    Args:
        before: Invocation of the unit before its job was queued; its failure is ignored.
        most: Maximum number of restarts of a unit without a start limit; None for no limit.

    Attributes:
        failed: Last failed invocation; empty if none failed.
        restarts: Number of restarts by systemd since the first observation.
        within: Time limit of the restarts in words, if it was exceeded; otherwise empty.
    """

    def __init__(self, before: str = "", most: int | None = None) -> None:
        self._before = before
        self._most = most
        self.failed = ""
        self.restarts = 0
        self.within = ""
        self._last: UnitState | None = None
        self._changed_at = 0.0
        self._looping_since: float | None = None

    def judge(self, now: UnitState, at: float, *, behind: bool = False) -> StartState:
        """Return the state of the start after another observation.

        Args:
            now: State of the unit; the first one must be observed after the job was queued.
            at: Time of a monotonic clock, in seconds.
            behind: Whether another unit is starting or stopping, which systemd bounds.
        """
        last, self._last = self._last, now
        if last is None or last != now or behind:
            self._changed_at = at
        if last is not None and now.restarts > last.restarts:
            self.restarts += now.restarts - last.restarts
            self.failed = last.invocation
            self._looping_since = at if self._looping_since is None else self._looping_since
            # This is checked only between attempts, so that the last one can use its full timeout.
            if self._most is not None and self.restarts >= self._most:
                return StartState.LOOPING
            if at - self._looping_since > STALL_TIMEOUT_S:
                self.within = f" in {STALL_TIMEOUT_S / 60:.0f} minutes"
                return StartState.LOOPING
        if now.has_job or now.active in {"activating", "deactivating", "reloading"}:
            stuck = is_queued(now) and at - self._changed_at > STALL_TIMEOUT_S
            return StartState.STUCK if stuck else StartState.WAIT
        if now.active == "active":
            return StartState.STARTED
        self.failed = now.invocation
        return StartState.FAILED

    def find_replaced(self, now: UnitState) -> str | None:
        """Return the previous invocation if a new one replaced it without a restart by systemd.

        A connection to the socket starts a service that failed or waits for its restart, possibly
        before the failure was observed. Call this method before `judge`.
        """
        last = self._last
        if last is None or last.invocation in {"", self._before, now.invocation}:
            return None
        return last.invocation if now.restarts <= last.restarts else None


def is_queued(now: UnitState) -> bool:
    """Return whether the unit's job waits for another unit's job."""
    return now.has_job and now.active in {"inactive", "failed"}


class Observer(Protocol):
    """Source of observations: systemd and its journal, except in tests."""

    def state(self, unit: str) -> UnitState:
        """Return the current state of a unit."""

    def find_end(self, invocation: str) -> ExitStatus | None:
        """Return the exit status of a failed invocation, or None."""

    def last_line(self, unit: str, invocation: str) -> str:
        """Return the most informative log line of an invocation."""


class Systemd:
    """Observer of the user's systemd and journal."""

    def state(self, unit: str) -> UnitState:
        """Return the unit's state in systemd."""
        return systemd.state(unit)

    def find_end(self, invocation: str) -> ExitStatus | None:
        """Return the exit status from the journal."""
        return journal.find_end(invocation)

    def last_line(self, unit: str, invocation: str) -> str:
        """Return the most informative line in the journal."""
        return journal.last_line(unit, invocation)


def run_job(verb: str, unit: str, step: Step, look: Callable[[], str] | None = None) -> None:
    """Start or restart a service (`verb`), and wait for it as in `wait_started`.

    Raises:
        DeployError: The service did not start; the message is the cause.
    """
    before = systemd.state(unit).invocation
    systemd.systemctl(verb, "--no-block", unit)
    most = MAX_RESTARTS if number_of(unit) and len(find_instances()) > 1 else None
    wait_started(unit, step, Systemd(), before=before, most=most, look=look)


def wait_started(
    unit: str,
    step: Step,
    observer: Observer,
    *,
    before: str = "",
    most: int | None = None,
    look: Callable[[], str] | None = None,
    clock: Clock | None = None,
) -> None:
    """Wait until a service with a queued job is up, and display the progress.

    `before` and `most` are those of `StartMonitor`. `look` is called every two seconds: it returns
    an additional note, and may raise to end the wait.

    Raises:
        DeployError: systemd gave up, or there was no progress for 15 minutes.
    """
    clock = clock or Clock()
    watch = StartMonitor(before, most)
    noted_at = float("-inf")
    while True:
        now = observer.state(unit)
        replaced = watch.find_replaced(now)
        end = observer.find_end(replaced) if replaced else None
        if replaced and end and end.status in FINAL:
            raise _error(unit, end, observer.last_line(unit, replaced), "")
        if number_of(unit) and now.active != "active":
            _refuse_newer_schema(observer)
        behind = is_queued(now) and _is_another_changing(unit, observer)
        verdict = watch.judge(now, clock.now(), behind=behind)
        if verdict is StartState.STARTED:
            return
        if verdict is not StartState.WAIT:
            raise _explain(unit, verdict, watch, now, observer)
        if clock.now() - noted_at >= _NOTE_S:
            noted_at = clock.now()
            said = observer.last_line(unit, watch.failed or now.invocation)
            note = render_note(unit, now, watch.restarts, said)
            more = look() if look else ""
            step.note(f"{note}, {more}" if more else note)
        clock.sleep(_POLL_S)


def _is_another_changing(unit: str, observer: Observer) -> bool:
    """Return whether systemd is starting or stopping another unit, for which it has a timeout."""
    others = [observer.state(each) for each in (*find_sockets(), *find_services()) if each != unit]
    return any(
        other.active in {"activating", "deactivating"} and not other.sub.startswith("auto-restart")
        for other in others
    )


def _refuse_newer_schema(observer: Observer) -> None:
    """Raise if the database's schema is newer, because the backend would wait until a timeout."""
    migration = observer.state(MIGRATE)
    if (migration.active, migration.has_job, migration.status) == ("failed", False, NEWER_SCHEMA):
        said = observer.last_line(MIGRATE, migration.invocation)
        raise _error(MIGRATE, _end_of(migration, observer), said, "")


class Clock:
    """Monotonic clock, which tests replace."""

    def now(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for a number of seconds."""
        time.sleep(seconds)


def render_note(unit: str, now: UnitState, restarts: int, said: str) -> str:
    """Render one line about a starting unit: its state, restarts and last log line."""
    state = "queued" if now.active in {"inactive", "failed"} else f"{now.active} ({now.sub})"
    words = [f"{unit} {state}"]
    if restarts:
        words.append(f"{restarts} restart{'' if restarts == 1 else 's'}")
    if said:
        words.append(said[:_LAST_LINE_COLUMNS])
    return ", ".join(words)


def is_final(end: ExitStatus | UnitState) -> bool:
    """Return whether the exit code means a configuration error, which a restart cannot correct."""
    return not end.signaled and end.status in FINAL


def explain(unit: str, now: UnitState, observer: Observer | None = None) -> str:
    """Render the reason why a unit is not up: its last log line and exit status."""
    observer = observer or Systemd()
    said = observer.last_line(unit, now.invocation) if now.invocation else ""
    return _cause(unit, _end_of(now, observer), said)


def _explain(
    unit: str, verdict: StartState, watch: StartMonitor, now: UnitState, observer: Observer
) -> DeployError:
    if verdict is StartState.STUCK:
        return DeployError(
            f"{unit} did not start: its job has waited for another unit for "
            f"{STALL_TIMEOUT_S / 60:.0f} minutes",
            hint=f"{command_hints.shell('systemctl --user list-jobs')} shows it",
            code=ExitCode.UNAVAILABLE,
        )
    failed = watch.failed or now.invocation
    end = _end_of(now, observer)
    if verdict is StartState.LOOPING:
        end = observer.find_end(failed) or end
    said = observer.last_line(unit, failed) if failed else ""
    addition = ""
    if verdict is StartState.LOOPING:
        addition = (
            f", {watch.restarts} restarts{watch.within}; systemd still tries, and "
            f"{command_hints.build('down')} stops it"
        )
    elif watch.restarts:
        restarts = f"{watch.restarts} restart{'' if watch.restarts == 1 else 's'}"
        addition = f"; systemd gave up after {restarts}"
    return _error(unit, end, said, addition)


def _end_of(now: UnitState, observer: Observer) -> ExitStatus:
    """Return the unit's last exit status, from the journal if systemd no longer has it.

    systemd has none once the start limit is hit, or if a program other than the main one failed.
    """
    end = ExitStatus(now.result, signaled=now.signaled, status=now.status)
    if (not now.status or now.result == "start-limit-hit") and now.invocation:
        return observer.find_end(now.invocation) or end
    return end


def _error(unit: str, end: ExitStatus, said: str, addition: str) -> DeployError:
    log = command_hints.build(f"logs {unit.removesuffix('.service').removeprefix('todo-')}")
    return DeployError(
        f"{unit} did not start: {_cause(unit, end, said)}{addition}",
        hint=f"see {log}",
        code=ExitCode.CONFIG if is_final(end) else ExitCode.FAILED,
    )


def _cause(unit: str, end: ExitStatus, said: str) -> str:
    words = end.render(unit)
    return f"{said} ({words})" if said else words
