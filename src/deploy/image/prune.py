"""Removal of cached images that builds no longer use.

Buildah caches an image for each instruction of each stage, so that a build after a small change
takes seconds. It never removes unused ones; a toolchain takes about 740 MB. The output of buildah
shows which images the project's builds created, and which of them the last builds used. Other
images are not touched.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

from deploy import atomic_write, process
from deploy.paths import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SHORT = 12
_IMAGE = re.compile(rf"^\s*--> (?:Using cache )?([0-9a-f]{{{_SHORT},64}})\b", re.MULTILINE)
_TIMEOUT_S = 3600.0


@dataclasses.dataclass
class Record:
    """Record of the images that builds left in this user's storage, by short IDs.

    Attributes:
        used: Target -> images that its last build used and created.
        former: Images of earlier builds that are not yet removed, parents first.
    """

    used: dict[str, list[str]]
    former: list[str]

    def add(self, found: Iterable[str], target: str | None) -> None:
        """Add the images of a build; without a target, they count as unused."""
        passed = list(found)
        if target is not None:
            passed, self.used[target] = self.used.get(target, []), passed
        self.former = list(dict.fromkeys([*self.former, *passed]))

    def find_unused(self, present: Iterable[str]) -> list[str]:
        """Return the existing images that no target's last build used, children first."""
        there = set(present) - {one for kept in self.used.values() for one in kept}
        return [one for one in reversed(self.former) if one in there]


def find_images(output: str) -> list[str]:
    """Return the short IDs of the built or cached images in buildah's output, in order."""
    return list(dict.fromkeys(found[:_SHORT] for found in _IMAGE.findall(output)))


def note(output: str, target: str | None) -> None:
    """Record the images in buildah's output; without a target, no later build uses them."""
    record = _read()
    record.add(find_images(output), target)
    _write(record)


def note_loaded(target: str, config_digest: str) -> None:
    """Record an image that was loaded from a file instead of built."""
    record = _read()
    record.add([config_digest.removeprefix("sha256:")[:_SHORT]], target)
    _write(record)


def sweep() -> None:
    """Remove the images that no target's last build used; keep tagged and running images."""
    record = _read()
    listed = process.run(["podman", "images", "--all", "--no-trunc", "--format=json"], check=False)
    if listed.returncode != 0:
        return  # unused images only waste space
    names = {one["Id"][:_SHORT]: one.get("Names") for one in json.loads(listed.stdout)}
    unused = record.find_unused(one for one, named in names.items() if not named)
    if unused:
        # --no-prune: the parents of an unused image may still be in use.
        remove = ["podman", "image", "rm", "--no-prune", *unused]
        process.run(remove, check=False, timeout_s=_TIMEOUT_S)
    record.former = [one for one in record.former if one in names]
    _write(record)


def record_path() -> Path:
    """Return the path of the record."""
    return state_dir() / "images" / "layers.json"


def _read() -> Record:
    try:
        found = Record(**json.loads(record_path().read_text()))
    except (OSError, TypeError, ValueError):
        found = None
    # A malformed record is ignored; this only wastes disk space.
    sound = found and isinstance(found.used, dict) and isinstance(found.former, list)
    return found if found and sound else Record({}, [])


def _write(record: Record) -> None:
    path = record_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(path, json.dumps(dataclasses.asdict(record), indent=1) + "\n")
