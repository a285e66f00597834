"""Images in the OCI image layout, made for tests without any tool."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.image.archive import Archive, load

Files = Mapping[str, bytes | str]
"""Path -> content; a string is the target of a link."""


def write_image(
    folder: Path, layers: Sequence[Files], *, mtime: int = 0, mode: int = 0o644
) -> Archive:
    """An image with these layers, from the lowest to the topmost."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def store(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return f"sha256:{digest}"

    digests = [store(tar_of(files, mtime, mode)) for files in layers]
    history = [{"created_by": "ENV a=b", "empty_layer": True}]
    history += [{"created_by": f"COPY {number}"} for number in range(len(layers))]
    config = {"config": {}, "rootfs": {"type": "layers", "diff_ids": digests}, "history": history}
    manifest = {
        "config": {"digest": store(json.dumps(config).encode())},
        "layers": [{"digest": digest} for digest in digests],
    }
    index = {"manifests": [{"digest": store(json.dumps(manifest).encode())}]}
    (folder / "index.json").write_text(json.dumps(index))
    return load(folder)


def tar_of(files: Files, mtime: int, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.mtime, info.mode = mtime, mode
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
