"""Package lock of an image: name, version and SHA-256 of each of its packages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from deploy import paths
from deploy.bootstrap import venv
from deploy.errors import DeployError, ExitCode
from deploy.stage.packages import find_packages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ORIGINS = ("debian", "python")
_PINS = {"backend": "runtime", "ai": "model"}
"""Target -> purpose of the lock file of its Python distributions."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Fields that become arguments of apt and pip in the build, so no value may look like an option.
_FIELDS = {
    "name": re.compile(r"[a-z0-9][a-z0-9+.-]*"),
    "version": re.compile(r"[0-9][A-Za-z0-9+.:~!-]*"),
    "sha256": _SHA256,
}


def from_sbom(document: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Return the package lock for the CycloneDX document of an image."""
    lock: dict[str, list[dict[str, str]]] = {origin: [] for origin in _ORIGINS}
    for component in document["components"]:
        properties = {one["name"]: one["value"] for one in component.get("properties", ())}
        origin = properties.get("todo:origin")
        if origin in lock:
            (digest,) = component["hashes"]
            lock[origin].append(
                {
                    "name": component["name"],
                    "version": component["version"],
                    "sha256": digest["content"],
                }
            )
    return lock


def render(lock: Mapping[str, Any]) -> str:
    """Return the text of a package lock file."""
    return json.dumps(lock, indent=1) + "\n"


def read(path: Path, target: str, major: str = "") -> dict[str, Any]:
    """Read the package lock of a target.

    Raises:
        DeployError: The file is unreadable or malformed, its Debian packages are not those of
            `stage/packages.py`, or its Python versions differ from the target's lock file.
    """
    try:
        lock = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _malformed(path, str(error)) from None
    if not isinstance(lock, dict) or set(lock) != set(_ORIGINS):
        raise _malformed(path, f"it must have the lists {' and '.join(_ORIGINS)} and nothing else")
    for origin, entries in lock.items():
        for number, entry in enumerate(entries if isinstance(entries, list) else [None]):
            problem = _find_problem(entry)
            if problem:
                raise _malformed(path, f"{origin}[{number}] {problem}")
    _require_fitting(path, lock, target, major)
    return lock


def _require_fitting(path: Path, lock: Mapping[str, Any], target: str, major: str) -> None:
    debian = {entry["name"] for entry in lock["debian"]}
    packages = find_packages(target, major).keys()
    if debian != packages:
        names = sorted(debian ^ packages)
        raise _malformed(path, f"it is not for the {target} image: {', '.join(names)}")
    name = _PINS.get(target, "")
    pinned = venv.versions(paths.lock_file(name).read_text()) if name else {}
    for entry in lock["python"]:
        if pinned.get(entry["name"]) != entry["version"]:
            wanted = pinned.get(entry["name"], "nothing comparable")
            file = f"{name}.lock" if name else f"the {target} image"
            why = f"{entry['name']} {entry['version']}, where {file} has {wanted}"
            raise _malformed(path, why)
    if name and not lock["python"]:
        raise _malformed(path, "it has no Python distributions")


def _find_problem(entry: object) -> str:
    if not isinstance(entry, dict):
        return "is not an entry"
    if set(entry) != set(_FIELDS):
        return f"must have {', '.join(_FIELDS)} and nothing else"
    for name, pattern in _FIELDS.items():
        if not isinstance(entry[name], str) or not pattern.fullmatch(entry[name]):
            return f"has an invalid {name}"
    return ""


def _malformed(path: Path, why: str) -> DeployError:
    return DeployError(
        f"{path} is not a package lock: {why}",
        hint="use a *.packages.json that `build.py image` wrote beside an image",
        code=ExitCode.DATA,
    )
