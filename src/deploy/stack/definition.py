"""The definition of a unit on disk: its file and every drop-in that systemd or Quadlet merges.

What is read here is what the next daemon-reload will load, which is not always what runs.
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
    """Return the definition of a socket or a container, with its drop-ins merged.

    Args:
        name: `todo-backend.socket`, or `todo-backend.container`, whose [Service] section includes
            the drop-ins of `todo-backend.service`.
        text: Text of a unit to install; None uses the installed unit.

    Raises:
        DeployError: The unit is not installed, or a file is malformed.
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
    # One after the other: the drop-ins of a container's service come behind all of its own.
    units = [parse_unit(path, text) for path, text in parts]
    return Unit(parts[0][0], tuple(line for unit in units for line in unit.lines))


def find_files(name: str) -> list[Path]:
    """The unit's file and its drop-ins, in the order in which they are merged; [] without a file.

    Args:
        name: As for `load`.
    """
    main = install.destination(name)
    if not main.is_file():
        return []
    return [main, *find_drop_ins(name)]


def find_drop_ins(name: str) -> list[Path]:
    """Return the drop-ins of a unit, in the order in which they are merged.

    Args:
        name: As for `load`.
    """
    found = _drop_ins(name, _quadlet_folders() if _is_quadlet(name) else _unit_folders())
    if _is_quadlet(name):
        service = f"{name.rpartition('.')[0]}.service"
        found += _drop_ins(service, _unit_folders())
    return found


def _is_quadlet(name: str) -> bool:
    return name.endswith(".container")


def _drop_ins(name: str, folders: Sequence[Path]) -> list[Path]:
    """Sorted by file name; of two with the same name the one of the first folder counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        for each in _drop_in_names(name):
            for path in (folder / each).glob("*.conf"):
                found.setdefault(path.name, path)
    # A link to /dev/null masks a drop-in of the same name.
    return [found[key] for key in sorted(found) if found[key].is_file()]


def _drop_in_names(name: str) -> Iterator[str]:
    """`a-b@2.socket.d`, `a-b@.socket.d`, `a-.socket.d`, `socket.d`: the most specific one first."""
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
    """Return the unit folders of a user's systemd, by precedence (systemd.unit(5))."""
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
    """Return the folders of a user's Quadlet (podman-systemd.unit(5))."""
    shared = Path("/etc/containers/systemd/users")
    return [
        runtime_folder() / "containers" / "systemd",
        install.destination("x.container").parent,
        shared / str(os.getuid()),
        shared,
    ]


def runtime_folder() -> Path:
    """Return the user's runtime folder."""
    environ = {**os.environ, **user_session.find_missing(os.environ)}
    return Path(environ.get(user_session.RUNTIME) or user_session.folder_of(os.getuid()))
