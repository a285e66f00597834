"""Puts an image's root file system together from signed Debian packages.

Runs inside the build stage of the Containerfile (`python3 rootfs.py TARGET FOLDER`) with the
standard library alone. The packages are named one by one, without their dependency closure, so
that nothing comes in unasked; the closure that matters, of the shared libraries, is checked
afterwards: a library that is needed and absent fails the build.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

_BASE = (
    "base-files",
    "gcc-14-base",
    "libc6",
    "libgcc-s1",
    "libssl3t64",
    "libzstd1",
    "netbase",
    "tzdata",
    "zlib1g",
)

# libpq and what it loads: TLS, Kerberos and LDAP look-ups of managed databases.
_LIBPQ = (
    "libcom-err2",
    "libgssapi-krb5-2",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libldap2",
    "libpq5",
    "libsasl2-2",
)

PACKAGES = {
    "backend": (
        *_BASE,
        *_LIBPQ,
        "ca-certificates",
        "libbz2-1.0",
        "libexpat1",
        "libffi8",
        "liblzma5",
        "libpython3.13-minimal",
        "libpython3.13-stdlib",
        "libsqlite3-0",
        "libstdc++6",  # greenlet's wheel is C++
        "libuuid1",
        "python3.13-minimal",
    ),
    "db": (
        *_BASE,
        *_LIBPQ,
        "busybox",  # initdb runs the server through /bin/sh
        "libacl1",
        "libattr1",
        "libaudit1",
        "libbz2-1.0",
        "libcap-ng0",
        "libcap2",
        "libgcrypt20",
        "libgpg-error0",
        "libicu76",
        "liblz4-1",
        "liblzma5",
        "libpam0g",
        "libpcre2-8-0",
        "libreadline8t64",
        "libselinux1",
        "libstdc++6",
        "libsystemd0",
        "libtinfo6",
        "libuuid1",
        "libxml2",
        "libxxhash0",
        "postgresql-17",
        "postgresql-client-17",
    ),
}

# What no program in the image reads. copyright files stay: licences ask for it.
_PRUNE = (
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/postgresql/17/man",
    "usr/share/bug",
    "usr/share/bash-completion",
    "usr/share/initramfs-tools",
    "usr/lib/systemd",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/aarch64-linux-gnu/gconv",
    "etc/init.d",
    "etc/cron.daily",
    "var/lib/systemd",
    "usr/lib/python3.13/ensurepip",
    "usr/lib/python3.13/idlelib",
    "usr/lib/python3.13/pydoc_data",
    "usr/lib/python3.13/test",
    "usr/lib/python3.13/turtledemo",
    # Terminals, a line editor and two database formats, each with a library of its own.
    "usr/lib/python3.13/lib-dynload/_curses*",
    "usr/lib/python3.13/lib-dynload/_dbm*",
    "usr/lib/python3.13/lib-dynload/readline*",
    # XSLT's library for one deprecated function.
    "usr/lib/postgresql/17/lib/pgxml.so",
    # LLVM's just-in-time compiler is 130 MB of libraries; the server runs with jit=off.
    "usr/lib/postgresql/17/lib/llvmjit.so",
    "usr/lib/postgresql/17/lib/llvmjit_types.bc",
    "usr/lib/postgresql/17/lib/bitcode",
)

_PASSWD = {
    "backend": "todo:x:{uid}:{gid}:todo backend:/nonexistent:/usr/sbin/nologin",
    # Peer authentication looks the client's uid up here: the backend's becomes its role's name.
    "db": (
        "postgres:x:{uid}:{gid}:PostgreSQL:/var/lib/postgresql:/usr/sbin/nologin\n"
        "{peer}:x:{peer_uid}:{peer_uid}:todo backend:/nonexistent:/usr/sbin/nologin"
    ),
}


def main(arguments: list[str]) -> int:
    """Assemble TARGET's root file system in FOLDER; 1 when a library is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(PACKAGES))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--peer", help="role of the database's client")
    parser.add_argument("--peer-uid", type=int)
    options = parser.parse_args(arguments)
    root: pathlib.Path = options.folder
    root.mkdir(parents=True, exist_ok=True)
    unpack(PACKAGES[options.target], root)
    if (root / "usr/share/ca-certificates").is_dir():
        write_ca_bundle(root)
    for pattern in _PRUNE:
        for path in sorted(root.glob(pattern)):
            remove(path)
    prune_docs(root)
    account = _PASSWD[options.target].format(
        uid=options.uid, gid=options.gid, peer=options.peer, peer_uid=options.peer_uid
    )
    write_accounts(root, account)
    missing = missing_libraries(root)
    for library, user in sorted(missing.items()):
        sys.stderr.write(f"rootfs: {user} needs {library}: add its package to rootfs.py\n")
    return 1 if missing else 0


def unpack(packages: tuple[str, ...], root: pathlib.Path) -> None:
    """Download the packages (apt checks the archive's signatures) and unpack them."""
    status = root / "var/lib/dpkg/status"
    with tempfile.TemporaryDirectory() as folder:
        # apt drops to its own user for downloads, which cannot write here: stay root.
        subprocess.run(
            ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages],
            cwd=folder,
            check=True,
        )
        stanzas = []
        for archive in sorted(pathlib.Path(folder).glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
            control = subprocess.run(
                ["dpkg-deb", "--field", archive], check=True, capture_output=True, text=True
            ).stdout
            stanzas.append(installed(control))
    # Kept so that scanners see which versions are inside.
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("\n".join(stanzas))


def installed(control: str) -> str:
    """A package's control fields as they stand in dpkg's status file."""
    first, _, rest = control.partition("\n")
    return f"{first}\nStatus: install ok installed\n{rest}"


def write_ca_bundle(root: pathlib.Path) -> None:
    """Make the bundle that update-ca-certificates would make, from the package alone."""
    source = root / "usr/share/ca-certificates"
    target = root / "etc/ssl/certs/ca-certificates.crt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(path.read_text() for path in sorted(source.rglob("*.crt"))))
    remove(source)


def prune_docs(root: pathlib.Path) -> None:
    """Drop documentation, keep every package's copyright file."""
    for path in sorted((root / "usr/share/doc").glob("*/*")):
        if path.name != "copyright":
            remove(path)


def remove(path: pathlib.Path) -> None:
    """Remove a file, a link or a whole folder; absent is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_accounts(root: pathlib.Path, account: str) -> None:
    """Write passwd, group and nsswitch, and the folders that mounts need."""
    root_account = "root:x:0:0:root:/root:/usr/sbin/nologin"
    lines = [root_account, *account.splitlines()]
    (root / "etc/passwd").write_text("\n".join(lines) + "\n")
    groups = (line.split(":") for line in lines)
    (root / "etc/group").write_text("".join(f"{g[0]}:x:{g[3]}:\n" for g in groups))
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("dev", "proc", "sys", "run/secrets"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o1777)


def missing_libraries(root: pathlib.Path) -> dict[str, str]:
    """Shared libraries that some ELF file below `root` needs and none provides."""
    needed: dict[str, str] = {}
    present: set[str] = set()
    for path in root.rglob("*"):
        if ".so" in path.name:
            present.add(path.name)
        if path.is_symlink() or not path.is_file() or not is_elf(path):
            continue
        dynamic = subprocess.run(
            ["readelf", "--dynamic", path], check=True, capture_output=True, text=True
        ).stdout
        for library in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
            needed.setdefault(library, f"/{path.relative_to(root)}")
    return {library: user for library, user in needed.items() if library not in present}


def is_elf(path: pathlib.Path) -> bool:
    """Whether a file is a program or library, by its magic number."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
