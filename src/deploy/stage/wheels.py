"""Installs the Python distributions of an image, without unused files.

Runs in a build stage: `python3 -m deploy.stage.wheels REQUIREMENTS FOLDER --record FILE`.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from deploy.stage import elf
from deploy.stage.packages import UNUSED_IN_WHEELS
from deploy.stage.rootfs import remove

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def main(arguments: Sequence[str]) -> int:
    """Install the distributions of REQUIREMENTS into FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requirements", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path, required=True, help="what came from where")
    parser.add_argument("--lock", type=pathlib.Path, required=True, help="files to take, or {}")
    options = parser.parse_args(arguments)
    folder: pathlib.Path = options.folder
    lock = json.loads(options.lock.read_text()).get("python", [])
    with tempfile.TemporaryDirectory() as scratch:
        requirements = options.requirements
        if lock:
            requirements = pathlib.Path(scratch, "requirements")
            requirements.write_text(render_requirements(lock))
        report = install(requirements, folder, pathlib.Path(scratch))
    for pattern in UNUSED_IN_WHEELS:
        for path in sorted(folder.glob(pattern)):
            remove(path)
    elf.strip(elf.elf_files(folder))
    record = {"python": [describe(one, folder) for one in report["install"]]}
    record["python"].sort(key=lambda one: str(one["name"]))
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.write_text(json.dumps(record))
    return 0


def render_requirements(lock: Sequence[Mapping[str, str]]) -> str:
    """Return pip's requirements that accept only the files of a package lock."""
    return "".join(
        f"{one['name']}=={one['version']} --hash=sha256:{one['sha256']}\n" for one in lock
    )


def install(
    requirements: pathlib.Path, folder: pathlib.Path, scratch: pathlib.Path
) -> dict[str, Any]:
    """Run pip and return its report (pip's documentation, "Installation Report")."""
    report = scratch / "report.json"
    # Build isolation would fetch unpinned build tools; Debian's build tools are installed.
    options = (
        "--require-hashes",
        "--no-deps",
        "--no-build-isolation",
        "--no-cache-dir",
        "--no-compile",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        f"--report={report}",
        f"--target={folder}",
        f"--requirement={requirements}",
    )
    subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def describe(installed: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Return the record of a distribution in pip's report, and update its RECORD file."""
    metadata = installed["metadata"]
    name, version = metadata["name"], metadata["version"]
    (info,) = (
        path
        for path in folder.glob("*.dist-info")
        if canonical(path.name.removesuffix(".dist-info").rsplit("-", 1)[0]) == canonical(name)
    )
    files = rewrite_record(info / "RECORD", folder)
    return {
        "name": canonical(name),
        "version": version,
        "sha256": installed["download_info"]["archive_info"]["hashes"]["sha256"],
        "source": not installed["download_info"]["url"].endswith(".whl"),
        "license": metadata.get("license_expression", ""),
        "files": files,
    }


def rewrite_record(record: pathlib.Path, folder: pathlib.Path) -> list[str]:
    """Update a distribution's RECORD to its existing files; return these, relative to `folder`."""
    with record.open(newline="") as file:
        names = sorted({row[0] for row in csv.reader(file)})
    kept = [name for name in names if (folder / name).is_file()]
    with record.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for name in kept:
            if folder / name == record:
                writer.writerow((name, "", ""))
                continue
            content = (folder / name).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            writer.writerow((name, f"sha256={digest.decode().rstrip('=')}", len(content)))
    return kept


def canonical(name: str) -> str:
    """Return a distribution's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
