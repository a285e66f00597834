"""Atomic file writes: readers see either the old content or the complete new content."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_READABLE = 0o644


def write_text(path: Path, text: str, *, mode: int = _READABLE, overwrite: bool = True) -> None:
    """Encode text as UTF-8 and write it atomically with `write_bytes`."""
    write_bytes(path, text.encode(), mode=mode, overwrite=overwrite)


def write_bytes(
    path: Path, content: bytes, *, mode: int = _READABLE, overwrite: bool = True
) -> None:
    """Write a temporary file in the same folder, sync it to disk, and rename it to `path`.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        OSError: The file cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            # Unlike a rename, a link fails if the target already exists.
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that new file names in it survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
