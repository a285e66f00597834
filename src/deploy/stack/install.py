"""Installation of the stack's unit files, and removal of exactly the installed files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import atomic_write, command_hints
from deploy.errors import DeployError, ExitCode
from deploy.paths import QUADLET, state_dir
from deploy.units import loader

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUADLET_SUFFIXES = (".container", ".volume", ".network", ".pod", ".kube", ".image", ".build")


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link to a file or folder (`target`) in the same folder."""

    target: str


def _config_home() -> Path:
    value = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(value) if Path(value).is_absolute() else Path.home() / ".config"


def destination(unit: str) -> Path:
    """Return the path of a unit file or drop-in in Quadlet's or systemd's folder.

    Args:
        unit: Path relative to the folder, such as `todo-db.container` or
            `todo-backend.socket.d/50-port.conf`.
    """
    owner = unit.split("/", maxsplit=1)[0].removesuffix(".d")
    if owner.endswith(_QUADLET_SUFFIXES):
        return _config_home() / "containers" / "systemd" / unit
    return _config_home() / "systemd" / "user" / unit


def shipped(
    *, ai: bool = False, instances: bool = False, backup: bool = False, update: bool = False
) -> dict[str, str]:
    """Return this checkout's units with the chosen optional parts: file name -> text."""
    found = {path.name: path.read_text() for path in sorted(QUADLET.iterdir()) if path.is_file()}
    for wanted, units, dropin in (
        (ai, loader.AI_UNITS, loader.AI_DROPIN),
        (instances, loader.INSTANCES_UNITS, loader.INSTANCES_DROPIN),
        (backup, loader.BACKUP_UNITS, None),
        (update, loader.UPDATE_UNITS, None),
    ):
        if not wanted:
            found = {name: text for name, text in found.items() if name not in units}
        elif dropin is not None:
            found[dropin] = (QUADLET / "dropins" / dropin).read_text()
    return found


def install(units: Mapping[str, str | Link]) -> set[str]:
    """Write the units, remove other installed files, and return the names of the changed units.

    Args:
        units: Path as for `destination` -> text, or link.

    Raises:
        DeployError: A file comes from another source, or was edited; nothing is written.
    """
    record = _read_record()
    wanted = {str(destination(name)): (name, text) for name, text in units.items()}
    for path in sorted({*wanted, *record}):
        content = _render(wanted[path][1]) if path in wanted else None
        _refuse_foreign(Path(path), record.get(path), content)
    digests = {path: _digest(_render(unit)) for path, (_, unit) in wanted.items()}
    if digests != record:
        # After an interruption, a file may have either its old or its new content.
        both = {path: _find_digests(path, record, digests) for path in {*record, *digests}}
        _write_record({path: " ".join(found) for path, found in both.items()})
    changed = set()
    for path, (name, unit) in wanted.items():
        target = Path(path)
        if _find_content(target) != _render(unit):
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, unit)
            changed.add(name)
    for path in set(record) - set(wanted):
        _remove(Path(path))
        changed.add(Path(path).name)
    if digests != record:
        _write_record(digests)
    return changed


def refuse_edited() -> None:
    """Raise DeployError if a file that `install` wrote was edited since."""
    for path, recorded in sorted(_read_record().items()):
        _refuse_foreign(Path(path), recorded, None)


def find_dropins() -> list[Path]:
    """Return the user's drop-ins for this checkout's units: those that `install` did not write."""
    record = _read_record()
    # Optional parts are included, because they may have been installed before.
    units = (*shipped(ai=True, instances=True, backup=True, update=True), "todo-update.service")
    folders = {Path(f"{destination(unit)}.d") for unit in units}
    for pattern in ("todo-backend@*.container", "todo-management@*.socket"):
        folders.update(destination(pattern).parent.glob(f"{pattern}.d"))
    # Links lead to folders that are already in the set.
    folders = {folder for folder in folders if not folder.is_symlink()}
    found = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return sorted(path for path in found if str(path) not in record)


def uninstall() -> list[Path]:
    """Remove every file that `install` wrote and return their paths.

    Raises:
        DeployError: A file was edited since; nothing is removed.
    """
    refuse_edited()
    removed = [Path(path) for path in sorted(_read_record())]
    for target in removed:
        _remove(target)
    _record_path().unlink(missing_ok=True)
    return removed


def is_installed() -> bool:
    """Return whether `install` has run for this user."""
    return bool(_read_record())


def read_installed() -> dict[str, str | Link]:
    """Return the current content of the files that `install` wrote, as an argument of `install`."""
    folders = [destination(unit).parent for unit in ("x.container", "x.socket")]
    found: dict[str, str | Link] = {}
    for path in map(Path, sorted(_read_record())):
        name = next(str(path.relative_to(each)) for each in folders if path.is_relative_to(each))
        if path.is_symlink():
            found[name] = Link(str(path.readlink()))
        elif path.is_file():
            found[name] = path.read_text()
    return found


def installed_text(unit: str) -> str | None:
    """Return the text of a file that `install` wrote, or None."""
    path = destination(unit)
    if str(path) not in _read_record() or not path.exists():
        return None
    return path.read_text()


def _render(unit: str | Link) -> str:
    """Return the content whose digest is recorded."""
    return f"link to {unit.target}" if isinstance(unit, Link) else unit


def _find_content(path: Path) -> str | None:
    """Return the content of an existing file in the form of `_render`, or None."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.is_dir():
        return "folder"
    return path.read_text() if path.exists() else None


def _write(target: Path, unit: str | Link) -> None:
    if isinstance(unit, Link):
        target.unlink(missing_ok=True)
        target.symlink_to(unit.target)
    else:
        atomic_write.write_text(target, unit)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    # Remove an empty drop-in folder, but not one with files of the user.
    folder = path.parent
    is_folder = folder.is_dir() and not folder.is_symlink()
    if folder.suffix == ".d" and is_folder and not any(folder.iterdir()):
        folder.rmdir()


def _refuse_foreign(path: Path, recorded: str | None, wanted: str | None) -> None:
    content = _find_content(path)
    if content is None or content == wanted or _digest(content) in (recorded or "").split():
        return
    why = "was edited after it was installed" if recorded else "was not installed by build.py"
    raise DeployError(
        f"{path} {why}",
        hint=f"move your changes to a drop-in, {path.name}.d/*.conf, and the file aside: "
        f"{command_hints.shell(f'mv {path} {path}.mine')}",
        code=ExitCode.CONFIG,
    )


def _record_path() -> Path:
    return state_dir() / "installed.json"


def _read_record() -> dict[str, str]:
    try:
        record: dict[str, str] = json.loads(_record_path().read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        message = f"{_record_path()} is damaged: {error}"
        aside = command_hints.shell(f"mv {_record_path()} {_record_path()}.damaged")
        hint = (
            f"move it aside ({aside}) and run the command again; it names each unit that conflicts"
        )
        raise DeployError(message, hint=hint, code=ExitCode.DATA) from error
    return record


def _find_digests(path: str, *records: Mapping[str, str]) -> list[str]:
    """Return all digests of a file in these records."""
    return sorted({digest for record in records for digest in record.get(path, "").split()})


def _write_record(record: dict[str, str]) -> None:
    path = _record_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(path, json.dumps(record, indent=2, sort_keys=True) + "\n")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
