"""Waiting until the backend is ready, as long as it can still become ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import startup, status, systemd
from deploy.stack.services import BACKEND, DB

if TYPE_CHECKING:
    from deploy.stack.status import Readiness
    from deploy.stack.systemd import UnitState

_POLL_S = 0.2


class Observer(Protocol):
    """Source of observations: the stack, except in tests."""

    def readiness(self) -> Readiness:
        """Return the current readiness of the backend."""

    def state(self, unit: str) -> UnitState:
        """Return the current state of a unit."""

    def describe(self, unit: str, state: UnitState) -> str:
        """Return why a unit is not up."""


class Stack:
    """Observer of one instance of the stack (`unit`)."""

    def __init__(self, unit: str = BACKEND) -> None:
        self._unit = unit

    def readiness(self) -> Readiness:
        """Return the instance's readiness."""
        return status.check(self._unit)

    def state(self, unit: str) -> UnitState:
        """Return the unit's state in systemd."""
        return systemd.state(unit)

    def describe(self, unit: str, state: UnitState) -> str:
        """Return why a unit is not up, including the last line of its log."""
        return status.describe(unit, state)


def wait(observer: Observer | None = None, clock: startup.Clock | None = None) -> str:
    """Wait until the backend reports that it is ready, and return the public URL.

    Raises:
        DeployError: A required unit failed permanently, or there was no progress for 15 minutes;
            the message is the backend's reason.
    """
    with progress.step("Waiting until the backend is ready") as step:
        return wait_instance(BACKEND, step, observer, clock)


def wait_instance(
    instance: str,
    step: progress.Step,
    observer: Observer | None = None,
    clock: startup.Clock | None = None,
) -> str:
    """Wait until an instance is ready, and return the public URL.

    Raises:
        DeployError: As for `wait`.
    """
    observer = observer or Stack(instance)
    clock = clock or startup.Clock()
    seen: set[object] = set()
    attempt: UnitState | None = None
    new_at = clock.now()
    while True:
        now = observer.readiness()
        if now.ready and now.url:
            return now.url
        step.note(now.reason)
        states = {unit: observer.state(unit) for unit in (instance, DB)}
        for unit, state in states.items():
            # The backend may use another database, so the unit may be inactive on purpose.
            given_up = {"failed", "inactive"} if unit == instance else {"failed"}
            if state.active in given_up and not state.has_job:
                code = ExitCode.CONFIG if startup.is_final(state) else ExitCode.UNAVAILABLE
                message = f"is not ready: {observer.describe(unit, state)}"
                raise _error(message, unit, code)
        # The reason counts only while active: in a crash loop it contains the restart count.
        up = states[instance].active == "active"
        observed = (*(state.active for state in states.values()), up and now.reason)
        if observed not in seen:
            seen.add(observed)
            new_at = clock.now()
        # systemd bounds a single attempt to start, so the wait ends only between two attempts.
        last, attempt = attempt, states[instance]
        within = attempt == last and attempt.active == "activating"
        if clock.now() - new_at > startup.STALL_TIMEOUT_S and not within:
            minutes = f"{startup.STALL_TIMEOUT_S / 60:.0f} minutes"
            message = f"is still not ready after {minutes}: {now.reason}"
            raise _error(message, instance, ExitCode.UNAVAILABLE)
        clock.sleep(_POLL_S)


def _error(message: str, unit: str, code: ExitCode) -> DeployError:
    log = command_hints.build(f"logs {unit.removesuffix('.service').removeprefix('todo-')}")
    return DeployError(f"the backend {message}", hint=f"see {log}", code=code)
