"""Builds the images: rootless Buildah over the Containerfile, and only when something changed."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import progress, tools
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO, cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGETS = ("backend", "db")

BUILDER_SUITE = "trixie"
_BUILDER_PACKAGES = ("ca-certificates",)

_INPUTS_LABEL = "org.todo-backend.inputs"
"""Label with the digest of all that went into an image: what tells stale from current."""

# What each target is made of; a change of any file makes the image stale.
_INPUTS = {
    "backend": ("Containerfile", "runtime.lock", "src/deploy/rootfs.py", "src/todo"),
    "db": ("Containerfile", "src/deploy/rootfs.py", "src/db"),
}

_BUILD_TIMEOUT_S = 3600.0
_LOAD_TIMEOUT_S = 300.0

_LARGE_TMP = "/var/tmp"  # noqa: S108  # mkdtemp below it makes a private folder

# Where Debian and Fedora keep the bundle that holds the host's own additions as well.
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclasses.dataclass(frozen=True)
class Image:
    """An image in this user's storage.

    Attributes:
        target: `backend` or `db`.
        reference: Name and tag, as the units use it.
        config_digest: Digest of the image's configuration, which is also its id.
        size: Bytes of all layers, uncompressed.
        inputs: Digest of what it was built from.
        seconds: How long building or loading took; 0 when it was there already.
    """

    target: str
    reference: str
    config_digest: str
    size: int
    inputs: str
    seconds: float = 0.0


def reference(target: str) -> str:
    """The name under which a target's image is stored."""
    return f"localhost/todo-{target}:latest"


def inputs_digest(target: str, build_args: Mapping[str, str], builder: str | None) -> str:
    """Digest of everything that decides what a target's image holds.

    Args:
        target: `backend` or `db`.
        build_args: Arguments from the units.
        builder: The builder that the user named, or None for the bootstrapped one.
    """
    digest = hashlib.sha256()
    for key, value in sorted(build_args.items()):
        digest.update(f"{key}={value}\n".encode())
    digest.update(f"builder={builder or ''}\n".encode())
    for name in _INPUTS[target]:
        path = REPO / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(REPO)} {content}\n".encode())
    return digest.hexdigest()


def find(target: str) -> Image | None:
    """The target's image in this user's storage, or None."""
    name = reference(target)
    shown = tools.run(["podman", "image", "inspect", name], check=False)
    if shown.returncode != 0:
        return None
    (found,) = json.loads(shown.stdout)
    return Image(
        target=target,
        reference=name,
        config_digest=f"sha256:{found['Id']}",
        size=found["Size"],
        inputs=(found["Labels"] or {}).get(_INPUTS_LABEL, ""),
    )


def ensure(
    target: str,
    build_args: Mapping[str, str],
    *,
    builder: str | None = None,
    no_cache: bool = False,
    archive_dir: Path | None = None,
) -> Image:
    """Build a target's image unless the one at hand was built from the same inputs.

    Args:
        target: `backend` or `db`.
        build_args: Arguments for the Containerfile, from the units.
        builder: Image for the build stages; bootstrapped from Debian packages when None.
        no_cache: Build anew, whatever is at hand; brings in Debian's newest packages.
        archive_dir: Folder in which finished images are kept between machines of one host.

    Raises:
        DeployError: The build failed; the image that was there before is untouched.
    """
    inputs = inputs_digest(target, build_args, builder)
    with _build_lock():
        if not no_cache:
            present = find(target)
            if present and present.inputs == inputs:
                return present
            archived = archive_dir and archive_dir / f"{target}-{inputs[:16]}.tar"
            if archived and archived.exists():
                return _load(target, archived)
        built = _build(target, build_args, inputs=inputs, builder=builder, no_cache=no_cache)
        if archive_dir:
            _archive(built, archive_dir)
        return built


def _build(
    target: str,
    build_args: Mapping[str, str],
    *,
    inputs: str,
    builder: str | None,
    no_cache: bool,
) -> Image:
    started = time.monotonic()
    base = builder or _ensure_builder()
    arguments = {**build_args, "BUILDER": base, "REVISION": _revision(), "VERSION": _version()}
    title = f"Building the {target} image"
    with progress.step(title) as step, _scratch() as scratch, _no_containers_left():
        tools.stream(
            [
                "buildah",
                "build",
                "--layers",
                "--identity-label=false",
                f"--target={target}",
                f"--tag={reference(target)}",
                f"--label={_INPUTS_LABEL}={inputs}",
                f"--pull={'missing' if builder else 'never'}",
                *(f"--build-arg={key}={value}" for key, value in sorted(arguments.items())),
                *(["--no-cache"] if no_cache else []),
                *_ca_secret(),
                f"--file={REPO / 'Containerfile'}",
                str(REPO),
            ],
            step,
            timeout_s=_BUILD_TIMEOUT_S,
            env={"TMPDIR": str(scratch)},
        )
    built = find(target)
    if built is None:
        message = f"buildah reported success, but {reference(target)} is not there"
        raise DeployError(message, hint="check `podman images` and its storage settings")
    return dataclasses.replace(built, seconds=time.monotonic() - started)


