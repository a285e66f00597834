"""Content of an image, saved without compression and read layer by layer without running it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import command_hints, process
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SAVE_TIMEOUT_S = 3600.0

# Whiteouts: files by which a layer removes files of lower layers (OCI image specification,
# layer.md).
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclasses.dataclass(frozen=True)
class Layer:
    """Layer of an image.

    Attributes:
        diff_id: Digest of the uncompressed tar, with its algorithm: `sha256:…`.
        path: Path of the uncompressed tar.
        created_by: Build instruction that created the layer; may be empty.
    """

    diff_id: str
    path: Path
    created_by: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """File, folder or link of the finished image, with its layer."""

    layer: Layer
    info: tarfile.TarInfo


@dataclasses.dataclass(frozen=True)
class Archive:
    """Saved image.

    Attributes:
        config_digest: Digest of the configuration, which is the image ID.
        config: Configuration (OCI image specification, config.md).
        layers: Layers, the lowest first.
    """

    config_digest: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @functools.cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Files that a container of the image sees: path without leading slash -> entry."""
        tree: dict[str, Entry] = {}
        for layer in self.layers:
            upper: dict[str, Entry] = {}
            with tarfile.open(layer.path) as tar:
                for info in tar:
                    path = _path(info)
                    folder, _, name = path.rpartition("/")
                    if name == _OPAQUE:
                        _remove_below(tree, folder)
                    elif name.startswith(_WHITEOUT):
                        gone = f"{folder}/{name.removeprefix(_WHITEOUT)}".lstrip("/")
                        tree.pop(gone, None)
                        _remove_below(tree, gone)
                    elif path:
                        upper[path] = Entry(layer, info)
            tree.update(upper)
        return dict(sorted(tree.items()))

    @functools.cached_property
    def replaced(self) -> frozenset[str]:
        """Paths of the files that several layers contain."""
        seen: set[str] = set()
        again: set[str] = set()
        for layer in self.layers:
            with tarfile.open(layer.path) as tar:
                paths = {_path(info) for info in tar if not info.isdir()}
            again |= seen & paths
            seen |= paths
        return frozenset(again)

    @functools.cached_property
    def contents(self) -> Mapping[str, str]:
        """Path -> SHA-256 of a file (`sha256:…`) or target of a symbolic link (`-> …`)."""
        found = {}
        for layer in self.layers:
            with tarfile.open(layer.path) as tar:
                for info in tar:
                    path = _path(info)
                    entry = self.entries.get(path)
                    if entry is None or entry.layer is not layer:
                        continue
                    if info.issym():
                        found[path] = f"-> {info.linkname}"
                    elif content := tar.extractfile(info):
                        found[path] = f"sha256:{hashlib.sha256(content.read()).hexdigest()}"
        return found

    def find(self, path: str) -> bytes | None:
        """Return the content of a regular file, or None."""
        entry = self.entries.get(path.strip("/"))
        if entry is None or not entry.info.isreg():
            return None
        with tarfile.open(entry.layer.path) as tar:
            content = tar.extractfile(entry.info)
            return content.read() if content else None


@contextlib.contextmanager
def saved(reference: str, scratch: Path) -> Iterator[Archive]:
    """Save an image of this user's storage to a scratch folder, and remove it after the block.

    Raises:
        DeployError: The image does not exist, or cannot be saved.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="image-") as name:
        folder = Path(name)
        # Podman would parse a name with a leading hyphen as a switch.
        known = not reference.startswith("-") and (
            process.run(["podman", "image", "exists", reference], check=False).returncode == 0
        )
        if not known:
            raise DeployError(
                f"the image {reference} does not exist here",
                hint=command_hints.build("image --target all"),
                code=ExitCode.CONFIG,
            )
        process.run(
            [
                "podman",
                "save",
                "--quiet",
                "--format=oci-dir",
                "--uncompressed",
                f"--output={folder}",
                reference,
            ],
            timeout_s=_SAVE_TIMEOUT_S,
        )
        yield load(folder)


def load(folder: Path) -> Archive:
    """Return the image in a folder with the OCI image layout and uncompressed layers."""
    (described,) = json.loads((folder / "index.json").read_text())["manifests"]
    manifest = json.loads(_blob(folder, described["digest"]).read_text())
    digest = manifest["config"]["digest"]
    config = json.loads(_blob(folder, digest).read_text())
    history = [step for step in config.get("history", ()) if not step.get("empty_layer")]
    made = [step.get("created_by", "") for step in history]
    made += [""] * (len(manifest["layers"]) - len(made))  # the history is optional
    return Archive(
        config_digest=digest,
        config=config,
        layers=tuple(
            Layer(diff_id, _blob(folder, layer["digest"]), created_by)
            for diff_id, layer, created_by in zip(
                config["rootfs"]["diff_ids"], manifest["layers"], made, strict=True
            )
        ),
    )


def _path(info: tarfile.TarInfo) -> str:
    return info.name.removeprefix("./").strip("/")


def _blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def _remove_below(tree: dict[str, Entry], folder: str) -> None:
    for path in [path for path in tree if path.startswith(f"{folder}/")]:
        del tree[path]
