"""Sizes of an image: in storage, compressed, and by component."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import zlib
from typing import TYPE_CHECKING, Any

from deploy import process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.image.archive import Archive, Layer

_CHUNK = 1 << 20
_GZIP_LEVEL = 9
_GZIP_WINDOW = 31  # zlib's largest window, with gzip's header
_ZSTD_LEVEL = 19
_ZSTD_TIMEOUT_S = 3600.0


@dataclasses.dataclass(frozen=True)
class LayerFigures:
    """Sizes of a layer in bytes: uncompressed, by gzip -9 and by zstd -19."""

    diff_id: str
    bytes: int
    gzip_bytes: int
    zstd_bytes: int


@dataclasses.dataclass(frozen=True)
class Figures:
    """Sizes of an image.

    Attributes:
        layers: Sizes of the layers, the lowest first.
        components: Name of each component of the SBOM -> bytes of its files, the largest first.
    """

    layers: tuple[LayerFigures, ...]
    components: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """Bytes of all layers, uncompressed."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def gzip_bytes(self) -> int:
        """Bytes of all layers, each compressed by gzip -9."""
        return sum(layer.gzip_bytes for layer in self.layers)

    @property
    def zstd_bytes(self) -> int:
        """Bytes of all layers, each compressed by zstd -19."""
        return sum(layer.zstd_bytes for layer in self.layers)


def measure(archive: Archive, document: Mapping[str, Any]) -> Figures:
    """Return the sizes of each layer, and of each component in the SBOM, of a saved image."""
    # Threads use all cores, because zlib releases the GIL and zstd is a program.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        layers = tuple(pool.map(_measure, archive.layers))
    return Figures(layers, by_component(archive, document))


def by_component(archive: Archive, document: Mapping[str, Any]) -> dict[str, int]:
    """Return name -> bytes of the files of each component, the largest first."""
    sizes: dict[str, int] = {}
    for component in document["components"]:
        files = [one for one in component["components"] if one["type"] == "file"]
        paths = [one["name"].lstrip("/") for one in files]
        found = [archive.entries[path].info for path in paths if path in archive.entries]
        # Components of Debian and PyPI with the same name, such as tzdata, are added up.
        name = component["name"]
        sizes[name] = sizes.get(name, 0) + sum(info.size for info in found if info.isreg())
    return dict(sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])))


def render_json(digest: str, seconds: float, figures: Figures) -> str:
    """Return the digest, the duration in seconds and the sizes of a build as one line of JSON."""
    return json.dumps(
        {
            "digest": digest,
            "bytes": figures.bytes,
            "gzip_bytes": figures.gzip_bytes,
            "zstd_bytes": figures.zstd_bytes,
            "layers": [dataclasses.asdict(layer) for layer in figures.layers],
            "seconds": round(seconds, 1),
        }
    )


def render_table(figures: Figures) -> str:
    """Return a table of the components, the largest first, and the totals."""
    width = max(map(len, figures.components), default=0)
    lines = [f"{name:<{width}}  {size / 1e6:8.2f} MB" for name, size in figures.components.items()]
    totals = (
        ("all layers", figures.bytes),
        ("by gzip -9", figures.gzip_bytes),
        ("by zstd -19", figures.zstd_bytes),
    )
    lines += [f"{name:<{width}}  {size / 1e6:8.2f} MB" for name, size in totals]
    return "\n".join(lines) + "\n"


def _measure(layer: Layer) -> LayerFigures:
    return LayerFigures(
        layer.diff_id, layer.path.stat().st_size, _gzip(layer.path), _zstd(layer.path)
    )


def _gzip(path: Path) -> int:
    compressor = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
    with path.open("rb") as file:
        size = sum(
            len(compressor.compress(chunk)) for chunk in iter(lambda: file.read(_CHUNK), b"")
        )
    return size + len(compressor.flush())


def _zstd(path: Path) -> int:
    compressed = path.with_name(f"{path.name}.zst")
    options = ["--quiet", "--threads=0", f"-{_ZSTD_LEVEL}", "-o", str(compressed), str(path)]
    process.run(["zstd", *options], timeout_s=_ZSTD_TIMEOUT_S)
    size = compressed.stat().st_size
    compressed.unlink()
    return size
