"""Image builds with rootless Buildah, skipped if the inputs have not changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import atomic_write, command_hints, process, progress
from deploy.errors import DeployError, ExitCode
from deploy.image import archive, builder, package_lock, prune, sources
from deploy.paths import REPO, state_dir
from deploy.units.spec import DB_MAJOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGETS = ("backend", "db")
AI = "ai"
ALL_TARGETS = (*TARGETS, AI)
"""Images of every stack, and the model server's image for `up --ai`."""

_INPUTS_LABEL = "org.todo-backend.inputs"
"""Label with the digest of all inputs of an image, which shows whether it is stale."""

_TIMESTAMP = 0
"""Timestamp of all files in an image, in seconds since 1970. With the time of the commit, each
commit would change every layer, and every update would pull the whole image."""

# Prefixes of error lines of the programs in src/deploy/stage, of pip and of apt.
_STAGE_ERROR = re.compile(r"(rootfs|sbom|ERROR|E): ")

_BUILD_TIMEOUT_S = 3600.0
_LOAD_TIMEOUT_S = 3600.0

# Bundles of Debian and Fedora, which include the host's own certificates.
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclasses.dataclass(frozen=True)
class Image:
    """Image in this user's storage.

    Attributes:
        target: `backend`, `db` or `ai`.
        config_digest: Digest of the image configuration, which is also the image ID.
        size: Uncompressed size of all layers in bytes.
        inputs: Digest of the build's inputs.
        seconds: Duration of building or loading; 0 if the image already existed.
    """

    target: str
    reference: str
    config_digest: str
    size: int
    inputs: str
    seconds: float = 0.0


def reference(target: str, tag: str = "latest") -> str:
    """Return the name of a target's image; by default, the name that the units use."""
    return f"localhost/todo-{target}:{tag}"


def find(target: str, name: str = "") -> Image | None:
    """Return a target's image by its name in this user's storage, or None."""
    name = name or reference(target)
    shown = process.run(["podman", "image", "inspect", name], check=False)
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


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a build.

    Attributes:
        builder: Image for the build stages; None to bootstrap it from Debian packages.
        no_cache: Whether to rebuild without caches, with Debian's latest packages.
        archive_dir: Folder in which the machines of a host share finished images.
        packages: Package lock of an earlier build, whose packages are reused.
    """

    builder: str | None = None
    no_cache: bool = False
    archive_dir: Path | None = None
    packages: Path | None = None


def ensure(target: str, build_args: Mapping[str, str], options: Options, *, tag: str = "") -> Image:
    """Build a target's image, unless the existing one has the same inputs.

    A `tag` is for an image that no unit uses yet; no record is written for it.

    Raises:
        DeployError: The build failed; the existing image is unchanged.
    """
    inputs = sources.digest(target, build_args)
    name = reference(target, tag) if tag else ""
    stem = f"todo-{target}-{tag}" if tag else target
    with builder.build_lock():
        if not options.no_cache and not options.packages:
            present = find(target, name)
            if present and present.inputs == inputs:
                return present
            folder = options.archive_dir
            archived = folder and folder / f"{stem}-{inputs[:16]}.tar"
            if archived and archived.exists():
                loaded = _load(target, archived, name)
                prune.sweep()
                return loaded
        built = build(target, build_args, options, tag=name)
        if not tag:
            write_record(built)
        if options.archive_dir and not options.packages:
            _archive(built, options.archive_dir, stem)
        prune.sweep()
        return built


def build(
    target: str,
    build_args: Mapping[str, str],
    options: Options,
    *,
    tag: str = "",
    keep_layers: bool = False,
    context: Path = REPO,
    env: Mapping[str, str] | None = None,
) -> Image:
    """Build a target's image, and record its layers for `prune`.

    Args:
        target: `backend`, `db` or `ai`.
        build_args: Arguments for the Containerfile, from the units.
        options: Options of the build; `archive_dir` is ignored.
        tag: Name of the image; if empty, the name that the units use.
        keep_layers: Whether later builds reuse the layers although `tag` is set.
        context: Checkout, or a copy of the target's input files.
        env: Variables to add to the environment of the build.
    """
    started = time.monotonic()
    name = tag or reference(target)
    locked = (
        package_lock.read(options.packages, target, build_args[DB_MAJOR])
        if options.packages
        else {}
    )
    base = options.builder or builder.ensure()
    told = {**build_args, **sources.commit(target), "VERSION": sources.version()}
    arguments = {**told, "BUILDER": base}
    title = f"Building the {target} image"
    with (
        progress.step(title) as step,
        builder.scratch() as scratch,
        _no_containers_left(),
        _explained(target),
        _noted(),
    ):
        (scratch / "packages.json").write_text(json.dumps(locked))
        (scratch / "arguments.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        done = process.stream(
            [
                "buildah",
                "build",
                "--layers",
                "--identity-label=false",
                f"--timestamp={_TIMESTAMP}",
                f"--target={target}",
                f"--tag={name}",
                f"--label={_INPUTS_LABEL}={sources.digest(target, build_args)}",
                f"--pull={'missing' if options.builder else 'never'}",
                *(f"--build-arg={key}={value}" for key, value in sorted(arguments.items())),
                *(["--no-cache"] if options.no_cache else []),
                *_ca_secret(),
                f"--build-context=locked={scratch}",
                f"--file={context / 'Containerfile'}",
                str(context),
            ],
            step,
            timeout_s=_BUILD_TIMEOUT_S,
            env={"TMPDIR": str(scratch), **(env or {})},
        )
    # Later builds reuse the layers of an image with a custom name only if `keep_layers` is set.
    prune.note(done.stdout, None if tag and not keep_layers else target)
    built = find(target, name)
    if built is None:
        message = f"buildah reported success, but {name} does not exist"
        raise DeployError(
            message, hint=f"check {command_hints.shell('podman images')} and its storage settings"
        )
    return dataclasses.replace(built, seconds=time.monotonic() - started)


def _load(target: str, path: Path, name: str) -> Image:
    started = time.monotonic()
    title = f"Loading the cached {target} image"
    with progress.step(title) as step, builder.scratch() as folder:
        trust = builder.trust(folder, "oci-archive")
        process.stream(
            ["podman", "load", "--quiet", trust, f"--input={path}"],
            step,
            timeout_s=_LOAD_TIMEOUT_S,
        )
    loaded = find(target, name)
    if loaded is None:
        raise DeployError(
            f"{path} does not contain the image {name or reference(target)}",
            hint="it is only a cached copy: move it aside, and run the command again",
        )
    if not name:
        prune.note_loaded(target, loaded.config_digest)
        write_record(loaded)
    return dataclasses.replace(loaded, seconds=time.monotonic() - started)


def bill_of_materials(saved: archive.Archive, target: str) -> dict[str, Any]:
    """Return the CycloneDX document in an image; raise a DeployError if it contains none."""
    content = saved.find(f"usr/share/sbom/todo-{target}.cdx.json")
    if content is None:
        message = f"the image {saved.config_digest[:19]} does not contain an SBOM"
        raise DeployError(message, hint=command_hints.build("image --no-cache"), code=ExitCode.DATA)
    document: dict[str, Any] = json.loads(content)
    return document


RECORDS = (".cdx.json", ".packages.json")
"""Suffixes of an image's record: its SBOM and its package lock."""


