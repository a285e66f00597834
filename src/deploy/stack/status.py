"""The state of the stack: what systemd, Podman and the backend itself say."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
from typing import TYPE_CHECKING

from deploy import command_hints, process
from deploy.stack import drift, install, journal, ports, startup, systemd
from deploy.stack.services import AI, BACKEND, DB, SOCKET, find_services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.stack.addresses import Address

PUBLISHED_URL = "BUILD_PUBLISHED_URL"
"""Variable with the public address as seen from outside, where a lab publishes another port."""
PUBLISHED_MANAGEMENT = "BUILD_PUBLISHED_MANAGEMENT"
"""The same for the address of health and metrics."""

READY, NOT_READY, STOPPED, ABSENT = "ready", "not ready", "stopped", "not installed"

_PROBE_TIMEOUT_S = 20.0
"""Far above the backend's own answer within a second, for a machine that is busy."""


@dataclasses.dataclass(frozen=True)
class UnitStatus:
    """What systemd and Podman say of one unit.

    Attributes:
        unit: Its name.
        active: ActiveState.
        sub: SubState.
        restarts: How often systemd restarted it since it was last started by a command.
        health: Podman's verdict on its container.
        image: Id of the image that its container runs.
        cause: Why it is not up, or what a start says; None when there is nothing to say.
        differs: How what runs differs from the unit's files; None when it does not.
    """

    unit: str
    active: str
    sub: str
    restarts: int
    health: str | None = None
    image: str | None = None
    cause: str | None = None
    differs: str | None = None


@dataclasses.dataclass(frozen=True)
class Readiness:
    """Whether the stack serves.

    Attributes:
        url: Where the public API listens, or None when the socket is down.
        ready: Whether the backend says that it can serve requests.
        reason: Why it is not ready, or not there at all; empty when it is ready.
        management: Where health and metrics are, or None when no address leads there.
        state: "ready", "not ready", "stopped" or "not installed".
    """

    url: str | None
    ready: bool
    reason: str
    management: str | None = None
    state: str = NOT_READY


@dataclasses.dataclass(frozen=True)
class Status(Readiness):
    """The stack as it is now.

    Attributes:
        units: The socket and the services.
    """

    units: tuple[UnitStatus, ...] = ()


def find() -> Status:
    """Ask systemd, Podman and the backend itself, and compare what runs with its files."""
    now = check()
    differing = {**drift.find_outdated(), **drift.find_unread()}
    units = tuple(_unit_status(unit, differing.get(unit)) for unit in (SOCKET, *find_services()))
    return Status(**dataclasses.asdict(now), units=units)


def check() -> Readiness:
    """Ask systemd, and the backend where that does not start it."""
    addresses = ports.loaded() if systemd.is_active(SOCKET) else []
    backend = systemd.state(BACKEND)
    reason = describe(BACKEND, backend)
    if not addresses and {backend.active, systemd.state(SOCKET).active} == {"inactive"}:
        state = STOPPED if install.is_installed() else ABSENT
        reason = f"{command_hints.build('up')} starts it"
        return Readiness(None, ready=False, reason=reason, state=state)
    if not addresses:
        down = f"{SOCKET} is not listening"
        return Readiness(None, ready=False, reason=f"{down}; {reason}" if reason else down)
    url = os.environ.get(PUBLISHED_URL) or addresses[0].url
    # Asking a backend that is down would start it: that is what a socket unit is for.
    reason = reason or _ask(addresses[0])
    database = describe(DB, systemd.state(DB)) if reason else ""
    reason = f"{reason}; {database}" if database else reason
    state = NOT_READY if reason else READY
    return Readiness(url, not reason, reason, _management_url(addresses), state)


def find_management() -> str | None:
    """Where health and metrics are, or None when no address leads there."""
    return _management_url(ports.loaded())


def _management_url(addresses: Sequence[Address]) -> str | None:
    """Where the reader finds health and metrics: in a lab, only through a published port."""
    if PUBLISHED_MANAGEMENT in os.environ:
        return os.environ[PUBLISHED_MANAGEMENT]
    if command_hints.in_lab() or len(addresses) < 2:  # noqa: PLR2004 - the second one
        return None
    return addresses[1].url


def describe(unit: str, state: systemd.UnitState) -> str:
    """Why a unit is not up, with the most informative line of its log; empty when it is up."""
    if state.active == "active":
        return ""
    words = f"{unit} is {state.active}"
    if state.active == "activating":
        words = f"{words} ({state.sub})"
    if state.restarts:
        words = f"{words}, {state.restarts} restart{'' if state.restarts == 1 else 's'}"
    cause = _find_cause(unit, state)
    return f"{words}: {cause}" if cause else words


def _find_cause(unit: str, state: systemd.UnitState) -> str:
    if state.active == "failed":
        return startup.explain(unit, state)
    if state.active != "activating" or not state.invocation:
        return ""
    # In a crash loop the attempt that runs now has nothing to say yet.
    return journal.last_line(unit, "" if state.restarts else state.invocation)


def _unit_status(unit: str, differs: str | None) -> UnitStatus:
    state = systemd.state(unit)
    health = running = None
    if unit in (AI, DB, BACKEND):
        inspected = process.run(
            [
                "podman",
                "container",
                "inspect",
                "--format={{.State.Health.Status}} {{.Image}}",
                unit.removesuffix(".service"),
            ],
            check=False,
        )
        if inspected.returncode == 0:
            health, _, running = inspected.stdout.strip().rpartition(" ")
    return UnitStatus(
        unit=unit,
        active=state.active,
        sub=state.sub,
        restarts=state.restarts,
        health=health or None,
        image=running,
        cause=_find_cause(unit, state) or None,
        differs=differs,
    )


def _ask(address: Address) -> str:
    """Empty when /readyz answers 200, otherwise what it or the connection says."""
    if not (address.port or address.path):
        return f"{address.text} cannot be asked: it is neither a TCP address nor a path"
    connection = address.open_http(_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from {address.text}: {error}"
    finally:
        connection.close()
    if response.status == http.client.OK:
        return ""
    try:
        return str(json.loads(body).get("detail") or f"/readyz says {response.status}")
    except ValueError:
        return f"/readyz says {response.status}"
