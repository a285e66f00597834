"""Uninstallation of the stack, and commands that remove what it keeps."""

from __future__ import annotations

import dataclasses
import datetime as dt
import getpass
import json
import shlex
from typing import TYPE_CHECKING

from deploy import command_hints, paths, process
from deploy.host.volumes import Volume, describe, measure
from deploy.image import build
from deploy.stack import (
    backups,
    data_volume,
    install,
    lifecycle,
    systemd,
    update_state,
    update_timer,
)
from deploy.stack.lifecycle import SECRET, VOLUMES
from deploy.stack.services import find_sockets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MEASURE_TIMEOUT_S = 600.0


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A part of the stack that an uninstallation keeps, and the shell command that removes it."""

    what: str
    command: str


def check() -> None:
    """Raise DeployError if a unit was edited after its installation."""
    install.refuse_edited()


def has_work(*, volumes: bool) -> bool:
    """Return whether `remove` would remove anything."""
    return install.is_installed() or (volumes and (bool(find_volumes()) or _has_secret()))


def remove(*, volumes: bool) -> list[Path]:
    """Stop the stack, remove its units, and return the removed unit files.

    With `volumes`, remove the data and the secret as well.

    Raises:
        DeployError: A unit was edited after its installation; nothing was stopped.
    """
    check()
    removed: list[Path] = []
    if install.is_installed():
        lifecycle.stop()
        systemd.systemctl("disable", "--quiet", *find_sockets(), check=False)
        backups.stop()
        update_timer.stop()
        removed = install.uninstall()
        update_state.remove_record()
        systemd.systemctl("daemon-reload")
    if volumes:
        for name in _volume_names():
            process.run(["podman", "volume", "rm", "--force", name])
        process.run(["podman", "secret", "rm", "--ignore", SECRET])
    return removed


def find_volumes() -> list[Volume]:
    """Return the existing volumes of the stack, with their size and age."""
    return [found for name in _volume_names() if (found := _find_volume(name))]


def _volume_names() -> list[str]:
    """Return the names of the standard volumes, and of those that restores and upgrades created."""
    return list(dict.fromkeys((*VOLUMES, *data_volume.find_all())))


def find_kept(folders: Iterable[Path] | None = None) -> list[Leftover]:
    """Return the remains of the stack on this machine, the data first.

    Args:
        folders: Backup folders that were found before the units were removed; None finds them now.
    """
    folders = backups.find_left() if folders is None else folders
    return [
        Leftover(what, command_hints.shell(shlex.join(argv)))
        for what, argv in (*_find_podmans(folders), *_find_files(), *_find_lingering())
    ]


def render_kept(kept: Iterable[Leftover]) -> str:
    """Render the list of remains, each followed by its command; empty if nothing is kept."""
    lines = [f"  {one.what}\n    {one.command}\n" for one in kept]
    return "".join(["What stays, and the command that removes it:\n", *lines]) if lines else ""


def parse_volume(inspected: str, size_bytes: int) -> Volume:
    """Parse the JSON of `podman volume inspect`; `size_bytes` is the volume's disk usage."""
    (found,) = json.loads(inspected)
    return Volume(
        found["Name"], size_bytes, dt.datetime.fromisoformat(found["CreatedAt"]).timestamp()
    )


def _find_podmans(folders: Iterable[Path]) -> Iterator[tuple[str, list[str]]]:
    volumes = find_volumes()
    if volumes:
        yield f"data: {describe(volumes)}", ["podman", "volume", "rm", *(v.name for v in volumes)]
    development = measure(paths.dev_data_dir())
    if development:
        what = f"data and token secret of `build.py dev`: {describe([development])}"
        yield what, ["rm", "-r", str(paths.dev_data_dir())]
    if _has_secret():
        yield "the key that signs tokens", ["podman", "secret", "rm", SECRET]
    for folder in folders:
        # Most files belong to the container's user.
        yield f"backups in {folder}", ["podman", "unshare", "rm", "-r", str(folder)]
    images = _image_names()
    if images:
        yield f"{len(images)} images", ["podman", "image", "rm", *images]


def _has_secret() -> bool:
    return process.run(["podman", "secret", "exists", SECRET], check=False).returncode == 0


def _find_files() -> Iterator[tuple[str, list[str]]]:
    dropins = install.find_dropins()
    if dropins:
        yield "your drop-ins", ["rm", *map(str, dropins)]
    cache, state = paths.cache_dir(), paths.state_dir()
    # All labs of a host share their cache.
    if (
        not command_hints.in_lab()
        and cache.exists()
        and not state.resolve().is_relative_to(cache.resolve())
    ):
        yield "the cache of builds", ["rm", "-r", str(cache)]
    # They are listed by name, because the folder may also contain data and disks of labs.
    data = {paths.dev_data_dir(), paths.labs_dir()}
    records = sorted(set(state.iterdir()) - data) if state.is_dir() else []
    if records:
        yield "the records of builds and pushes", ["rm", "-r", *map(str, records)]


def _find_lingering() -> Iterator[tuple[str, list[str]]]:
    user = getpass.getuser()
    # Labs create the user with lingering enabled.
    if not command_hints.in_lab() and (lifecycle.LINGERING / user).exists():
        yield f"services of {user} run from boot on", ["loginctl", "disable-linger", user]


def _find_volume(name: str) -> Volume | None:
    shown = process.run(["podman", "volume", "inspect", name], check=False)
    if shown.returncode != 0:
        return None
    (found,) = json.loads(shown.stdout)
    # The files belong to users of the containers.
    measure = ["podman", "unshare", "du", "--summarize", "--block-size=1", found["Mountpoint"]]
    measured = process.run(measure, check=False, timeout_s=_MEASURE_TIMEOUT_S)
    # du fails if a running server removes a file at the same time, but still prints the sum.
    size = measured.stdout.partition("\t")[0]
    return parse_volume(shown.stdout, int(size) if size.isdigit() else 0)


def _image_names() -> list[str]:
    # Any tag matches, because updates keep images under other tags.
    references = [
        f"--filter=reference={build.reference(target, '*')}" for target in build.ALL_TARGETS
    ]
    references.append("--filter=reference=localhost/todo-builder")
    listed = process.run(
        ["podman", "images", "--format={{.Repository}}:{{.Tag}}", *references], check=False
    )
    return sorted(set(listed.stdout.split()))
