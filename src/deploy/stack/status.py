"""The state of the stack: what systemd, Podman and the backend itself say."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
from typing import TYPE_CHECKING

from deploy import advice, tools
from deploy.stack import systemd
from deploy.stack.services import BACKEND, DB, SERVICES, SOCKET

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISHED_URL = "BUILD_PUBLISHED_URL"
"""Variable with the public address as seen from outside, where a lab publishes another port."""
PUBLISHED_MANAGEMENT = "BUILD_PUBLISHED_MANAGEMENT"
"""The same for the address of health and metrics."""


@dataclasses.dataclass(frozen=True)
class UnitStatus:
    """What systemd and Podman say of one unit."""

    unit: str
    active: str
    sub: str
    restarts: int
    health: str | None = None
    image: str | None = None


@dataclasses.dataclass(frozen=True)
class Status:
    """The stack as it is now.

    Attributes:
        url: Where the public API listens, or None when the socket is down.
        ready: Whether the backend says that it can serve requests.
        reason: Why it is not ready; empty when it is.
        units: The socket and the three services.
        management: Where health and metrics are, or None when no address leads there.
    """

    url: str | None
    ready: bool
    reason: str
    units: tuple[UnitStatus, ...]
    management: str | None = None


def find() -> Status:
    """Ask systemd, Podman and the backend itself."""
    addresses = systemd.listening(SOCKET) if systemd.is_active(SOCKET) else []
    units = tuple(_unit_status(unit) for unit in (SOCKET, *SERVICES))
    if not addresses:
        return Status(None, ready=False, reason=f"{SOCKET} is not listening", units=units)
    url = os.environ.get(PUBLISHED_URL) or f"http://{addresses[0]}"
    management = _management_url(addresses)
    backend = next(unit for unit in units if unit.unit == BACKEND)
    if backend.active != "active":
        # Asking would start it: that is what a socket unit is for.
        reason = f"{BACKEND} is {backend.active}"
        return Status(url, ready=False, reason=reason, units=units, management=management)
    reason = _not_ready_reason(addresses[0])
    return Status(url, ready=not reason, reason=reason, units=units, management=management)


def _management_url(addresses: Sequence[str]) -> str | None:
    """Where the reader finds health and metrics: in a lab, only through a published port."""
    if PUBLISHED_MANAGEMENT in os.environ:
        return os.environ[PUBLISHED_MANAGEMENT]
    if advice.LAB in os.environ or len(addresses) < 2:  # noqa: PLR2004 - the second one
        return None
    return f"http://{addresses[1]}"


def _unit_status(unit: str) -> UnitStatus:
    shown = systemd.properties(unit, "ActiveState", "SubState", "NRestarts")
    health = running = None
    if unit in (DB, BACKEND):
        inspected = tools.run(
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
        active=shown.get("ActiveState", "unknown"),
        sub=shown.get("SubState", "unknown"),
        restarts=int(shown.get("NRestarts") or 0),
        health=health or None,
        image=running,
    )


def _not_ready_reason(address: str) -> str:
    """Empty when /readyz answers 200, else what it or the connection says."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        return f"no answer from {address}: {error}"
    finally:
        connection.close()
    if response.status == http.client.OK:
        return ""
    try:
        return str(json.loads(body).get("detail") or f"/readyz says {response.status}")
    except ValueError:
        return f"/readyz says {response.status}"
