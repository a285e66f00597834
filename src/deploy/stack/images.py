"""Status of the images of the installed units: name, age and commit."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import process
from deploy.image import build
from deploy.stack import definition
from deploy.stack.services import find_services

if TYPE_CHECKING:
    from collections.abc import Iterable

_LABELS = "org.opencontainers.image"
_TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True)
class ImageStatus:
    """Status of an image of the installed units.

    Attributes:
        name: Name and tag.
        units: Services that use the image from their next start.
        id: Image ID; None if the image is not in this user's storage.
        version: Version of the project.
        revision: Last commit that changed an input of the image.
        committed_at: Time of that commit.
        built_at: Time at which a build, load or update tagged the image; None if not recorded.
        size_bytes: Uncompressed size of all layers.
    """

    name: str
    units: tuple[str, ...]
    id: str | None = None
    version: str | None = None
    revision: str | None = None
    committed_at: str | None = None
    built_at: str | None = None
    size_bytes: int | None = None


def find() -> tuple[ImageStatus, ...]:
    """Return the images of the installed units.

    Raises:
        DeployError: A unit is unreadable, or Podman cannot be run.
    """
    users: dict[str, list[str]] = {}
    for service in find_services():
        unit = definition.load(f"{service.removesuffix('.service')}.container")
        users.setdefault(unit.get("Container", "Image").value, []).append(service)
    return tuple(_inspect(name, units) for name, units in users.items())


def _inspect(name: str, units: Iterable[str]) -> ImageStatus:
    inspect = ["podman", "image", "inspect", name]
    shown = process.run(inspect, check=False, timeout_s=_TIMEOUT_S)
    if shown.returncode != 0:
        return ImageStatus(name, tuple(units))
    (found,) = json.loads(shown.stdout)
    labels = found.get("Labels") or {}
    return ImageStatus(
        name,
        tuple(units),
        id=found["Id"],
        version=labels.get(f"{_LABELS}.version"),
        revision=labels.get(f"{_LABELS}.revision") or None,
        committed_at=labels.get(f"{_LABELS}.created") or None,
        built_at=_find_tagged(name),
        size_bytes=found.get("Size"),
    )


def _find_tagged(name: str) -> str | None:
    """Return the time of the image's build record, as the image's own time is always 1970."""
    target = next((each for each in build.ALL_TARGETS if build.reference(each) == name), None)
    if target is not None:
        with contextlib.suppress(OSError):
            written = (build.record_dir() / f"todo-{target}{build.RECORDS[0]}").stat().st_mtime
            return datetime.fromtimestamp(int(written), UTC).isoformat()
    return None
