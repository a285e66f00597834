"""Definitions of units on disk: a unit's file with the drop-ins that systemd or Quadlet merges.

The next daemon-reload loads these definitions; running units may still use older ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import command_hints, user_session
from deploy.errors import DeployError, ExitCode
from deploy.stack import install
from deploy.units.parser import Unit, parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def load(name: str, text: str | None = None) -> Unit:
    """Return the definition of a socket or container unit, with its drop-ins merged.

    Args:
        name: `todo-backend.socket`, or `todo-backend.container`, whose [Service] section includes
            the drop-ins of `todo-backend.service`.
        text: Text of a unit that is about to be installed; None reads the installed unit.

    Raises:
        DeployError: The unit is not installed, or a file is unreadable or malformed.
    """
    try:
        paths = find_files(name) if text is None else find_drop_ins(name)
        parts = [(str(path), path.read_text(encoding="utf-8")) for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the definition of {name}: {error}"
        raise DeployError(message, hint="make the file readable", code=ExitCode.DATA) from None
    if text is not None:
        parts.insert(0, (str(install.destination(name)), text))
    if not parts:
        message = f"{name} is not installed for this user"
        raise DeployError(message, hint=command_hints.build("up"), code=ExitCode.CONFIG)
    # Merge order: drop-ins of a container's service follow those of the container.
    units = [parse_unit(path, text) for path, text in parts]
    return Unit(parts[0][0], tuple(line for unit in units for line in unit.lines))


def find_files(name: str) -> list[Path]:
    """Return a unit's file and its drop-ins in merge order, or [] if the file is missing."""
    main = install.destination(name)
    if not main.is_file():
        return []
    return [main, *find_drop_ins(name)]


def find_drop_ins(name: str) -> list[Path]:
    """Return a unit's drop-ins in merge order, including those of a container's service."""
    found = _drop_ins(name, _quadlet_folders() if _is_quadlet(name) else _unit_folders())
    if _is_quadlet(name):
        service = f"{name.rpartition('.')[0]}.service"
        found += _drop_ins(service, _unit_folders())
    return found


def _is_quadlet(name: str) -> bool:
    return name.endswith(".container")


def _drop_ins(name: str, folders: Sequence[Path]) -> list[Path]:
    """Return drop-ins sorted by file name; earlier folders override later ones."""
    found: dict[str, Path] = {}
    for folder in folders:
        for each in _drop_in_names(name):
            for path in (folder / each).glob("*.conf"):
                found.setdefault(path.name, path)
    # A link to /dev/null masks a drop-in of the same name.
    return [found[key] for key in sorted(found) if found[key].is_file()]


def _drop_in_names(name: str) -> Iterator[str]:
    """Yield folder names, most specific first: `a-b@2.socket.d`, `a-b@.socket.d`, …, `socket.d`."""
    stem, _, suffix = name.rpartition(".")
    yield f"{name}.d"
    stem, at, _ = stem.partition("@")
    if at:
        yield f"{stem}@.{suffix}.d"
    while "-" in stem:
        stem = stem.rpartition("-")[0]
        yield f"{stem}-.{suffix}.d"
    yield f"{suffix}.d"


def _unit_folders() -> list[Path]:
    """Return the folders of the user's systemd units, in order of precedence (systemd.unit(5))."""
    config = install.destination("x.socket").parent
    runtime = runtime_folder() / "systemd"
    return [
        config.with_name("user.control"),
        runtime / "user.control",
        config,
        Path("/etc/systemd/user"),
        runtime / "user",
        Path("/usr/lib/systemd/user"),
    ]


def _quadlet_folders() -> list[Path]:
    """Return the folders of the user's Quadlet files (podman-systemd.unit(5))."""
    shared = Path("/etc/containers/systemd/users")
    return [
        runtime_folder() / "containers" / "systemd",
        install.destination("x.container").parent,
        shared / str(os.getuid()),
        shared,
    ]


def runtime_folder() -> Path:
    """Return the user's runtime folder: XDG_RUNTIME_DIR, or its default."""
    environ = {**os.environ, **user_session.find_missing(os.environ)}
    return Path(environ.get(user_session.RUNTIME) or user_session.folder_of(os.getuid()))
