"""The images as files: what is in them, how large they are, and that they come out the same."""

from __future__ import annotations

import json
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy import archive, lab_root
from deploy.figures import by_component
from deploy.image import TARGETS, bill_of_materials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.archive import Archive
    from tests.system.rig import Stack

MB = 1_000_000
# A few per cent above what the image takes: growth is to be decided on, not to happen.
BUDGET = {"bytes": 97 * MB, "gzip_bytes": 32 * MB, "zstd_bytes": 24.3 * MB}
UPDATE_BYTES = 1 * MB
"""What an update of the program alone may cost whoever pulls it, compressed."""

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
OWN_FOLDERS = {"run/todo", "var/lib/postgresql"}
# The root is read-only and a tmpfs covers it; `podman kube play` takes the tmpfs's mode from it.
SHARED_FOLDERS = ["tmp"]
SHELLS_AND_TOOLS = {"apt", "bash", "busybox", "dash", "dpkg", "gcc", "perl", "pip", "pip3", "sh"}


@pytest.fixture(scope="module")
def images(installed: Stack) -> Iterator[dict[str, Archive]]:
    """Both images, saved to the folder that the lab shares with this host."""
    name = f"saved-{secrets.token_hex(4)}"
    outside, inside = lab_root.shared_cache() / name, Path(lab_root.CACHE, name)
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
    occurrences = [
        occurrence
        for component in bill_of_materials(image, target)["components"]
        for occurrence in component["evidence"]["occurrences"]
    ]
    files = [f"/{path}" for path, entry in image.entries.items() if not entry.info.isdir()]
    assert sorted(one["location"] for one in occurrences) == sorted(files)
    assert [one for one in occurrences if not one["additionalContext"]] == []


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


def test_another_build_elsewhere_is_the_same_and_an_update_small(stack: Stack) -> None:
    reference = "localhost/todo-backend:latest"
    before = inspect(stack, reference)
    lock = "/home/todo/.local/state/todo-backend/images/todo-backend.packages.json"
    env = {"TZ": "Pacific/Kiritimati"}
    with stack.copy_of_checkout() as folder:
        argv = ["python3", f"{folder}/build.py", "image", "--no-lab"]
        try:
            stack.lab.run([*argv, "--no-cache", f"--packages={lock}"], timeout_s=900, env=env)
            again = inspect(stack, reference)
            stack.lab.run(["sed", "-i", "$ a # a line more", f"{folder}/src/todo/ids.py"])
            changed = json.loads(stack.lab.run([*argv, "--json"], timeout_s=900).stdout)
        finally:
            stack.podman("tag", before["Id"], reference)
    for part in ("RootFS", "Config", "History", "Id"):
        assert before[part] == again[part]
    known = set(before["RootFS"]["Layers"])
    pulled = [layer for layer in changed["layers"] if layer["diff_id"] not in known]
    # The program, and what the build was told: the revision.
    assert len(pulled) == 2
    assert sum(layer["gzip_bytes"] for layer in pulled) < UPDATE_BYTES


def inspect(stack: Stack, reference: str) -> dict[str, Any]:
    """An image as Podman describes it."""
    (image,) = json.loads(stack.podman("image", "inspect", reference).stdout)
    assert isinstance(image, dict)
    return image
