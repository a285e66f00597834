"""Local model of the assistant: its file in a volume, and the drop-in that selects the file.

The default model is part of the image. A custom model is copied once into the volume `todo-model`,
named after its SHA-256, which the launcher verifies at every start.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from deploy import process, progress
from deploy.errors import DeployError, ExitCode
from deploy.host.probe import total_memory
from deploy.stack import install, startup, systemd
from deploy.stack.services import AI, has_ai
from deploy.units.loader import load_contract

if TYPE_CHECKING:
    from deploy.progress import Step

DROPIN = "todo-ai.container.d/50-model.conf"
VOLUMES = ("todo-ai-socket", "todo-model")
"""Volumes that only the local model uses."""

_VOLUME = "todo-model"
_FOLDER = "/model"
_MAGIC = b"GGUF"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_MIB, _GIB = 1 << 20, 1 << 30
_STEP = 256 * _MIB
_COPY_TIMEOUT_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Model:
    """A GGUF file on this machine, with its lower-case SHA-256 and its size in bytes."""

    path: Path
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """File name of the copy in the volume."""
        return f"{self.sha256}.gguf"


@dataclasses.dataclass(frozen=True)
class Request:
    """Options of a command for the local model.

    Attributes:
        wanted: Whether the stack has a local model; None keeps the current choice.
        model: Custom model; None keeps the current one.
    """

    wanted: bool | None = None
    model: Model | None = None

    def applies(self) -> bool:
        """Return whether the stack has a local model after the command."""
        return has_ai() if self.wanted is None else self.wanted


UNCHANGED = Request()


def check_file(path: Path, sha256: str) -> Model:
    """Verify the SHA-256 of a model file, and return the model.

    Raises:
        DeployError: The hash is malformed, or the file is unreadable, not in the GGUF format, too
            large for this machine's memory, or has another hash.
    """
    wanted = sha256.lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(wanted):
        message = f"{sha256} is not a SHA-256 digest"
        raise DeployError(message, hint="write its 64 hexadecimal digits", code=ExitCode.USAGE)
    try:
        with path.open("rb") as file, progress.step("Checking the model") as step:
            size = path.stat().st_size
            if file.read(len(_MAGIC)) != _MAGIC:
                message = f"{path} is not a model in the GGUF format"
                raise DeployError(message, hint="name a .gguf file", code=ExitCode.DATA)
            _require_memory(path, size)
            file.seek(0)
            found = _hash(file, size, step)
    except OSError as error:
        message = f"cannot read the model {path}: {error.strerror}"
        raise DeployError(message, hint="name a readable file", code=ExitCode.USAGE) from None
    if found != wanted:
        message = f"the model {path} has the SHA-256 {found}, expected {wanted}"
        hint = "it is damaged or another file: download it again, or correct --sha256"
        raise DeployError(message, hint=hint, code=ExitCode.DATA)
    return Model(path, found, size)


def find_units(request: Request) -> dict[str, str]:
    """Return the units to install: the common ones, and those of the local model if it is on."""
    if not request.applies():
        return install.shipped()
    text = render_dropin(request.model) if request.model else install.installed_text(DROPIN)
    return {**install.shipped(ai=True), **({DROPIN: text} if text else {})}


def render_dropin(model: Model) -> str:
    """Render the model server's drop-in for a model in the volume."""
    return "\n".join(
        [
            "# Written by `build.py up --ai --model`; `up --no-ai` removes it.",
            "[Container]",
            f"Volume=todo-model.volume:{_FOLDER}:ro",
            f"Environment=AI_MODEL_FILE={_FOLDER}/{model.name}",
            f"Environment=AI_MODEL_SHA256={model.sha256}",
            "",
            "[Service]",
            f"# The model has {model.size / _GIB:.1f} GiB. Another form of it that suits the",
            "# processor takes as much again; the context, the cache and the program 1 GiB.",
            f"MemoryMax={memory_limit(model.size) // _MIB}M",
            "",
        ]
    )


def memory_limit(size: int) -> int:
    """Return the model server's memory limit for a model of this size, both in bytes."""
    return math.ceil((2 * size + _GIB) / _STEP) * _STEP


def copy(model: Model) -> None:
    """Copy a model into the volume, unless an intact copy exists; other models stay.

    The copy shares its blocks with the file if the file system supports reflinks.

    Raises:
        DeployError: The disk is full, or Podman failed; the models in the volume are unchanged.
    """
    volume = next(one for one in load_contract(ai=True).volumes if one.name == _VOLUME)
    owner = f"--opt=o=uid={volume.uid},gid={volume.gid}"
    # Quadlet sets the same owner.
    process.run(["podman", "volume", "create", "--ignore", owner, _VOLUME])
    folder = _mount_point()
    target, partial = folder / model.name, folder / f".{model.name}"
    if _is_intact(target, model.sha256):
        return
    with progress.step(f"Copying the model ({model.size / 1e9:.1f} GB)"):
        try:
            _unshared("cp", "--reflink=auto", str(model.path), str(partial))
            # The container's user does not own the file.
            _unshared("chmod", "0444", str(partial))
            _unshared("mv", "-f", str(partial), str(target))
        except BaseException:
            _unshared("rm", "-f", str(partial), check=False)
            raise


def start() -> None:
    """Start the model server, wait until it has loaded its model, and remove other models.

    Raises:
        DeployError: The model server did not start; the backend works without it.
    """
    with progress.step("Loading the model") as step:
        startup.run_job("start", AI, step)
    _remove_others()


def remove() -> None:
    """Remove the local model's volumes; the units that use them must be gone already."""
    systemd.stop_volume_units(VOLUMES)
    for name in VOLUMES:
        # A volume that another container uses stays; `uninstall` lists it.
        process.run(["podman", "volume", "rm", name], check=False)


def _remove_others() -> None:
    """Remove all models from the volume except the installed drop-in's."""
    text = install.installed_text(DROPIN)
    if text is None:
        return
    found = re.search(rf"^Environment=AI_MODEL_FILE={_FOLDER}/(\S+)$", text, re.MULTILINE)
    if found is None:
        return
    others = ["-type", "f", "!", "-name", found[1], "-delete"]
    _unshared("find", str(_mount_point()), "-maxdepth", "1", *others, check=False)


def _mount_point() -> Path:
    inspect = ["podman", "volume", "inspect", "--format={{.Mountpoint}}", _VOLUME]
    return Path(process.run(inspect).stdout.strip())


def _is_intact(path: Path, sha256: str) -> bool:
    if _unshared("test", "-e", str(path), check=False).returncode != 0:
        return False
    with progress.step("Checking the copy of the model"):
        return _unshared("sha256sum", str(path), check=False).stdout.startswith(sha256)


def _unshared(*argv: str, check: bool = True) -> process.Completed:
    """Run a program as root of the user namespace, who can write to every volume."""
    return process.run(["podman", "unshare", *argv], check=check, timeout_s=_COPY_TIMEOUT_S)


def _hash(file: BinaryIO, size: int, step: Step) -> str:
    digest, done = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        done += len(chunk)
        step.note(f"{done * 100 // max(1, size)} %")
    return digest.hexdigest()


def _require_memory(path: Path, size: int) -> None:
    total = total_memory()
    if size > total:
        raise DeployError(
            f"the model {path} needs more memory than this machine has: "
            f"{size / _GIB:.1f} of {total / _GIB:.1f} GiB",
            hint="use a smaller model, or a model server elsewhere: docs/local-model.md",
            code=ExitCode.CONFIG,
        )
