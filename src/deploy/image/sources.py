"""Inputs of an image build: files of the checkout, arguments from the units, and the commit."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from deploy import process
from deploy.paths import REPO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Target -> its input files; if one of them changes, the image is stale.
_STAGE = ("Containerfile", "src/deploy/__init__.py", "src/deploy/stage")
_INPUTS = {
    "backend": (*_STAGE, "requirements/runtime.lock", "src/todo"),
    "db": (*_STAGE, "containers/db"),
    "ai": (*_STAGE, "containers/ai", "requirements/model.lock"),
}


def digest(target: str, build_args: Mapping[str, str]) -> str:
    """Return the digest of all inputs of a target's image in the checkout.

    The commit is an input, because a file and a label of the image contain it. The builder and the
    current versions of Debian packages are not.
    """
    found = hashlib.sha256(f"{version()}\n".encode())
    for key, value in sorted({**build_args, **commit(target)}.items()):
        found.update(f"{key}={value}\n".encode())
    for file in files(target):
        content = hashlib.sha256((REPO / file).read_bytes()).hexdigest()
        found.update(f"{file} {content}\n".encode())
    return found.hexdigest()


def files(target: str) -> list[Path]:
    """Return the input files of a target, relative to the checkout."""
    found: list[Path] = []
    for name in _INPUTS[target]:
        path = REPO / name
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [
            file.relative_to(REPO) for file in inside if file.is_file() and file.suffix != ".pyc"
        ]
    return found


def commit(target: str) -> dict[str, str]:
    """Return REVISION and CREATED of the last commit that changed a target; empty without git.

    With the newest commit instead, every commit would change the image.
    """
    git = ["git", "-C", str(REPO), "-c", f"safe.directory={REPO}"]
    paths = ["--", *_INPUTS[target]]
    shown = process.run([*git, "log", "-1", "--format=%H %cI", *paths], check=False)
    found = dict(zip(("REVISION", "CREATED"), shown.stdout.split(), strict=False))
    if found and process.run([*git, "status", "--porcelain", *paths], check=False).stdout:
        found["REVISION"] += "-dirty"
    return found


def version() -> str:
    """Return the version of the project and its images."""
    import tomllib  # noqa: PLC0415  # other commands of build.py do not need it

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    return str(project["version"])
