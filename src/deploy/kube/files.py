"""Files of the Kubernetes manifest and its token secret."""

from __future__ import annotations

import difflib
import secrets
from typing import TYPE_CHECKING

from deploy import atomic_write, paths
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = paths.KUBE / "todo.yaml"
AI_MANIFEST = paths.KUBE / "todo-ai.yaml"
"""Variant of the manifest with the local model."""
_SECRET_BYTES = 48
_MIN_SECRET_BYTES = 32


def write_manifest(text: str, path: Path = MANIFEST) -> bool:
    """Write the manifest if the file differs; return whether it was written."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(path, text)
    return True


def diff_manifest(text: str, path: Path = MANIFEST) -> Iterator[str]:
    """Return the unified diff from the file to the expected text; empty if they are equal."""
    found = path.read_text(encoding="utf-8") if path.is_file() else ""
    name = f"{path.parent.name}/{path.name}"
    return difflib.unified_diff(
        found.splitlines(), text.splitlines(), name, f"{name} (from quadlet/)", lineterm=""
    )


def make_secret() -> str:
    """Return a random token secret as printable text."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def read_secret(path: Path) -> str:
    """Return the token secret in a file; raise a DeployError if it is too short or unreadable."""
    try:
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        message = f"cannot read the secret {path}: {reason}"
        raise DeployError(message, hint="name another file", code=ExitCode.CONFIG) from None
    if not text.isprintable() or len(text.encode()) < _MIN_SECRET_BYTES:
        message = f"the secret in {path} must be one line of at least {_MIN_SECRET_BYTES} bytes"
        hint = "omit the switch to generate a random secret"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    return text


def write_secret(text: str, path: Path) -> None:
    """Write a secret to a new file that only its owner can read.

    Raises:
        DeployError: The file exists already, or cannot be written.
    """
    try:
        atomic_write.write_text(path, text, mode=0o600, overwrite=False)
    except FileExistsError:
        message = f"{path} exists; overwriting it would invalidate all its tokens"
        hint = "name another file"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        hint = "name a file in a folder that you can write to"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None
