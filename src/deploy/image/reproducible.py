"""Reproducibility check: builds an image twice and names the first file that differs."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tarfile
from typing import TYPE_CHECKING

from deploy import process
from deploy.image import archive, build, builder, package_lock, prune, sources
from deploy.paths import REPO
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deploy.image.archive import Archive


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Comparison of two builds.

    Attributes:
        first: Config digest of the build from the checkout.
        second: Config digest of the build from a copy in another folder.
        difference: Description of the first difference; empty if the builds are equal.
    """

    first: str
    second: str
    difference: str


def verify(target: str, build_args: Mapping[str, str], options: build.Options) -> Comparison:
    """Build an image twice without any cache, and compare the results.

    The second build uses the package lock of the first one, a copy of the sources in another folder
    with other file modes, and another time zone. Only the second build uses `options.builder`, so
    that builders can be compared.
    """
    tags = [f"localhost/todo-{target}:verify-{number}" for number in (1, 2)]
    with builder.scratch() as scratch, builder.build_lock():
        try:
            first = dataclasses.replace(options, builder=None, no_cache=True, archive_dir=None)
            build.build(target, build_args, first, tag=tags[0])
            with archive.saved(tags[0], scratch) as one:
                lock = scratch / "packages.json"
                document = build.bill_of_materials(one, target)
                lock.write_text(package_lock.render(package_lock.from_sbom(document)))
                second = dataclasses.replace(options, no_cache=True, packages=lock)
                context = _copy(target, scratch / "another" / "place")
                zone = {"TZ": "Pacific/Kiritimati"}
                build.build(target, build_args, second, tag=tags[1], context=context, env=zone)
                with step("Comparing"), archive.saved(tags[1], scratch) as other:
                    found = find_difference(one, other)
                    return Comparison(one.config_digest, other.config_digest, found)
        finally:
            process.run(["podman", "image", "rm", "--no-prune", "--ignore", *tags], check=False)
            prune.sweep()


def find_difference(one: Archive, other: Archive) -> str:
    """Return the first difference between two images in one line; empty if they are equal."""
    for number, (left, right) in enumerate(zip(one.layers, other.layers, strict=False), start=1):
        if left.diff_id == right.diff_id:
            continue
        for a, b in zip(_facts(left.path), _facts(right.path), strict=False):
            if a != b:
                words = ", ".join(f"{key} {a[key]} and {b[key]}" for key in a if a[key] != b[key])
                return f"layer {number}: /{a['path']}: {words}"
        return f"layer {number}: one build has more files at its end"
    if one.config_digest != other.config_digest:
        keys = [key for key in one.config if one.config[key] != other.config.get(key)]
        return f"the configuration: {', '.join(keys) or 'its keys'}"
    return ""


def _facts(layer: Path) -> Iterator[dict[str, object]]:
    """Yield the metadata and the hash of each file in a layer, in order."""
    with tarfile.open(layer) as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            yield {
                "path": info.name,
                "type": info.type,
                "mode": oct(info.mode),
                "owner": f"{info.uid}:{info.gid}",
                "time": info.mtime,
                "target": info.linkname,
                "size": info.size,
                "sha256": hashlib.sha256(content.read()).hexdigest() if content else "",
            }


def _copy(target: str, folder: Path) -> Path:
    """Copy a target's input files to a folder that only this user can read, and return it."""
    for file in sources.files(target):
        copied = folder / file
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPO / file, copied)
        copied.chmod(0o600)
    return folder
