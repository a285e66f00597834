"""Writes the SBOM of an image in CycloneDX, with the component of every file.

Runs in a build stage, on the finished root file system:
`python3 -m deploy.stage.sbom TARGET ROOT --record FOLDER --version V`. The output is reproducible.
A file without a component fails the build.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

from deploy.stage import closure
from deploy.stage.packages import PACKAGES, find_packages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SPEC_VERSION = "1.6"
_GENERATED = "generated"
_ENTRIES = ("todo",)

# Files that a build step writes: pattern of the path, component, reason.
_WRITTEN = (
    (r"etc/ssl/certs/ca-certificates\.crt", "ca-certificates", "the bundle of all authorities"),
    (r"usr/bin/python3", "python3.13-minimal", "the interpreter's common name"),
    (r"etc/(passwd|group|nsswitch\.conf)", _GENERATED, "names of the accounts"),
    (r"var/lib/dpkg/status", _GENERATED, "the Debian packages inside, for scanners"),
    (r"usr/share/sbom/.*\.cdx\.json", _GENERATED, "this document"),
    (r"usr/share/sbom/.*\.arguments\.json", _GENERATED, "what the build was told"),
    (r"usr/local/bin/entrypoint", _GENERATED, "starts the server, after making its data folder"),
    (r"usr/local/bin/health", _GENERATED, "checks whether the server hangs"),
    (r"usr/local/bin/check-database", _GENERATED, "tells the database of the backups from others"),
    (r"usr/local/bin/receive-wal", _GENERATED, "receives WAL for backups"),
    (r"usr/local/bin/make-backup", _GENERATED, "makes, verifies and removes base backups"),
    (r"usr/local/bin/keep-backups", _GENERATED, "chooses the backups to keep"),
    (r"usr/local/bin/record-outcome", _GENERATED, "notes how a backup ended"),
    (r"usr/local/bin/restore", _GENERATED, "restores a base backup and WAL"),
    (r"usr/local/bin/drill", _GENERATED, "restores the newest backup, to prove it"),
    (r"usr/local/bin/copy-cluster", _GENERATED, "copies a cluster into another version"),
    (r"usr/local/bin/refuse-writes", _GENERATED, "refuses writes during such a copy"),
    (r"usr/local/bin/todo-ai", _GENERATED, "verifies the model, starts the server, checks it"),
    (r"etc/postgresql/.*\.conf", _GENERATED, "the server's settings"),
)

# Target -> folder and reason of its wheels, if they contain data instead of modules.
_WHEELS = {"ai": ("usr/share/todo-ai", "the default model")}

LINK = "todo:link"
"""Property with the target of a symbolic link."""

_VENDORED = re.compile(r"\.libs/(lib[^/]*?)-[0-9a-f]{8,}\.so([.0-9]*)$")
"""Pattern of a library that auditwheel copied into a wheel, such as libssl-1a2b3c4d.so.3."""


@dataclasses.dataclass
class Owner:
    """Component that owns files; `files` is path -> reason, empty until `assign` sets it."""

    component: dict[str, Any]
    reason: str
    files: dict[str, str] = dataclasses.field(default_factory=dict)


def main(arguments: Sequence[str]) -> int:
    """Write the SBOM; return 1 if a file has no component or an imported module is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(PACKAGES))
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path, required=True, help="folder of records")
    parser.add_argument("--version", required=True, help="of the program")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    options = parser.parse_args(arguments)
    record: dict[str, Any] = {}
    for path in sorted(options.record.glob("*.json")):
        record |= json.loads(path.read_text())
    root: pathlib.Path = options.root
    contents = {path: describe_content(root / path) for path in list_files(root)}
    # The SBOM cannot contain its own hash.
    contents[f"usr/share/sbom/todo-{options.target}.cdx.json"] = {}
    reasons, problems = find_reasons(root)
    owners = gather(options.target, options.version, record, find_release(root))
    problems += [f"no component for /{path}" for path in assign(contents, reasons, owners)]
    vendored = {name: embedded(root, owner) for name, owner in owners.items()}
    document = render(options.target, options.version, owners, vendored, contents)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    for problem in problems:
        sys.stderr.write(f"sbom: {problem}\n")
    return 1 if problems else 0


def list_files(root: pathlib.Path) -> list[str]:
    """Return the sorted paths of all files and links below the root, relative to it."""
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118 - thousands of files
        found += [os.path.relpath(os.path.join(folder, name), root) for name in (*files, *links)]  # noqa: PTH118
    return sorted(found)


def find_release(root: pathlib.Path) -> str:
    """Return the release of Debian in the image; an unreleased suite has only a code name."""
    text = (root / "usr/lib/os-release").read_text()
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    number = fields.get("VERSION_ID")
    return f"debian-{number}" if number else fields["VERSION_CODENAME"]


def describe_content(path: pathlib.Path) -> dict[str, Any]:
    """Return the fields of a file component: its hash, or the target of a symbolic link."""
    if path.is_symlink():
        return {"properties": [{"name": LINK, "value": str(path.readlink())}]}
    return {"hashes": _sha256(hashlib.sha256(path.read_bytes()).hexdigest())}


def find_reasons(root: pathlib.Path) -> tuple[dict[str, str], list[str]]:
    """Return path -> reason of each linked or imported file, and the missing imports."""
    reasons = {path: f"linked by /{user}" for path, user in closure.linked_by(root).items()}
    found = closure.modules(root)
    for name, by in closure.imported_by(found, _ENTRIES).items():
        reasons[str(found[name].relative_to(root))] = f"imported by {by}"
    missing = closure.missing_modules(found, _ENTRIES)
    return reasons, [f"{by} imports {name}: absent" for name, by in sorted(missing.items())]


