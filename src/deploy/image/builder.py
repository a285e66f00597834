"""Builder image for the build stages, bootstrapped from signed Debian packages."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process, progress
from deploy.errors import DeployError, ExitCode
from deploy.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "trixie"
_PACKAGES = ("ca-certificates",)

_TIMEOUT_S = 3600.0

_LARGE_TMP = "/var/tmp"  # noqa: S108  # mkdtemp creates a private folder in it


def ensure() -> str:
    """Return the name of the builder image, after bootstrapping it if it is missing."""
    present = find()
    if present:
        return present
    name = _name()
    title = "Bootstrapping the builder from Debian packages"
    with progress.step(title) as step, scratch() as folder:
        archive = folder / "builder.tar"
        process.stream(
            [
                "mmdebstrap",
                "--mode=unshare",
                "--variant=minbase",
                f"--include={','.join(_PACKAGES)}",
                SUITE,
                str(archive),
            ],
            step,
            timeout_s=_TIMEOUT_S,
            env={"TMPDIR": str(folder)},
        )
        step.note("importing")
        process.run(
            ["podman", "import", "--quiet", trust(folder, "tarball"), str(archive), name],
            timeout_s=_TIMEOUT_S,
        )
    return name


def trust(folder: Path, transport: str) -> str:
    """Return the switch that makes Podman accept local archives, regardless of the user's policy.

    The policy file in `folder` accepts only one transport, such as `oci-archive`.
    """
    accepted = {transport: {"": [{"type": "insecureAcceptAnything"}]}}
    policy = folder / f"{transport}-policy.json"
    policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": accepted}))
    return f"--signature-policy={policy}"


def find() -> str | None:
    """Return the name of the builder image if it exists, or None."""
    there = process.run(["podman", "image", "exists", _name()], check=False).returncode == 0
    return _name() if there else None


def _name() -> str:
    recipe = "\n".join((SUITE, *_PACKAGES))
    return f"localhost/todo-builder:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Create a folder for temporary files of a build, and remove it at the end of the block.

    It is in /var/tmp by default, because /tmp is often a tmpfs that is too small for layers.
    """
    parent = Path(os.environ.get("TMPDIR") or _LARGE_TMP)
    try:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix="todo-build-"))
    except OSError as error:
        message = f"cannot write to {parent}: {error.strerror}"
        raise DeployError(
            message, hint="point TMPDIR to a folder with a few GB free", code=ExitCode.NO_SPACE
        ) from error
    # mmdebstrap runs as a subordinate user, which must be able to traverse the folder.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            # Files of an interrupted build belong to subordinate users.
            process.run(["buildah", "unshare", "rm", "-rf", str(folder)], check=False)


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """Hold this user's build lock, because concurrent builds would do the same work twice."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"build-{os.getuid()}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("Waiting for another build"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
