"""Overview of the stack: units, instances, images, disks and latest errors in one object.

A part that cannot be determined is empty, and `unknown` contains the reason, so that operators of a
broken stack see the rest.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from deploy import process
from deploy.errors import DeployError
from deploy.stack import (
    backup_status,
    disks,
    drift,
    images,
    logs,
    management,
    ports,
    status,
    systemd,
    update_state,
)
from deploy.stack.lifecycle import LINGERING
from deploy.stack.services import (
    BACKEND,
    MIGRATE,
    SOCKET,
    UPDATE,
    container_of,
    find_services,
    find_sockets,
    has_update_timer,
    number_of,
)
from deploy.stack.status import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deploy.stack.backup_status import BackupStatus
    from deploy.stack.disks import Disk
    from deploy.stack.images import ImageStatus
    from deploy.stack.management import Figures
    from deploy.stack.update_state import UpdateStatus

_Found = TypeVar("_Found")

FORMAT = 1
"""Version of the JSON format; incompatible changes increase it."""

_ERRORS = 5
_SEARCHED = 5000
"""Number of log events to search: a busy backend logs them in a minute; reading takes a second."""
_TIMEOUT_S = 120.0
_INSPECTED = "{{.Name}}\t{{with .State.Health}}{{.Status}}{{end}}\t{{.Image}}\t{{.ImageName}}"


@dataclasses.dataclass(frozen=True)
class UnitStatus:
    """Status of one unit, from systemd and Podman.

    Attributes:
        unit: Name of the unit.
        active: ActiveState.
        sub: SubState.
        restarts: Number of restarts by systemd since a command last started the unit.
        health: Podman's health status of the container.
        image: ID of the container's image.
        cause: Why the unit is down, or the progress of a start; None otherwise.
        differs: How the running unit differs from its files; None if it does not.
        since: Time of the last state change; None before the first start.
        image_name: Name and tag of the image when the container was created.
    """

    unit: str
    active: str
    sub: str
    restarts: int
    health: str | None = None
    image: str | None = None
    cause: str | None = None
    differs: str | None = None
    since: str | None = None
    image_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Instance:
    """A process of the backend.

    Attributes:
        unit: Service of the instance.
        management: Address of its health checks and metrics, on the machine of the stack.
        figures: Values of its metrics; None if they are unavailable.
        unknown: Why the metrics are unavailable; None if they are available.
    """

    unit: str
    management: str | None
    figures: Figures | None
    unknown: str | None = None


@dataclasses.dataclass(frozen=True)
class Overview(Readiness):
    """Current status of the stack.

    Attributes:
        format: Version of the JSON format, `FORMAT`.
        at: Time of the status.
        user: User who owns the stack.
        linger: Whether the stack runs without a login.
        units: Sockets and services.
        instances: Processes of the backend.
        images: Images that the units use.
        disks: File systems with the data and the backups.
        backup: Status of the backups; None if they are off.
        update: Kept and refused images, and the outcome of the last update.
        errors: Latest errors of the log.
        unknown: Name of a part -> why its status is unknown.
    """

    format: int = FORMAT
    at: str = ""
    user: str = ""
    linger: bool = False
    units: tuple[UnitStatus, ...] = ()
    instances: tuple[Instance, ...] = ()
    images: tuple[ImageStatus, ...] = ()
    disks: tuple[Disk, ...] = ()
    backup: BackupStatus | None = None
    update: UpdateStatus | None = None
    errors: logs.Errors | None = None
    unknown: Mapping[str, str] = dataclasses.field(default_factory=dict)


class _Finder:
    """Collects the parts of the overview, and records why a part is unknown."""

    def __init__(self) -> None:
        self.unknown: dict[str, str] = {}

    def find(self, part: str, find: Callable[[], _Found]) -> _Found | None:
        try:
            return find()
        except DeployError as error:
            self.unknown[part] = error.message
        except (OSError, ValueError, LookupError) as error:
            self.unknown[part] = f"{type(error).__name__}: {error}"
        return None


def find() -> Overview:
    """Return the overview from systemd, Podman and the backend; failures are in its `unknown`."""
    finder = _Finder()
    checked = finder.find("readiness", status.check_all)
    if checked is None:
        reason = finder.unknown["readiness"]
        now = Readiness(None, ready=False, reason=reason, state=status.UNKNOWN)
        checked = now, {BACKEND: now}
    now, instances = checked
    user = pwd.getpwuid(os.getuid()).pw_name
    units = _find_units(finder, instances)
    return Overview(
        **dataclasses.asdict(now),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        user=user,
        linger=(LINGERING / user).exists(),
        units=units,
        instances=finder.find("instances", lambda: _find_instances(instances)) or (),
        images=(finder.find("images", images.find) or ()) if now.state != status.ABSENT else (),
        disks=(
            *(finder.find("disks", disks.find) or ()),
            *(finder.find("disk of backups", backup_status.find_disks) or ()),
        ),
        backup=finder.find("backup", backup_status.find),
        update=finder.find("update", lambda: update_state.find_status(_find_image(units))),
        errors=finder.find("errors", _find_errors),
        unknown=finder.unknown,
    )


def to_json_dict(found: Overview) -> dict[str, Any]:
    """Return the overview as a JSON object for `status --json`."""
    shown = dataclasses.asdict(found)
    if found.errors is not None:
        shown["errors"]["latest"] = [line.as_dict() for line in found.errors.latest]
    return shown


def _find_errors() -> logs.Errors:
    is_planned = update_state.find_planned_errors().covers
    return logs.find_errors(_ERRORS, search=_SEARCHED, is_planned=is_planned)


def _find_image(units: tuple[UnitStatus, ...]) -> str | None:
    """Return the image digest of the first instance."""
    found = (unit.image for unit in units if unit.unit == BACKEND and unit.image)
    return next((f"sha256:{image}" for image in found), None)


def _find_units(finder: _Finder, instances: Mapping[str, Readiness]) -> tuple[UnitStatus, ...]:
    names = finder.find("units", _find_names) or (SOCKET,)
    states = finder.find("units", lambda: systemd.states(names)) or {}
    containers = finder.find("containers", _inspect_containers) or {}
    differing = finder.find("drift", lambda: {**drift.find_outdated(), **drift.find_unread()}) or {}
    return tuple(
        _unit_status(
            unit,
            state,
            containers.get(unit, ("", "", "")),
            differing.get(unit),
            status.find_trouble(state, instances[unit]) if unit in instances else "",
        )
        for unit, state in states.items()
    )


def _find_names() -> tuple[str, ...]:
    return (*find_sockets(), *find_services(), *((UPDATE,) if has_update_timer() else ()))


def _unit_status(
    unit: str,
    state: systemd.UnitState,
    container: tuple[str, str, str],
    differs: str | None,
    trouble: str,
) -> UnitStatus:
    health, image, image_name = container
    return UnitStatus(
        unit=unit,
        active=state.active,
        sub=state.sub,
        restarts=state.restarts,
        health=health or None,
        image=image or None,
        cause=status.find_cause(unit, state) or trouble or None,
        differs=differs,
        since=state.since.isoformat() if state.since else None,
        image_name=image_name or None,
    )


def _inspect_containers() -> dict[str, tuple[str, str, str]]:
    """Return service -> health, image ID and image name of its container, if that exists."""
    services = {container_of(unit): unit for unit in find_services() if unit != MIGRATE}
    inspect = ["podman", "container", "inspect", f"--format={_INSPECTED}", *services]
    # Podman fails if a container does not exist, but prints the others.
    shown = process.run(inspect, check=False, timeout_s=_TIMEOUT_S).stdout
    found = {}
    for line in shown.splitlines():
        name, health, image, image_name = line.split("\t")
        found[services[name]] = (health, image, image_name)
    return found


def _find_instances(instances: Mapping[str, Readiness]) -> tuple[Instance, ...]:
    return tuple(_find_instance(unit, now) for unit, now in instances.items())


def _find_instance(unit: str, now: Readiness) -> Instance:
    """Return an instance; query it only if it is up, because a connection would start it."""
    address = ports.find_management(number_of(unit))
    if address is None:
        return Instance(unit, None, None, "it has no address for management")
    if not now.answers:
        return Instance(unit, address.url, None, now.reason)
    try:
        return Instance(unit, address.url, management.fetch_figures(address))
    except DeployError as error:
        return Instance(unit, address.url, None, error.message)