def gather(
    target: str, version: str, record: Mapping[str, Any], release: str = "debian-13"
) -> dict[str, Owner]:
    """Return name -> component, with the files of its origin according to the stages' record."""
    owners: dict[str, Owner] = {}
    reasons = find_packages(target)
    for one in record["debian"]:
        owner = Owner(_debian(one, release), reasons[one["name"]])
        owner.files = dict.fromkeys(one["files"], "")
        owners[one["name"]] = owner
    needed = "the program or one of its packages needs it"
    folder, reason = _WHEELS.get(target, (closure.WHEELS, needed))
    for one in record.get("python", ()):
        owner = Owner(_python(one), reason)
        owner.files = dict.fromkeys((f"{folder}/{name}" for name in one["files"]), "")
        owners[f"pypi/{one['name']}"] = owner
    program = {"type": "application", "name": "todo", "version": version, "bom-ref": "todo"}
    own = {"type": "data", "name": _GENERATED, "version": version, "bom-ref": _GENERATED}
    owners["todo"] = Owner(program, "the program itself")
    owners[_GENERATED] = Owner(own, "written by the build")
    return owners


def assign(
    files: Iterable[str], reasons: Mapping[str, str], owners: Mapping[str, Owner]
) -> list[str]:
    """Assign every file of the image to its component; return the files without one.

    Files of an origin that the build left out are removed from the component.
    """
    origin = {path: name for name, owner in owners.items() for path in owner.files}
    for owner in owners.values():
        owner.files = {}
    lost = []
    for path in files:
        name, why = _origin(path, origin)
        if name not in owners:
            lost.append(path)
            continue
        owners[name].files[path] = why or reasons.get(path, owners[name].reason)
    return lost


def _origin(path: str, origin: Mapping[str, str]) -> tuple[str, str]:
    if path in origin:
        return origin[path], ""
    source = re.sub(r"__pycache__/([^/]+)\.cpython-\d+\.pyc$", r"\1.py", path)
    if source in origin:
        return origin[source], f"byte code of {source.rpartition('/')[2]}"
    if path.startswith(f"{closure.PROGRAM}/"):
        return "todo", ""
    for pattern, name, why in _WRITTEN:
        if re.fullmatch(pattern, path):
            return name, why
    return "", ""


def embedded(root: pathlib.Path, owner: Owner) -> list[dict[str, Any]]:
    """Return the embedded parts of a component, such as libraries and crates.

    These are the libraries that auditwheel copied into a wheel, and the components in the wheel's
    own SBOM (PEP 770).
    """
    found = []
    for path in owner.files:
        match = _VENDORED.search(path)
        if match:
            name, version = match.group(1), match.group(2).strip(".")
            found.append(
                {
                    "type": "library",
                    "name": name,
                    "version": version or "unknown",
                    "evidence": {"occurrences": [{"location": f"/{path}"}]},
                    **describe_content(root / path),
                }
            )
        if ".dist-info/sboms/" in path and path.endswith(".json"):
            stated = json.loads((root / path).read_text())
            found += [
                {key: part[key] for key in ("type", "name", "version", "purl") if key in part}
                for part in stated.get("components", ())
            ]
    found.sort(key=lambda part: (part["name"], part.get("version", "")))
    return found


def render(
    target: str,
    version: str,
    owners: Mapping[str, Owner],
    vendored: Mapping[str, list[dict[str, Any]]],
    contents: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the CycloneDX document of a target's image.

    `vendored` contains the embedded parts of each component, `contents` the fields of each file.
    """
    name = f"todo-{target}"
    components = [
        _finished(owner, vendored[key], contents) for key, owner in owners.items() if owner.files
    ]
    components.sort(key=lambda one: str(one["bom-ref"]))
    image = {"type": "container", "name": name, "version": version, "bom-ref": name}
    content = json.dumps(components, sort_keys=True)
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        # It is derived from the content, because a random number would not be reproducible.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {"component": image, "lifecycles": [{"phase": "build"}]},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _finished(
    owner: Owner, vendored: list[dict[str, Any]], contents: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    files = [
        {"type": "file", "name": f"/{path}", "description": why, **contents[path]}
        for path, why in sorted(owner.files.items())
    ]
    return {**owner.component, "components": [*vendored, *files], "description": owner.reason}


def _debian(one: Mapping[str, str], release: str) -> dict[str, Any]:
    quoted = urllib.parse.quote(one["version"], safe="")
    name = urllib.parse.quote(one["name"], safe="")
    purl = f"pkg:deb/debian/{name}@{quoted}?arch={one['architecture']}&distro={release}"
    return _component(one, purl, "debian")


def _python(one: Mapping[str, Any]) -> dict[str, Any]:
    component = _component(one, f"pkg:pypi/{one['name']}@{one['version']}", "python")
    if one["license"]:
        component["licenses"] = [{"expression": one["license"]}]
    return component


def _component(one: Mapping[str, Any], purl: str, kind: str) -> dict[str, Any]:
    return {
        "type": "library",
        "name": one["name"],
        "version": one["version"],
        "bom-ref": purl,
        "purl": purl,
        "hashes": _sha256(one["sha256"]),
        "properties": [{"name": "todo:origin", "value": kind}],
    }


def _sha256(content: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": content}]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
