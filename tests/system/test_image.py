"""The images as files: what is in them, how large they are, and that they come out the same."""

from __future__ import annotations

import dataclasses
import json
import platform
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.image import archive
from deploy.image.build import TARGETS, bill_of_materials
from deploy.image.sizes import by_component
from deploy.lab import rootfs as lab_rootfs
from tests.system.stack_in_lab import COPY_CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.image.archive import Archive
    from deploy.lab import manager
    from tests.system.stack_in_lab import Stack

MB = 1_000_000
# A few per cent above what the image takes: growth is to be decided on, not to happen.
BUDGET = {"bytes": 109 * MB, "gzip_bytes": 35.3 * MB, "zstd_bytes": 26.7 * MB}
UPDATE_BYTES = 2.4 * MB
"""Maximum compressed size that an update of only the program adds to a pull."""

# Prints each algorithm that verifies, and how many OpenSSLs were loaded for it.
SIGNATURES = """
import ssl, time, jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
keys = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
for algorithm, key in keys.items():
    token = jwt.encode({"exp": time.time() + 60}, key, algorithm)
    jwt.decode(token, key.public_key(), algorithms=[algorithm])
    print(algorithm)
print(len({line.split()[-1] for line in open("/proc/self/maps") if "libcrypto" in line}))
"""

# Mount points, which belong to who mounts there: a new volume takes over their owner.
OWN_FOLDERS = {"run/todo", "run/todo-ai", "var/lib/postgresql"}
# The root is read-only and a tmpfs covers it; `podman kube play` takes the tmpfs's mode from it.
SHARED_FOLDERS = ["tmp"]
REFERENCE = "localhost/todo-backend:latest"
OTHER = "other"
LATE = "localhost/late-builder:latest"
AHEAD_S = 2 * 86400
"""How far the other clock is ahead: more, and the index of Debian's fixes would have expired."""
FAKETIME = f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1"

SHELLS_AND_TOOLS = {"apt", "bash", "busybox", "dash", "dpkg", "gcc", "perl", "pip", "pip3", "sh"}


@pytest.fixture(scope="module")
def images(installed: Stack) -> Iterator[dict[str, Archive]]:
    """Both images, saved to the folder that the lab shares with this host."""
    name = f"saved-{secrets.token_hex(4)}"
    outside, inside = lab_rootfs.shared_cache() / name, Path(lab_rootfs.CACHE, name)
    try:
        for target in TARGETS:
            options = ["--quiet", "--format=oci-dir", "--uncompressed"]
            installed.lab.run(["mkdir", "-p", str(inside)])
            output = f"--output={inside / target}"
            installed.podman("save", *options, output, f"localhost/todo-{target}:latest")
        yield {target: archive.load(outside / target) for target in TARGETS}
    finally:
        shutil.rmtree(outside, ignore_errors=True)


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_belongs_to_a_component_that_says_why(
    images: dict[str, Archive], target: str
) -> None:
    image = images[target]
    listed = [
        file
        for component in bill_of_materials(image, target)["components"]
        for file in component["components"]
        if file["type"] == "file"
    ]
    files = [f"/{path}" for path, entry in image.entries.items() if not entry.info.isdir()]
    assert sorted(one["name"] for one in listed) == sorted(files)
    assert [one for one in listed if not one["description"]] == []


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_has_the_hash_that_its_component_says(
    images: dict[str, Archive], target: str
) -> None:
    stated = {
        file["name"].lstrip("/"): f"sha256:{one['content']}"
        for component in bill_of_materials(images[target], target)["components"]
        for file in component["components"]
        if file["type"] == "file"
        for one in file.get("hashes", ())
    }
    found = {
        path: content
        for path, content in images[target].contents.items()
        if content.startswith("sha256:")
    }
    del found[f"usr/share/sbom/todo-{target}.cdx.json"]  # cannot say its own
    assert found == stated


