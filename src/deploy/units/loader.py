"""Loader of the units in a folder; the compiler itself does no I/O."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy import paths
from deploy.errors import DeployError, ExitCode
from deploy.units.compiler import compile_contract
from deploy.units.keys import KINDS
from deploy.units.parser import Unit, parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deploy.units.spec import Contract

_OPTIONAL = "dropins"
"""Folder of the optional drop-ins; drop-ins beside a unit always apply."""

AI_UNITS = ("todo-ai-socket.volume", "todo-ai.container", "todo-model.volume")
"""Optional units of the local model."""
BACKUP_UNITS = (
    *("todo-backup.container", "todo-backup.timer", "todo-wal.container"),
    *("todo-drill-db.container", "todo-drill.container", "todo-drill.timer", "todo-drill.volume"),
)
"""Optional units of backups, which the manifest does not include."""
UPDATE_UNITS = ("todo-update.timer",)
"""Optional timer of updates; its service is created with the path of the checkout."""
AI_DROPIN = "todo-backend.container.d/40-ai.conf"
"""Optional drop-in that connects the backend to the local model."""
INSTANCES_UNITS = ("todo-instances.volume",)
"""Optional units for several instances of the backend."""
POSTGRESQL_DROPIN = "todo-db.container.d/30-postgresql-{major}.conf"
"""Optional drop-in that changes the major version of PostgreSQL."""
INSTANCES_DROPIN = "todo-backend.container.d/30-instances.conf"
"""Optional drop-in for several instances of the backend."""


def load_units(
    folder: Path = paths.QUADLET,
    *,
    ai: bool = False,
    instances: bool = False,
    backup: bool = False,
    update: bool = False,
    major: str = "",
) -> tuple[Unit, ...]:
    """Load the units of a folder with their drop-ins (`NAME.d/*.conf`), sorted by name.

    `ai`, `instances`, `backup` and `update` include the optional units and drop-ins. `major` is the
    major version of PostgreSQL if it differs from that of the units.

    Raises:
        DeployError: A file is malformed, the folder contains no units, or a file in it is neither a
            unit nor a drop-in of a unit.
    """
    if not folder.is_dir():
        message = f"{folder} is not a folder"
        raise DeployError(message, hint="run this in a checkout", code=ExitCode.DATA)
    _require_known(folder)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if not files:
        message = f"{folder} contains no units"
        raise DeployError(message, hint="restore it: git checkout quadlet", code=ExitCode.DATA)
    left_out = {
        *(() if ai else AI_UNITS),
        *(() if instances else INSTANCES_UNITS),
        *(() if backup else BACKUP_UNITS),
        *(() if update else UPDATE_UNITS),
    }
    wanted = [path for path in files if path.name not in left_out]
    added: dict[str, list[tuple[str, str]]] = {}
    database = [POSTGRESQL_DROPIN.format(major=major)] if major else []
    for name in [INSTANCES_DROPIN] * instances + [AI_DROPIN] * ai + database:
        path = folder / _OPTIONAL / name
        shown = f"{folder.name}/{path.relative_to(folder)}"
        added.setdefault(path.parent.name, []).append((shown, _read(path)))
    return tuple(_merge(_load(path), added.get(f"{path.name}.d", ())) for path in wanted)


def load_contract(
    folder: Path = paths.QUADLET, *, ai: bool = False, backup: bool = False, major: str = ""
) -> Contract:
    """Load and compile the units of a folder, with optional parts as in `load_units`."""
    return compile_contract(load_units(folder, ai=ai, backup=backup, major=major))


def load_variants(folder: Path = paths.QUADLET) -> tuple[Unit, ...]:
    """Load a unit for each optional drop-in (`dropins/NAME.d/*.conf`), merged with the drop-in."""
    _require_known(folder)
    found = []
    for path in sorted((folder / _OPTIONAL).glob("*.d/*.conf")):
        name = f"{folder.name}/{path.relative_to(folder)}"
        unit = _load(folder / path.parent.name.removesuffix(".d"))
        found.append(_merge(unit, [(name, _read(path))]))
    return tuple(found)


def _merge(unit: Unit, added: Iterable[tuple[str, str]]) -> Unit:
    parsed = [parse_unit(name, text) for name, text in added]
    lines = (line for each in parsed for line in each.lines)
    return dataclasses.replace(unit, lines=(*unit.lines, *lines))


def _require_known(folder: Path) -> None:
    """Raise DeployError for files that are neither units nor drop-ins: they would go unchecked."""
    for path in sorted(folder.rglob("*")):
        problem, hint = _find_problem(folder, path)
        if problem:
            message = f"{folder.name}/{path.relative_to(folder)}: {problem}"
            raise DeployError(message, hint=hint, code=ExitCode.DATA)


def _find_problem(folder: Path, path: Path) -> tuple[str, str]:
    """Return the problem of a file or folder and the remedy, both empty if it is allowed."""
    *above, name = path.relative_to(folder).parts
    optional = above[:1] == [_OPTIONAL]
    depth = len(above) - optional
    if path.is_dir() and not path.is_symlink():
        unit = name.removesuffix(".d")
        if depth or (unit == name and path != folder / _OPTIONAL):
            return "unknown folder", f"known are {_OPTIONAL} and, in it or beside it, NAME.d"
        if unit != name and not (folder / unit).is_file():
            return f"the unit {unit} does not exist", "name the folder of its drop-ins NAME.d"
    elif depth or optional:
        if not (depth and path.suffix == ".conf" and path.is_file()):
            return "unknown kind of file", "drop-ins are NAME.d/*.conf"
    elif path.suffix.removeprefix(".") not in KINDS or not path.is_file():
        hint = f"known are .{', .'.join(KINDS)}; documentation belongs under docs/"
        return "unknown kind of unit", hint
    return "", ""


def _load(path: Path) -> Unit:
    drop_ins = sorted(path.with_name(f"{path.name}.d").glob("*.conf"))
    named = [(f"{path.parent.name}/{path.name}.d/{each.name}", _read(each)) for each in drop_ins]
    return parse_unit(f"{path.parent.name}/{path.name}", _read(path), named)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = f"{path.parent.name}/{path.name}:{line}: not UTF-8"
        raise DeployError(message, hint="save it as UTF-8", code=ExitCode.DATA) from None
