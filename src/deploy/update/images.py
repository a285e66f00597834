"""Images of an update: the candidate, the previous image, and those that are kept."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

from deploy import command_hints, process
from deploy.errors import DeployError, ExitCode
from deploy.image import build as image_build
from deploy.image import builder, sources
from deploy.stack import postgresql
from deploy.stack.services import BACKEND, container_of
from deploy.stack.update_state import Image

if TYPE_CHECKING:
    from collections.abc import Collection

NAME = "localhost/todo-backend"
LATEST = f"{NAME}:latest"
TARGET = "backend"

_BUILT = f"{NAME}:candidate"
_SHORT = 12
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
_VERSION = "org.opencontainers.image.version"
_INPUTS = "org.todo-backend.inputs"
_TIMEOUT_S = 600.0


def find(reference: str) -> Image | None:
    """Return an image of this user's storage by its name or digest, or None."""
    shown = _run("image", "inspect", reference, check=False)
    if shown.returncode != 0:
        return None
    (found,) = json.loads(shown.stdout)
    labels = found.get("Labels") or {}
    version = labels.get(_VERSION, "")
    tag = f"{_UNFIT.sub('-', version) or 'unknown'}-{found['Id'][:_SHORT]}"
    digest = f"sha256:{found['Id']}"
    return Image(f"{NAME}:{tag}", digest, version, labels.get(_INPUTS, ""))


def find_running(unit: str = BACKEND) -> str | None:
    """Return the digest of the image that an instance runs, or None if it is not running."""
    shown = _run("container", "inspect", "--format={{.Image}}", container_of(unit), check=False)
    return f"sha256:{shown.stdout.strip()}" if shown.returncode == 0 else None


def get_former() -> Image:
    """Return and tag the image that the first instance runs, or `latest` if it is not running.

    Raises:
        DeployError: The instance is not running, and `latest` does not exist.
    """
    running = find_running()
    found = find(running or LATEST)
    if found is None:
        raise DeployError(
            "the backend is not running, so there is nothing to update",
            hint=command_hints.build("up"),
            code=ExitCode.REFUSED,
        )
    tag(found)
    return found


def take(reference: str) -> Image:
    """Return and tag an image of this user's storage; raise a DeployError if it does not exist."""
    found = find(reference)
    if found is None:
        raise DeployError(
            f"the image {reference} is not in this user's image storage",
            hint=f"pull it first, and verify its signature: {command_hints.build('verify')}",
            code=ExitCode.REFUSED,
        )
    tag(found)
    return found


def find_inputs(target: str = TARGET) -> str:
    """Return the digest of the inputs of an image of this checkout."""
    return sources.digest(target, postgresql.find_target_arguments(target))


def build(options: image_build.Options) -> Image:
    """Build the image of this checkout as the candidate, without moving `latest`."""
    with builder.build_lock():
        image_build.build(
            TARGET, postgresql.find_target_arguments(TARGET), options, tag=_BUILT, keep_layers=True
        )
        found = take(_BUILT)
        _run("untag", found.digest.removeprefix("sha256:"), _BUILT, check=False)
    return found


def tag(image: Image) -> None:
    """Tag an image with its version and ID, so that it is kept."""
    _run("tag", image.digest.removeprefix("sha256:"), image.reference)


def point_latest(image: Image) -> None:
    """Tag an image as `latest`, which the units use."""
    _run("tag", image.digest.removeprefix("sha256:"), LATEST)


def remove(image: Image) -> None:
    """Remove the tag that keeps an image, and the image itself if that was its last name."""
    found = image.digest.removeprefix("sha256:")
    if _run("untag", found, image.reference, check=False).returncode != 0:
        # The image has no tag of an update.
        return
    # An image that was pulled by digest has a digest, but no tag.
    names = "--format={{len .RepoTags}} {{len .RepoDigests}}"
    if _run("image", "inspect", names, found, check=False).stdout.split() == ["0", "0"]:
        # Fails if a container still uses the image.
        _run("image", "rm", "--no-prune", found, check=False)


def sweep(kept: Collection[str]) -> None:
    """Remove images that killed updates left without a record; `kept` are the digests to keep."""
    names = ("--format={{.Repository}}:{{.Tag}}", f"--filter=reference={NAME}:*")
    for name in _run("images", *names, check=False).stdout.split():
        image = find(name)
        if image and name in {image.reference, _BUILT} and image.digest not in kept:
            remove(dataclasses.replace(image, reference=name))


def remove_container(unit: str) -> None:
    """Remove the container of a service, which remains if systemd interrupts its start."""
    _run("rm", "--force", "--ignore", "--time=0", container_of(unit), check=False)


def _run(*words: str, check: bool = True) -> process.Completed:
    return process.run(["podman", *words], check=check, timeout_s=_TIMEOUT_S)
