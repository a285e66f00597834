"""Atomic writes: readers see the old content of a file or the new, never a part of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_READABLE = 0o644


def write_text(path: Path, text: str, *, mode: int = _READABLE, overwrite: bool = True) -> None:
    """Write text like `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode(), mode=mode, overwrite=overwrite)


def write_bytes(
    path: Path, content: bytes, *, mode: int = _READABLE, overwrite: bool = True
) -> None:
    """Write a file beside its place, then move it there; after that it survives a power failure.

    Args:
        path: The file; its folder exists.
        content: All of its content.
        mode: The file's permissions.
        overwrite: Replace what is there.

    Raises:
        FileExistsError: Something is there, and is not to be replaced.
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
    """Keep the names of a folder's files across a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
