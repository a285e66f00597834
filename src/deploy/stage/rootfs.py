"""Assembles the root file system of an image from signed Debian packages.

Runs in a build stage: `python3 -m deploy.stage.rootfs TARGET FOLDER --record FILE`. `packages.py`
lists the packages; a missing shared library fails the build.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from typing import TYPE_CHECKING, Any

from deploy.stage.elf import needed_libraries
from deploy.stage.packages import DATABASES, PACKAGES, PARTS, UNUSED, find_packages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PASSWD = {
    "backend": "todo:x:{uid}:{gid}:todo backend:/nonexistent:/usr/sbin/nologin",
    "db": "postgres:x:{uid}:{gid}:PostgreSQL:/var/lib/postgresql:/usr/sbin/nologin",
    "ai": "llama:x:{uid}:{gid}:language model:/nonexistent:/usr/sbin/nologin",
}
# With this line, peer authentication maps a client's UID to the name of its role.
_PEER = "{role}:x:{uid}:{uid}:todo backend:/nonexistent:/usr/sbin/nologin"

_REFUSED_MODES = stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH


def main(arguments: Sequence[str]) -> int:
    """Assemble TARGET's root file system in FOLDER; return 1 if a shared library is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(PACKAGES))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path, required=True, help="what came from where")
    parser.add_argument("--lock", type=pathlib.Path, required=True, help="versions to take, or {}")
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument(
        "--peer", action="append", default=[], metavar="ROLE:UID", help="a client of the database"
    )
    parser.add_argument("--suite", default="", help="of Debian; the builder's by default")
    parser.add_argument("--major", default="", choices=sorted(DATABASES), help="of PostgreSQL")
    options = parser.parse_args(arguments)
    root: pathlib.Path = options.folder
    root.mkdir(parents=True, exist_ok=True)
    lock = json.loads(options.lock.read_text()).get("debian", [])
    locked = {one["name"]: one for one in lock}
    with tempfile.TemporaryDirectory() as lists:
        is_other = options.suite not in {"", find_suite()}
        apt = add_suite(options.suite, pathlib.Path(lists)) if is_other else ()
        debian = unpack(find_packages(options.target, options.major), locked, root, apt)
    if (root / "usr/share/ca-certificates").is_dir():
        write_ca_bundle(root)
    for pattern in UNUSED:
        for path in sorted(root.glob(pattern)):
            remove(path)
    prune_docs(root)
    write_accounts(
        root,
        _PASSWD[options.target].format(uid=options.uid, gid=options.gid),
        *(_render_peer(peer) for peer in options.peer),
    )
    tighten(root)
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.write_text(json.dumps({"debian": debian}))
    missing = missing_libraries(root)
    for library, user in sorted(missing.items()):
        sys.stderr.write(f"rootfs: {user} needs {library}: add its package to packages.py\n")
    return 1 if missing else 0


def find_suite(release: pathlib.Path = pathlib.Path("/etc/os-release")) -> str:
    """Return the builder's suite of Debian; empty if its os-release does not name it."""
    lines = (line.partition("=") for line in release.read_text().splitlines())
    return {key: value.strip('"') for key, _, value in lines}.get("VERSION_CODENAME", "")


def add_suite(suite: str, folder: pathlib.Path) -> tuple[str, ...]:
    """Fetch the index of another suite to an empty folder; return apt's options for it.

    The signature of the index is checked, but not its age: mirrors may have an expired index of
    testing, which only means that packages may be outdated.
    """
    form = "$(REPO_URI) $(COMPONENT)"
    found = _output("apt-get", "indextargets", f"--format={form}", "Created-By: Packages")
    if not found:
        raise SystemExit("rootfs: apt of the builder knows no archive")
    # The first source is the suite itself, followed by its updates and security fixes.
    address, component = found.splitlines()[0].split()
    sources, lists = folder / "sources.list", folder / "lists"
    sources.write_text(f"deb [check-valid-until=no] {address} {suite} {component}\n")
    (lists / "partial").mkdir(parents=True)
    options = (
        f"--option=Dir::Etc::SourceList={sources}",
        "--option=Dir::Etc::SourceParts=-",
        f"--option=Dir::State::Lists={lists}",
        "--option=Acquire::Languages=none",
        "--option=APT::Update::Error-Mode=any",
        "--option=APT::Sandbox::User=root",
    )
    subprocess.run(["apt-get", "update", "-q", *options], check=True)
    return options