def _ensure_builder() -> str:
    """The builder image, bootstrapped from signed Debian packages when absent."""
    recipe = "\n".join((BUILDER_SUITE, *_BUILDER_PACKAGES))
    name = f"localhost/todo-builder:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if tools.run(["podman", "image", "exists", name], check=False).returncode == 0:
        return name
    title = "Bootstrapping the builder from Debian packages"
    with progress.step(title) as step, _scratch() as scratch:
        archive = scratch / "builder.tar"
        tools.stream(
            [
                "mmdebstrap",
                "--mode=unshare",
                "--variant=minbase",
                f"--include={','.join(_BUILDER_PACKAGES)}",
                BUILDER_SUITE,
                str(archive),
            ],
            step,
            timeout_s=_BUILD_TIMEOUT_S,
            env={"TMPDIR": str(scratch)},
        )
        step.note("importing")
        tools.run(["podman", "import", "--quiet", str(archive), name], timeout_s=600)
    return name


def _load(target: str, archive: Path) -> Image:
    started = time.monotonic()
    with progress.step(f"Loading the {target} image built before") as step:
        tools.stream(
            ["podman", "load", "--quiet", f"--input={archive}"], step, timeout_s=_LOAD_TIMEOUT_S
        )
    loaded = find(target)
    if loaded is None:
        raise DeployError(f"{archive} holds no image {reference(target)}", hint="delete the file")
    return dataclasses.replace(loaded, seconds=time.monotonic() - started)


def _archive(image: Image, folder: Path) -> None:
    """Keep a finished image as a file, in place of the target's former one."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{image.target}-{image.inputs[:16]}.tar"
    partial = final.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with progress.step(f"Keeping the {image.target} image for the next machine") as step:
        try:
            tools.stream(
                [
                    "podman",
                    "save",
                    "--quiet",
                    "--format=oci-archive",
                    f"--output={partial}",
                    image.reference,
                ],
                step,
                timeout_s=_LOAD_TIMEOUT_S,
            )
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    for old in folder.glob(f"{image.target}-*.tar"):
        if old != final:
            old.unlink(missing_ok=True)


def _ca_secret() -> list[str]:
    """Hand the host's CA bundle to the build, for a package index behind a TLS proxy."""
    for bundle in _CA_BUNDLES:
        if Path(bundle).exists():
            return [f"--secret=id=ca,src={bundle}"]
    return []


def _revision() -> str:
    shown = tools.run(
        ["git", "-C", str(REPO), "-c", f"safe.directory={REPO}", "rev-parse", "HEAD"], check=False
    )
    return shown.stdout.strip() or "unknown"


def _version() -> str:
    import tomllib  # noqa: PLC0415  # build.py's other commands do without it

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    return str(project["version"])


@contextlib.contextmanager
def _build_lock() -> Iterator[None]:
    """One build at a time in a user's storage: two would do the same work twice."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"build-{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _no_containers_left() -> Iterator[None]:
    """Remove the working containers that a build which is cut short leaves in the storage."""

    def working() -> set[str]:
        return set(tools.run(["buildah", "containers", "--quiet"]).stdout.split())

    before = working()
    try:
        yield
    except BaseException:
        left = working() - before
        if left:
            tools.run(["buildah", "rm", *sorted(left)], check=False)
        raise


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what a build leaves behind when it is interrupted; gone in any case.

    Not in /tmp, which is often a small tmpfs, while image layers are large.
    """
    parent = Path(os.environ.get("TMPDIR") or _LARGE_TMP)
    try:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix="todo-build-"))
    except OSError as error:
        message = f"cannot write to {parent}: {error.strerror}"
        raise DeployError(
            message, hint="point TMPDIR to a folder with a few GB free", code=ExitCode.NO_SPACE
        ) from error
    # mmdebstrap works as a subordinate user, who has to get through to its own folder.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            # What an interrupted build left belongs to subordinate users.
            tools.run(["buildah", "unshare", "rm", "-rf", str(folder)], check=False)
