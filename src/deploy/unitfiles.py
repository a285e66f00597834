"""The units of a folder, read from disk; the compiler itself does no I/O."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy import paths
from deploy.compiler import compile_contract
from deploy.errors import DeployError, ExitCode
from deploy.unitkeys import KINDS
from deploy.units import Unit, parse_unit

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.contract import Contract


def load_units(folder: Path = paths.QUADLET) -> tuple[Unit, ...]:
    """Every unit of a folder with its drop-ins (`NAME.d/*.conf`), sorted by name.

    Raises:
        DeployError: A file is malformed or of an unknown kind, or the folder has no units.
    """
    if not folder.is_dir():
        message = f"{folder} is not a folder"
        raise DeployError(message, hint="run this in a checkout", code=ExitCode.DATA)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        if path.suffix.removeprefix(".") not in KINDS:
            message = f"{folder.name}/{path.name}: unknown kind of unit"
            hint = f"known are .{', .'.join(KINDS)}; documentation belongs under docs/"
            raise DeployError(message, hint=hint, code=ExitCode.DATA)
    if not files:
        message = f"{folder} holds no units"
        raise DeployError(message, hint="restore it: git checkout quadlet", code=ExitCode.DATA)
    return tuple(_load(path) for path in files)


def load_contract(folder: Path = paths.QUADLET) -> Contract:
    """What the units of a folder say.

    Raises:
        DeployError: They cannot be read, or do not fit each other.
    """
    return compile_contract(load_units(folder))


def load_variants(folder: Path = paths.QUADLET) -> tuple[Unit, ...]:
    """For each drop-in that may be added (`dropins/NAME.d/*.conf`), its unit with it merged.

    Raises:
        DeployError: A file is malformed, or there is no such unit.
    """
    found = []
    for path in sorted((folder / "dropins").glob("*.d/*.conf")):
        name = f"{folder.name}/dropins/{path.parent.name}/{path.name}"
        base = folder / path.parent.name.removesuffix(".d")
        if not base.is_file():
            message = f"{name}: there is no unit {base.name}"
            raise DeployError(message, hint="name its folder NAME.d", code=ExitCode.DATA)
        unit = _load(base)
        added = parse_unit(name, _read(path))
        found.append(dataclasses.replace(unit, lines=(*unit.lines, *added.lines)))
    return tuple(found)


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