def unpack(
    packages: Iterable[str],
    lock: Mapping[str, Mapping[str, str]],
    root: pathlib.Path,
    apt: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Download packages (apt checks their signatures) and unpack them; return their records.

    The lock maps names to version and sha256; if it is empty, the archive's current versions are
    used. A record contains name, version, architecture, source, sha256 and files.
    """
    names = sorted(packages)
    wanted = [f"{name}={lock[name]['version']}" if lock else name for name in names]
    status = root / "var/lib/dpkg/status"
    found, stanzas = [], []
    with tempfile.TemporaryDirectory() as folder:
        # By default, apt downloads as its own user, who cannot write to this folder.
        subprocess.run(
            ["apt-get", "download", "-q", "--option=APT::Sandbox::User=root", *apt, *wanted],
            cwd=folder,
            check=True,
        )
        for archive in sorted(pathlib.Path(folder).glob("*.deb")):
            sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
            control = _output("dpkg-deb", "--field", str(archive))
            fields = dict(line.split(": ", 1) for line in control.splitlines() if ": " in line)
            name = fields["Package"]
            if lock and lock[name]["sha256"] != sha256:
                raise SystemExit(f"rootfs: {archive.name} is not the file that the lock names")
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
            files = files_of(archive)
            for path in unwanted(name, files):
                remove(root / path)
            stanzas.append(installed(control))
            found.append(
                {
                    "name": name,
                    "version": fields["Version"],
                    "architecture": fields["Architecture"],
                    "source": fields.get("Source", name).split()[0],
                    "sha256": sha256,
                    "files": files,
                }
            )
    # Vulnerability scanners read the installed versions from this file.
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("\n".join(stanzas))
    return found


def unwanted(name: str, files: Iterable[str]) -> list[str]:
    """Return the files of a package that the image leaves out according to `PARTS`."""
    parts = PARTS.get(name)
    if parts is None:
        return []
    kept = ("*/copyright", *parts)
    return [path for path in files if not any(fnmatch.fnmatch(path, each) for each in kept)]


def files_of(archive: pathlib.Path) -> list[str]:
    """Return the files and links in a Debian package, as sorted paths relative to the root."""
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE
        ) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        return sorted(info.name.removeprefix("./") for info in tar if not info.isdir())


def installed(control: str) -> str:
    """Return a package's control fields in the format of dpkg's status file."""
    first, _, rest = control.partition("\n")
    return f"{first}\nStatus: install ok installed\n{rest}"


def write_ca_bundle(root: pathlib.Path) -> None:
    """Create the CA bundle from Debian's package, as update-ca-certificates would."""
    source = root / "usr/share/ca-certificates"
    target = root / "etc/ssl/certs/ca-certificates.crt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(path.read_text() for path in sorted(source.rglob("*.crt"))))
    remove(source)


def prune_docs(root: pathlib.Path) -> None:
    """Remove all documentation except the copyright files."""
    for path in sorted((root / "usr/share/doc").glob("*/*")):
        if path.name != "copyright":
            remove(path)


def remove(path: pathlib.Path) -> None:
    """Remove a file, a link or a whole folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _render_peer(peer: str) -> str:
    role, _, uid = peer.partition(":")
    return _PEER.format(role=role, uid=int(uid))


def write_accounts(root: pathlib.Path, *accounts: str) -> None:
    """Write passwd, group and nsswitch.conf, and create the mount points."""
    root_account = "root:x:0:0:root:/root:/usr/sbin/nologin"
    lines = [root_account, *accounts]
    (root / "etc/passwd").write_text("\n".join(lines) + "\n")
    groups = (line.split(":") for line in lines)
    (root / "etc/group").write_text("".join(f"{g[0]}:x:{g[3]}:\n" for g in groups))
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("dev", "proc", "run/secrets", "sys", "tmp", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)


def tighten(root: pathlib.Path) -> None:
    """Remove setuid and setgid bits, and write access for group and others except to /tmp."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~_REFUSED_MODES)
    # `podman kube play` mounts a tmpfs with the mode of the folder and the owner root.
    (root / "tmp").chmod(0o1777)


def missing_libraries(root: pathlib.Path) -> dict[str, str]:
    """Return each shared library that is missing below `root` -> a file that needs it."""
    present = {path.name for path in root.rglob("*") if ".so" in path.name}
    return {
        library: f"/{path.relative_to(root)}"
        for path, libraries in needed_libraries(root).items()
        for library in libraries
        if library not in present
    }


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