def record_dir() -> Path:
    """Return the folder of the records of this user's images."""
    return state_dir() / "images"


def write_record(image: Image) -> None:
    """Write an image's SBOM and package lock to the folder of records."""
    folder = record_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with builder.scratch() as scratch, archive.saved(image.reference, scratch) as saved:
        document = bill_of_materials(saved, image.target)
    name = f"todo-{image.target}"
    materials, packages = (folder / f"{name}{suffix}" for suffix in RECORDS)
    atomic_write.write_text(materials, json.dumps(document, indent=1, sort_keys=True) + "\n")
    atomic_write.write_text(packages, package_lock.render(package_lock.from_sbom(document)))


def _archive(image: Image, folder: Path, stem: str) -> None:
    """Save a finished image to a file, and remove older files with the same stem."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{stem}-{image.inputs[:16]}.tar"
    partial = final.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with progress.step(f"Saving the {image.target} image to the cache") as step:
        try:
            process.stream(
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
    for old in folder.glob(f"{stem}-*.tar"):
        if old != final:
            old.unlink(missing_ok=True)


def find_ca_bundle() -> Path | None:
    """Return the CA bundle of this host, for package indexes behind a TLS proxy, or None."""
    return next((Path(bundle) for bundle in _CA_BUNDLES if Path(bundle).exists()), None)


def _ca_secret() -> list[str]:
    """Return the options that pass the host's CA bundle to the build."""
    bundle = find_ca_bundle()
    return [f"--secret=id=ca,src={bundle}"] if bundle else []


@contextlib.contextmanager
def _explained(target: str) -> Iterator[None]:
    """Replace buildah's error with the last error line of the program in the build stage."""
    try:
        yield
    except process.ToolError as error:
        output = error.completed.stdout if error.completed else ""
        said = [line.strip() for line in output.splitlines() if _STAGE_ERROR.match(line.strip())]
        if not said or error.code != ExitCode.FAILED:
            raise
        message = f"the {target} image cannot be built: {said[-1]}"
        raise DeployError(message, hint="--verbose shows the full output") from None


@contextlib.contextmanager
def _noted() -> Iterator[None]:
    """Record the layers of a failed build, so that `prune` can remove them."""
    try:
        yield
    except process.ToolError as error:
        if error.completed:
            prune.note(error.completed.stdout, None)
        raise


@contextlib.contextmanager
def _no_containers_left() -> Iterator[None]:
    """Remove the working containers that an interrupted build leaves in the storage."""

    def working() -> set[str]:
        return set(process.run(["buildah", "containers", "--quiet"]).stdout.split())

    before = working()
    try:
        yield
    except BaseException:
        left = working() - before
        if left:
            process.run(["buildah", "rm", *sorted(left)], check=False)
        raise
