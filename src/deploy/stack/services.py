"""Names of the units that make up the stack."""

from __future__ import annotations

import re

from deploy.errors import DeployError
from deploy.stack import install

SOCKET = "todo-backend.socket"
"""Public socket, from which every instance accepts."""
MANAGEMENT = "todo-management.socket"
"""Management socket of the first instance."""
BACKEND = "todo-backend.service"
"""First instance; the only one by default."""
DB = "todo-db.service"
MIGRATE = "todo-migrate.service"
AI = "todo-ai.service"
WAL = "todo-wal.service"
BACKUP = "todo-backup.service"
BACKUP_TIMER = "todo-backup.timer"
DRILL = "todo-drill.service"
DRILL_DB = "todo-drill-db.service"
DRILL_TIMER = "todo-drill.timer"
UPDATE = "todo-update.service"
UPDATE_TIMER = "todo-update.timer"
SERVICES = (DB, MIGRATE, BACKEND)
"""Services of every stack, in the order of their start."""
CANDIDATE = "todo-backend@candidate.service"
"""Temporary instance with the image that an update tries."""
CANDIDATE_SOCKETS = ("todo-candidate.socket", "todo-management@candidate.socket")
"""Sockets of the candidate: for requests, and for management."""
MAX_INSTANCES = 8
"""Maximum number of instances; more would only compete for CPUs and the database."""

_BACKUPS = (WAL, BACKUP, DRILL_DB, DRILL)
_INSTANCE = re.compile(r"todo-backend(?:@(\d+))?\.service")


def find_services() -> tuple[str, ...]:
    """Return the services of this user's stack, including the installed optional parts."""
    before = (DB, MIGRATE, AI) if has_ai() else (DB, MIGRATE)
    return (*before, *find_instances(), *(_BACKUPS if has_backups() else ()))


def find_instances() -> tuple[str, ...]:
    """Return the services of the backend's instances, the first one first."""
    numbers = range(2, MAX_INSTANCES + 1)
    further = [name_instance(number) for number in numbers]
    return (BACKEND, *(unit for unit in further if _is_installed(file_of(unit))))


def find_sockets() -> tuple[str, ...]:
    """Return the socket units: the public one, and the management socket of each instance.

    The first instance has none if the public unit has both addresses, as in older versions.
    """
    units = [name_management(number_of(instance)) for instance in find_instances()]
    return (SOCKET, *(unit for unit in units if _is_installed(unit)))


def find_possible_services() -> tuple[str, ...]:
    """Return `find_services`, or all possible services if the record of units is damaged."""
    try:
        return find_services()
    except DeployError:
        numbers = range(1, MAX_INSTANCES + 1)
        return (DB, MIGRATE, AI, *(name_instance(number) for number in numbers), *_BACKUPS)


def find_possible_sockets() -> tuple[str, ...]:
    """Return `find_sockets`, or all possible sockets if the record of units is damaged."""
    try:
        return find_sockets()
    except DeployError:
        numbers = range(1, MAX_INSTANCES + 1)
        return (SOCKET, *(name_management(number) for number in numbers))


def has_ai() -> bool:
    """Return whether the local model is installed."""
    return _is_installed(file_of(AI))


def has_backups() -> bool:
    """Return whether backups are installed."""
    return _is_installed(file_of(WAL))


def has_update_timer() -> bool:
    """Return whether the update timer is installed."""
    return _is_installed(UPDATE_TIMER)


def find_timers() -> tuple[str, ...]:
    """Return the timers of the installed optional parts."""
    backups = (BACKUP_TIMER, DRILL_TIMER) if has_backups() else ()
    return (*backups, *((UPDATE_TIMER,) if has_update_timer() else ()))


def name_instance(number: int) -> str:
    """Return the service of an instance, numbered from 1."""
    return BACKEND if number == 1 else f"todo-backend@{number}.service"


def name_management(number: int) -> str:
    """Return the management socket of an instance, numbered from 1."""
    return MANAGEMENT if number == 1 else f"todo-management@{number}.socket"


def number_of(service: str) -> int:
    """Return the number of an instance's service, or 0 for other services."""
    match = _INSTANCE.fullmatch(service)
    return int(match[1] or 1) if match else 0


def container_of(service: str) -> str:
    """Return the name of a service's container."""
    return service.removesuffix(".service").replace("@", "-")


def file_of(service: str) -> str:
    """Return the name of a service's Quadlet file."""
    return f"{service.removesuffix('.service')}.container"


def _is_installed(unit: str) -> bool:
    return install.installed_text(unit) is not None
