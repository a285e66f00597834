"""Temporary units of an update: the migration and the candidate, derived from shipped units."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deploy.stack import install, instances
from deploy.stack.install import Link
from deploy.stack.services import (
    BACKEND,
    CANDIDATE,
    CANDIDATE_SOCKETS,
    MIGRATE,
    SOCKET,
    container_of,
    file_of,
    find_instances,
)
from deploy.units import loader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.stack.update_state import Record

MIGRATION = "todo-update-migrate.service"
"""Unit of the expand migration; a restart of todo-migrate would stop the backend."""
_BACKEND, _MIGRATE = file_of(BACKEND), file_of(MIGRATE)
SOURCES = (_BACKEND, _MIGRATE)
"""Unit files that belong to an image of the backend."""

_INSTALL = re.compile(r"(?m)^\[Install\]\n(?:(?!\[).*\n?)*")
_MADE = "# Made by `build.py update`, which removes it.\n"
_NAMES = dict(zip(CANDIDATE_SOCKETS, ("public", "management"), strict=True))


def find_path(socket: str) -> str:
    """Return the path of a candidate's socket, with the specifier `%t` of systemd."""
    return f"%t/todo-backend/{socket.removesuffix('.socket').replace('@', '-')}"


def find_sources(units: Mapping[str, str | Link]) -> dict[str, str]:
    """Return the given unit files that belong to an image of the backend."""
    return {name: text for name in SOURCES if isinstance(text := units.get(name), str)}


def render_sources(record: Record) -> dict[str, str | Link]:
    """Return all unit files of the stack after an update, including those of the new image."""
    found = {**record.units, **record.sources}
    if instances.TEMPLATE in record.units:
        found[instances.TEMPLATE] = instances.render_template(record.sources[_BACKEND])
    return found


def render_migration(record: Record, *, contracts: bool = False) -> dict[str, str | Link]:
    """Return the unit of the migration or contract step, derived from `todo-migrate`."""
    name = f"ContainerName={container_of(MIGRATION)}\n"
    text = record.sources[_MIGRATE].replace("ContainerName=todo-migrate\n", name)
    if contracts:
        text = re.sub(r"(?m)^(Exec=.*)$", r"\1 --contract", text)
    return {
        file_of(MIGRATION): _finish(text, record),
        **_link_dropins({file_of(MIGRATION): _MIGRATE, MIGRATION: MIGRATE}),
    }


def render_candidate(record: Record, *, shared: bool) -> dict[str, str | Link]:
    """Return the candidate's units; if `shared`, it also accepts from the public socket."""
    number = len(find_instances())
    made = instances.render_template(record.sources[_BACKEND]).replace("%i", "candidate")
    inherited = " ".join(CANDIDATE_SOCKETS)
    sockets = f"Sockets={SOCKET} {inherited}" if shared else f"Sockets={inherited}"
    made = re.sub(r"(?m)^Sockets=.*$", sockets, made)
    shipped = install.shipped(instances=True)
    dropin = _render_dropin(instances.find_pool(number), shared=shared, mount=number == 1)
    return {
        **{name: shipped[name] for name in loader.INSTANCES_UNITS},
        file_of(CANDIDATE): _finish(made, record),
        f"{file_of(CANDIDATE)}.d/90-candidate.conf": dropin,
        **{name: _render_socket(name) for name in CANDIDATE_SOCKETS},
        # The user's drop-ins apply to all instances.
        **_link_dropins({instances.TEMPLATE: _BACKEND, "todo-backend@.service": BACKEND}),
    }


def _link_dropins(links: Mapping[str, str]) -> dict[str, str | Link]:
    """Return links to the drop-in folders of other units, if these exist."""
    return {
        f"{unit}.d": Link(f"{other}.d")
        for unit, other in links.items()
        if install.destination(f"{other}.d").is_dir()
    }


def _finish(text: str, record: Record) -> str:
    """Return a unit with the candidate's image and without its [Install] section."""
    text = re.sub(r"(?m)^Image=.*$", f"Image={record.candidate.reference}", text)
    return _MADE + _INSTALL.sub("", text)


def _render_dropin(pool: int | None, *, shared: bool, mount: bool) -> str:
    file = f"{instances.FOLDER}/candidate" if shared else "/tmp/candidate"  # noqa: S108 - in its own tmpfs
    lines = [
        _MADE.rstrip(),
        "[Container]",
        *([f"Volume=todo-instances.volume:{instances.FOLDER}:U"] if mount else []),
        f"Environment=TODO_INSTANCE_FILE={file}",
        f"Environment=TODO_MANAGEMENT_BIND=unix:{find_path(CANDIDATE_SOCKETS[1])}",
        *([f"Environment=TODO_DATABASE_POOL_SIZE={pool}"] if pool else []),
        "[Service]",
        "# Its first end decides.",
        "Restart=no",
        "",
    ]
    return "\n".join(lines)


def _render_socket(name: str) -> str:
    lines = [
        _MADE.rstrip(),
        "[Socket]",
        f"ListenStream={find_path(name)}",
        f"FileDescriptorName={_NAMES[name]}",
        f"Service={CANDIDATE}",
        "SocketMode=0600",
        "RemoveOnStop=yes",
        "",
    ]
    return "\n".join(lines)