@pytest.mark.parametrize("target", TARGETS)
def test_the_bill_of_materials_is_valid_cyclonedx(images: dict[str, Archive], target: str) -> None:
    text = json.dumps(bill_of_materials(images[target], target))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_in_an_image_can_be_changed_or_raises_a_user(
    images: dict[str, Archive], target: str
) -> None:
    refused = stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH
    entries = images[target].entries
    loose = [path for path, e in entries.items() if e.info.mode & refused and not e.info.issym()]
    foreign = {path for path, e in entries.items() if (e.info.uid, e.info.gid) != (0, 0)}
    assert loose == SHARED_FOLDERS
    assert foreign <= OWN_FOLDERS


def test_the_backend_has_no_shell_and_no_package_manager(images: dict[str, Archive]) -> None:
    paths = [path.rpartition("/") for path in images["backend"].entries]
    programs = {name for folder, _, name in paths if folder.endswith("bin")}
    assert "python3.13" in programs
    assert programs & SHELLS_AND_TOOLS == set()


def test_every_kind_of_signature_is_verified_by_the_one_openssl(stack: Stack) -> None:
    assert stack.in_container(SIGNATURES).split() == ["EdDSA", "ES256", "RS256", "1"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_layer_holds_a_secret_or_an_authority_of_this_host(
    installed: Stack, images: dict[str, Archive], target: str
) -> None:
    shown = installed.podman("secret", "inspect", "--showsecret", "todo-token-secret").stdout
    (secret,) = json.loads(shown)
    searched = {secret["SecretData"].strip().encode(), b"-----BEGIN PRIVATE KEY", b"BEGIN RSA PRIV"}
    for bundle in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        # The second line of a certificate is its own; the first ones of all look alike.
        searched.add(bundle.read_bytes().splitlines()[2])
    for layer in images[target].layers:
        content = layer.path.read_bytes()
        assert [one for one in searched if one in content] == []
    # The search itself works: what is surely inside is found.
    assert any(b"Debian" in layer.path.read_bytes() for layer in images[target].layers)


@pytest.mark.parametrize("target", TARGETS)
def test_a_component_takes_room(images: dict[str, Archive], target: str) -> None:
    sizes = by_component(images[target], bill_of_materials(images[target], target))
    total = sum(entry.info.size for entry in images[target].entries.values())
    assert sum(sizes.values()) == total
    assert min(sizes.values()) > 0


def test_the_backend_stays_within_its_budget(stack: Stack) -> None:
    line = stack.build("image", "--no-lab", "--json").stdout.splitlines()[-1]
    measured = json.loads(line)
    assert {name: measured[name] for name in BUDGET if measured[name] > BUDGET[name]} == {}
    assert measured["digest"] == f"sha256:{stack.inspect('todo-backend')['Image']}"


def test_another_user_with_another_clock_and_builder_makes_the_same_image(
    stack: Stack, other: Other
) -> None:
    """In another folder, time zone and storage too, from the very same packages."""
    ahead = int(other.run("podman", "run", "--rm", LATE, "date", "+%s")) - time.time()
    assert ahead == pytest.approx(AHEAD_S, abs=600)
    (ours,) = json.loads(stack.podman("image", "inspect", REFERENCE).stdout)
    theirs = other.inspect()
    for part in ("RootFS", "Config", "History", "Id"):
        assert ours[part] == theirs[part]


def test_an_update_is_small_and_leaves_no_image_behind(other: Other) -> None:
    other.run("podman", "build", "--quiet", "-", stdin="FROM scratch\nLABEL of=somebody\n")
    known, images = set(other.inspect()["RootFS"]["Layers"]), other.images()
    other.run("sed", "-i", "$ a # a line more", "copy/src/todo/core/ids.py")
    changed = json.loads(other.build("--json").splitlines()[-1])
    pulled = [layer for layer in changed["layers"] if layer["diff_id"] not in known]
    # The program and the bill of materials; and the revision, unless that was unclean before.
    assert 2 <= len(pulled) <= 3
    assert sum(layer["gzip_bytes"] for layer in pulled) < UPDATE_BYTES
    # What the build replaced went, and nothing else: somebody's image and the cache are there.
    after = other.images()
    assert len(after) <= len(images)
    assert changed["digest"].removeprefix("sha256:") in after
    assert len(images & after) > len(images) / 3
    described = json.loads(other.run("podman", "image", "inspect", *after))
    assert "somebody" in [(image["Labels"] or {}).get("of") for image in described]


@dataclasses.dataclass(frozen=True)
class Other:
    """A second account of the lab, which has a storage, a clock and a checkout of its own."""

    lab: manager.Lab
    uid: str

    def run(self, *argv: str, stdin: str | None = None) -> str:
        """Return the output of a program that runs as that user in its home."""
        shown = self.lab.run(["env", "--null"]).stdout.strip("\0").split("\0")
        variables = dict(one.split("=", 1) for one in shown)
        del variables["XDG_CACHE_HOME"]  # is the first account's
        home, runtime = f"/home/{OTHER}", f"/run/user/{self.uid}"
        variables |= {"HOME": home, "USER": OTHER, "LOGNAME": OTHER, "TZ": "Pacific/Kiritimati"}
        variables["XDG_RUNTIME_DIR"] = runtime
        variables["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
        become = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--init-groups", "--"]
        clean = ["env", "--ignore-environment", f"--chdir={home}"]
        words = [*become, *clean, *(f"{name}={value}" for name, value in variables.items()), *argv]
        return self.lab.run(words, user="root", timeout_s=900, stdin=stdin).stdout.strip()

    def build(self, *words: str) -> str:
        """Build the image from this account's checkout, with its builder."""
        options = (f"--builder={LATE}", "--packages=lock.json", *words)
        return self.run("python3", "copy/build.py", "image", "--no-lab", *options)

    def inspect(self) -> dict[str, Any]:
        """The backend's image of this account."""
        (image,) = json.loads(self.run("podman", "image", "inspect", REFERENCE))
        assert isinstance(image, dict)
        return image

    def images(self) -> set[str]:
        """The ids of all images of this account, those of the build's cache too."""
        listed = self.run("podman", "images", "--all", "--quiet", "--no-trunc")
        return {line.removeprefix("sha256:") for line in listed.splitlines()}


@pytest.fixture(scope="module")
def other(installed: Stack) -> Iterator[Other]:
    """A second account that has built the backend's image, by the lock of the first one's.

    Its builder shows another clock to whatever runs in a build. Buildah itself, which no
    library can be put before, goes by the real one.
    """
    machine = installed.lab
    machine.run(["useradd", "--create-home", "--shell=/bin/bash", OTHER], user="root")
    account = Other(machine, machine.run(["id", "--user", OTHER]).stdout.strip())
    machine.run(["systemctl", "start", f"user@{account.uid}"], user="root")
    lock = "/home/todo/.local/state/todo-backend/images/todo-backend.packages.json"
    try:
        account.run("mkdir", "copy")
        account.run("bash", "-o", "pipefail", "-c", COPY_CHECKOUT, "copy")
        account.run("tee", "lock.json", stdin=machine.run(["cat", lock]).stdout)
        include = "--include=ca-certificates,libfaketime"
        options = ("--mode=unshare", "--variant=minbase", include)
        account.run("mmdebstrap", *options, "trixie", "builder.tar")
        clock = (f"LD_PRELOAD={FAKETIME}", f"FAKETIME=+{AHEAD_S}", "FAKETIME_DONT_FAKE_MONOTONIC=1")
        changes = [f"--change=ENV {variable}" for variable in clock]
        account.run("podman", "import", "--quiet", *changes, "builder.tar", LATE)
        account.build("--no-cache")
        yield account
    finally:
        account.run("podman", "system", "reset", "--force")
        machine.run(["systemctl", "stop", f"user@{account.uid}"], user="root", check=False)
        machine.run(["userdel", "--force", "--remove", OTHER], user="root", check=False)
