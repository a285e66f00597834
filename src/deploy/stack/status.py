"""Readiness of the stack, and otherwise the cause from systemd and the backend."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
from typing import TYPE_CHECKING

from deploy import command_hints
from deploy.errors import DeployError
from deploy.stack import install, journal, management, ports, startup, systemd
from deploy.stack.services import BACKEND, DB, SOCKET, find_instances, number_of

if TYPE_CHECKING:
    from deploy.stack.addresses import Address

PUBLISHED_URL = "BUILD_PUBLISHED_URL"
"""Environment variable with the public URL as seen from the host of a lab."""
PUBLISHED_MANAGEMENT = "BUILD_PUBLISHED_MANAGEMENT"
"""Environment variable with the URL of health and metrics as seen from the host of a lab."""

_ACCEPTING = b"\ntodo_accepting 1.0\n"
READY, NOT_READY, STOPPED, ABSENT = "ready", "not ready", "stopped", "not installed"
UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Readiness:
    """Readiness of the stack.

    Attributes:
        url: Address of the public API, or None if the socket is down.
        ready: Whether the backend reports that it is ready.
        reason: Why it is not ready or not installed; empty if it is ready.
        management: Address of health checks and metrics, or None if there is none.
        state: "ready", "not ready", "stopped", "not installed" or "unknown".
        answers: Whether the backend responds to requests.
    """

    url: str | None
    ready: bool
    reason: str
    management: str | None = None
    state: str = NOT_READY
    answers: bool = False


def check(unit: str = BACKEND) -> Readiness:
    """Return the readiness of an instance, without starting a stopped one."""
    addresses = ports.loaded() if systemd.is_active(SOCKET) else []
    backend = systemd.state(unit)
    reason = describe(unit, backend)
    if not addresses and {backend.active, systemd.state(SOCKET).active} == {"inactive"}:
        state = STOPPED if install.is_installed() else ABSENT
        reason = f"{command_hints.build('up')} starts it"
        return Readiness(None, ready=False, reason=reason, state=state)
    if not addresses:
        down = f"{SOCKET} is not listening"
        return Readiness(None, ready=False, reason=f"{down}; {reason}" if reason else down)
    url = os.environ.get(PUBLISHED_URL) or addresses[0].url
    answers = False
    # A request would start a stopped backend, through its socket unit.
    if not reason:
        reason, answers = _find_problem(unit, addresses[0])
    database = describe(DB, systemd.state(DB)) if reason else ""
    reason = f"{reason}; {database}" if database else reason
    state = NOT_READY if reason else READY
    return Readiness(url, not reason, reason, find_management(unit), state, answers=answers)


def check_all() -> tuple[Readiness, dict[str, Readiness]]:
    """Return the readiness of the stack and of each instance; one ready instance suffices."""
    instances = {unit: check(unit) for unit in _find_instances()}
    first = instances[BACKEND]
    now = next((each for each in instances.values() if each.ready), first)
    return dataclasses.replace(now, management=first.management), instances


def find_management(unit: str = BACKEND) -> str | None:
    """Return the URL of an instance's health and metrics, or None if it has no address.

    In a lab, only that of the first instance is published.
    """
    if unit == BACKEND and PUBLISHED_MANAGEMENT in os.environ:
        return os.environ[PUBLISHED_MANAGEMENT]
    address = None if command_hints.in_lab() else ports.find_management(number_of(unit))
    return address.url if address else None


def find_trouble(state: systemd.UnitState, instance: Readiness) -> str:
    """Return the problem of one of several running instances; empty if there is none."""
    if len(_find_instances()) == 1 or state.active != "active":
        return ""
    if state.restarts and not instance.reason:
        return f"restarted {state.restarts} time{'' if state.restarts == 1 else 's'}"
    return instance.reason


def _find_instances() -> tuple[str, ...]:
    """Return the instances; only the first one if the record of the units is damaged."""
    try:
        return find_instances()
    except DeployError:
        return (BACKEND,)


def _find_problem(unit: str, public: Address) -> tuple[str, bool]:
    """Return why an instance does not serve (empty if it does), and whether it responded."""
    if len(_find_instances()) == 1:
        return _ask(public)
    # Any instance may respond at the public address.
    address = ports.find_management(number_of(unit))
    if address is None:
        return f"{unit} has no management socket", False
    reason, answers = _ask(address)
    if reason or _ACCEPTING in management.get(address, "/metrics")[1]:
        return reason, answers
    return f"{unit} does not accept connections yet", True


def describe(unit: str, state: systemd.UnitState) -> str:
    """Return why a unit is not up, with the most informative log line; empty if it is up."""
    if state.active == "active":
        return ""
    words = f"{unit} is {state.active}"
    if state.active == "activating":
        words = f"{words} ({state.sub})"
    if state.restarts:
        words = f"{words}, {state.restarts} restart{'' if state.restarts == 1 else 's'}"
    cause = find_cause(unit, state)
    return f"{words}: {cause}" if cause else words


def find_cause(unit: str, state: systemd.UnitState) -> str:
    """Return the cause of a unit's failure, or the last log line of its start; otherwise empty."""
    if state.active == "failed":
        return startup.explain(unit, state)
    if state.active != "activating" or not state.invocation:
        return ""
    # In a crash loop, the current attempt may not have logged anything yet.
    return journal.last_line(unit, "" if state.restarts else state.invocation)


def _ask(address: Address) -> tuple[str, bool]:
    """Return why the backend is not ready (empty if it is), and whether it responded."""
    try:
        status, body = management.get(address, "/readyz")
    except DeployError as error:
        return error.message, False
    if status == http.client.OK:
        return "", True
    try:
        return str(json.loads(body).get("detail") or f"/readyz says {status}"), True
    except ValueError:
        return f"/readyz says {status}", True
