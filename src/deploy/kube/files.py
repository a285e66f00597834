"""The files of the Kubernetes form: written, compared, never half there."""

from __future__ import annotations

import difflib
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import paths
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = paths.KUBE / "todo.yaml"
_SECRET_BYTES = 48
_MIN_SECRET_BYTES = 32


def write_manifest(text: str, path: Path = MANIFEST) -> bool:
    """Write the manifest where it differs; return whether it did."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, text, mode=0o644)
    return True


def diff_manifest(text: str, path: Path = MANIFEST) -> Iterator[str]:
    """The lines of a unified diff from the file to what it should hold; none when it is so."""
    found = path.read_text(encoding="utf-8") if path.is_file() else ""
    name = f"{path.parent.name}/{path.name}"
    return difflib.unified_diff(
        found.splitlines(), text.splitlines(), name, f"{name} (from quadlet/)", lineterm=""
    )


def make_secret() -> str:
    """A fresh random token secret, as printable text."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def read_secret(path: Path) -> str:
    """An existing token secret, without its final newline.

    Raises:
        DeployError: It cannot be read, is not printable, or is too short to be safe.
    """
    try:
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        message = f"the secret in {path} cannot be read: {reason}"
        raise DeployError(message, hint="name another file", code=ExitCode.CONFIG) from None
    if not text.isprintable() or len(text.encode()) < _MIN_SECRET_BYTES:
        message = f"the secret in {path} is not one line of {_MIN_SECRET_BYTES} bytes or more"
        hint = "leave the switch out, and a random one is made"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    return text


def write_secret(text: str, path: Path) -> None:
    """Write a file that only its owner may read, where there is none yet.

    Raises:
        DeployError: The file exists, or its folder does not.
    """
    try:
        _replace(path, text, mode=0o600, overwrite=False)
    except FileExistsError:
        message = f"{path} exists, and its tokens would end with it"
        hint = "name another file"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        hint = "name a file in a folder of yours"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None


def _replace(path: Path, text: str, *, mode: int, overwrite: bool = True) -> None:
    """Write beside the file and move into place: readers see the old content or the new."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            # Unlike a rename, a link fails where something is there already.
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
