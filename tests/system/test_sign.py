"""Debian's own registry in the lab: what was signed is pulled and runs, all else is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from typing import TYPE_CHECKING

import httpx
import pytest

from deploy.paths import REPO
from tests.osv import render_database
from tests.system.stack_in_lab import BUILD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

HOST = "localhost:5000"
SCOPE = f"{HOST}/todo"
BACKEND = f"{SCOPE}/backend"
DB = f"{SCOPE}/db"
STORAGE = "/var/lib/docker-registry/docker/registry/v2"
PASSPHRASE = "correct horse battery"  # noqa: S105 - of a key that lives as long as this module
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet")
PACKAGES = ("docker-registry", "apache2-utils")
# A registry without TLS, which Podman otherwise refuses; `build.py` knows what a loopback is.
INSECURE = f'[[registry]]\nlocation = "{HOST}"\ninsecure = true\n'
ALTERED = {
    "layer": "Digest did not match",
    "config": "does not match expected",
    "manifest": "Manifest does not match provided manifest digest",
}
UNSIGNED = "Source image rejected: A signature was required, but no signature exists"


@dataclasses.dataclass(frozen=True)
class Publisher:
    """The lab's user with a login, a key pair and the policy of docs/publish.md."""

    stack: Stack
    backend: str
    db: str

    def build(self, *words: str, check: bool = True) -> Completed:
        return self.stack.build(*words, check=check)

    def refused(self, *words: str, code: int = 1) -> str:
        """The one line of a `build.py` that must fail."""
        done = self.build(*words, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("build.py: ")]
        return line

    def pull_refused(self, name: str) -> str:
        """Return Podman's error for a refused pull, on a machine without images."""
        lab, env = self.stack.lab, {"XDG_DATA_HOME": "/home/todo/fresh"}
        try:
            done = lab.run(["podman", "pull", name], env=env, check=False, timeout_s=120)
            assert done.returncode == 125, done.stdout
            assert lab.run(["podman", "images", "--quiet"], env=env).stdout == ""
        finally:
            lab.run(["podman", "unshare", "rm", "-rf", "/home/todo/fresh"])
        return done.stderr.splitlines()[-1]

    def put(self, path: str, text: str) -> None:
        self.stack.lab.run(["tee", path], stdin=text)

    def skopeo(self, *words: str) -> Completed:
        return self.stack.lab.run(["skopeo", "--insecure-policy", *words])

    def digest(self, name: str) -> str:
        words = ("inspect", "--no-tags", "--format={{.Digest}}", f"docker://{name}")
        return self.skopeo(*words).stdout.strip()

    def copy(self, source: str, destination: str) -> None:
        names = (f"docker://{source}", f"docker://{destination}")
        self.skopeo("copy", "--quiet", "--preserve-digests", *names)


def documented(heading: str, **values: str) -> str:
    """The shell commands below a heading of docs/publish.md, for the registry of this test."""
    page = (REPO / "docs/publish.md").read_text()
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (block,) = blocks
    for name, value in values.items():
        block, count = re.subn(rf"^{name}=\S+", f"{name}={value}", block, flags=re.MULTILINE)
        assert count == 1, name
    return block


def as_root(stack: Stack, *argv: str, stdin: str | None = None) -> None:
    stack.lab.run([*argv], user="root", timeout_s=300, stdin=stdin)


def install_policy(stack: Stack, key: str) -> None:
    """Follow the instructions of docs/publish.md."""
    script = documented("Let Podman refuse what is not signed", SCOPE=SCOPE, KEY=key)
    stack.lab.run(["bash", "-euc", f"cd /srv/todo-backend\n{script}"])


@pytest.fixture(scope="module")
def registry(installed: Stack) -> Iterator[Stack]:
    """Debian's docker-registry on the lab's loopback, with one user."""
    as_root(installed, *APT, "update")
    as_root(installed, *APT, "install", "--no-install-recommends", *PACKAGES)
    try:
        passwords = "/etc/docker/registry/htpasswd"
        as_root(installed, "htpasswd", "-iBc", passwords, "publisher", stdin="s3cret")
        as_root(installed, "systemctl", "restart", "docker-registry")
        installed.lab.run(["mkdir", "-p", ".config/containers/registries.conf.d", "keys"])
        conf = ".config/containers/registries.conf.d/lab.conf"
        installed.lab.run(["tee", conf], stdin=INSECURE)
        yield installed
    finally:
        installed.podman("logout", HOST, check=False)
        installed.lab.run(["rm", "-rf", ".config/containers/registries.conf.d", "keys"])
        as_root(installed, *APT, "purge", "--autoremove", *PACKAGES)
        as_root(installed, "rm", "-rf", "/var/lib/docker-registry")


@pytest.fixture(scope="module")
def publisher(registry: Stack) -> Iterator[Publisher]:
    """Both images in the registry, signed, and the policy in force."""
    login = ["podman", "login", "--username=publisher", "--password-stdin", HOST]
    registry.lab.run(login, stdin="s3cret")
    registry.lab.run(["tee", "keys/passphrase"], stdin=f"{PASSPHRASE}\n")
    opened = ("--passphrase-file", "keys/passphrase")
    for name in ("keys/mine", "keys/other"):
        registry.build("sign", "--generate-key", name, *opened)
    install_policy(registry, "/home/todo/keys/mine.pub")
    try:
        signed = ("--sign-by", "keys/mine.private", *opened)
        registry.build("push", f"{BACKEND}:1.0", "--offline", *signed)
        registry.build("push", f"{DB}:1.0", "--offline", "--target", "db")
        registry.build("sign", f"{DB}:1.0", "--key", "keys/mine.private", *opened)
        names = ("localhost/todo-backend:latest", "localhost/todo-db:latest")
        ids = registry.podman("image", "inspect", "--format={{.Id}}", *names).stdout.split()
        yield Publisher(registry, *ids)
    finally:
        folder = ".config/containers"
        left = ("policy.json", "registries.d", "todo-backend.pub")
        registry.lab.run(["rm", "-rf", *(f"{folder}/{name}" for name in left)])
        registry.lab.run(["rm", "-f", ".local/state/todo-backend/published.json"])
        pulled = registry.podman("images", "--format={{.Repository}}:{{.Tag}}").stdout.split()
        ours = [name for name in pulled if name.startswith((HOST, "localhost/evil"))]
        if ours:
            registry.podman("rmi", "--force", *ours)
        assert "docker://" not in registry.podman("image", "trust", "show").stdout


@pytest.fixture(scope="module")
def evil(publisher: Publisher) -> str:
    """An image that differs from the published one, in the registry: its repository and tag."""
    lab = publisher.stack.lab
    container = lab.run(["buildah", "from", "localhost/todo-backend:latest"]).stdout.strip()
    lab.run(["buildah", "config", "--env=EVIL=1", container])
    lab.run(["buildah", "commit", "--rm", "--quiet", container, "localhost/evil"])
    name = f"{BACKEND}:evil"
    publisher.stack.podman("push", "--quiet", "localhost/evil", name)
    publisher.stack.podman("rmi", "localhost/evil")
    return name


def test_what_was_signed_is_pulled_under_the_policy_and_runs(publisher: Publisher) -> None:
    stack = publisher.stack
    stack.build("down", "--no-lab")
    stack.podman("rmi", "--force", "localhost/todo-backend:latest", "localhost/todo-db:latest")
    assert stack.podman("image", "exists", publisher.backend, check=False).returncode == 1
    script = documented("Run a published image").replace("registry.example.org", HOST)
    script = script.replace("build.py up", "/srv/todo-backend/build.py up --no-lab")
    done = stack.lab.run(["bash", "-euc", script], timeout_s=300)
    assert "Building" not in done.stderr
    assert stack.inspect("todo-backend")["Image"] == publisher.backend
    assert stack.inspect("todo-db")["Image"] == publisher.db
    assert stack.ready().status_code == httpx.codes.OK
    with stack.client("alice") as client:
        created = client.post("/api/v1/tasks", json={"title": "From a registry"})
        assert created.status_code == httpx.codes.CREATED
    stack.systemctl("restart", "todo-db", "todo-backend")
    stack.wait_ready()


def test_verify_names_both_digests_of_what_it_checked(publisher: Publisher) -> None:
    done = publisher.build("verify", f"{BACKEND}:1.0", "--key", "keys/mine.pub")
    digest = publisher.digest(f"{BACKEND}:1.0")
    assert f"manifest digest  {digest}" in done.stdout
    assert f"config digest    sha256:{publisher.backend}" in done.stdout
    publisher.build("verify", f"{BACKEND}@{digest}", "--key", "keys/mine.pub")
    left = publisher.stack.lab.run(
        ["bash", "-c", "shopt -s nullglob; echo /var/tmp/todo-registry-*"]
    )
    assert left.stdout.strip() == ""


def test_an_unsigned_image_is_refused(publisher: Publisher, evil: str) -> None:
    assert UNSIGNED in publisher.pull_refused(evil)
    line = publisher.refused("verify", evil, "--key", "keys/mine.pub")
    assert line.startswith(f"build.py: error: {evil} is not signed — do not run it")


def test_another_image_under_the_tag_of_a_signed_one_is_refused(
    publisher: Publisher, evil: str
) -> None:
    good = publisher.digest(f"{BACKEND}:1.0")
    bad = publisher.digest(evil)
    publisher.copy(evil, f"{BACKEND}:1.0")
    try:
        assert UNSIGNED in publisher.pull_refused(f"{BACKEND}:1.0")
        # Whoever controls the registry can put the good image's signature beside the bad one.
        publisher.copy(
            f"{BACKEND}:{good.replace(':', '-')}.sig", f"{BACKEND}:{bad.replace(':', '-')}.sig"
        )
        assert f"Signature for digest {good} does not match" in publisher.pull_refused(
            f"{BACKEND}:1.0"
        )
        line = publisher.refused("verify", f"{BACKEND}:1.0", "--key", "keys/mine.pub")
        assert f"the signature of {BACKEND}:1.0 is for another image, {good}" in line
        opened = ("--key", "keys/mine.private", "--passphrase-file", "keys/passphrase")
        line = publisher.refused("sign", f"{BACKEND}:1.0", *opened, code=65)
        assert f"now points to {bad}, but {good} was pushed from this machine" in line
    finally:
        publisher.copy(f"{BACKEND}@{good}", f"{BACKEND}:1.0")
        link = f"{STORAGE}/repositories/todo/backend/_manifests/tags/{bad.replace(':', '-')}.sig"
        as_root(publisher.stack, "rm", "-rf", link)
    publisher.build("verify", f"{BACKEND}:1.0", "--key", "keys/mine.pub")


def test_a_signed_image_under_another_name_is_refused(publisher: Publisher) -> None:
    publisher.copy(f"{BACKEND}:1.0", f"{BACKEND}:1.1")
    said = publisher.pull_refused(f"{BACKEND}:1.1")
    assert f'Signature for identity "{BACKEND}:1.0" is not accepted' in said
    line = publisher.refused("verify", f"{BACKEND}:1.1", "--key", "keys/mine.pub")
    assert f"{BACKEND}:1.1 is signed, but for the name {BACKEND}:1.0" in line
    digest = publisher.digest(f"{BACKEND}:1.1")
    opened = ("--key", "keys/mine.private", "--passphrase-file", "keys/passphrase")
    publisher.build("sign", f"{BACKEND}:1.1@{digest}", *opened)
    publisher.build("verify", f"{BACKEND}:1.1", "--key", "keys/mine.pub")


@pytest.mark.parametrize("part", ["layer", "config", "manifest"])
def test_what_was_altered_in_the_registrys_storage_is_refused(
    publisher: Publisher, part: str
) -> None:
    name = f"{BACKEND}@{publisher.digest(f'{BACKEND}:1.0')}"
    manifest = json.loads(publisher.skopeo("inspect", "--raw", f"docker://{name}").stdout)
    digest = {
        "layer": manifest["layers"][-1]["digest"],
        "config": manifest["config"]["digest"],
        "manifest": name.partition("@")[2],
    }[part].removeprefix("sha256:")
    blob = f"{STORAGE}/blobs/sha256/{digest[:2]}/{digest}/data"
    as_root(publisher.stack, "cp", "--preserve", blob, "/root/kept")
    try:
        if part == "layer":
            # One byte of gzip's header: it still unpacks, so only the digest reveals it.
            alter = f"printf X | dd of={shlex.quote(blob)} bs=1 seek=4 conv=notrunc"
            as_root(publisher.stack, "bash", "-c", alter)
        else:
            as_root(publisher.stack, "sed", "-i", 's/amd64/amd63/; s/"size":/"size":1/', blob)
        said = publisher.pull_refused(name)
        line = publisher.refused("verify", name, "--key", "keys/mine.pub", code=65)
    finally:
        as_root(publisher.stack, "cp", "--preserve", "/root/kept", blob)
        as_root(publisher.stack, "rm", "/root/kept")
    assert re.search(ALTERED[part], said), said
    assert f"the content that {HOST} returned for {name} does not match its digest" in line


def test_another_publishers_key_is_refused(publisher: Publisher) -> None:
    install_policy(publisher.stack, "/home/todo/keys/other.pub")
    try:
        said = publisher.pull_refused(f"{DB}:1.0")
    finally:
        install_policy(publisher.stack, "/home/todo/keys/mine.pub")
    assert "Source image rejected: cryptographic signature verification failed" in said
    line = publisher.refused("verify", f"{DB}:1.0", "--key", "keys/other.pub")
    assert f"{DB}:1.0 is signed, but not with the private key of keys/other.pub" in line


def test_no_other_name_and_no_archive_is_accepted_and_builds_go_on(
    publisher: Publisher, evil: str
) -> None:
    publisher.copy(evil, f"{HOST}/elsewhere/backend:1.0")
    said = publisher.pull_refused(f"{HOST}/elsewhere/backend:1.0")
    assert "is rejected by policy" in said
    local = """
        echo content > probe-file
        printf 'FROM scratch\\nCOPY probe-file /again\\n' > Probefile
        buildah build --quiet --tag=localhost/probe:built --file=Probefile .
        podman save --quiet --format=oci-archive --output=saved.tar localhost/probe:built
        tar --create --file probe.tar probe-file
    """
    lab = publisher.stack.lab
    lab.run(["bash", "-euc", local], timeout_s=120)
    for foreign in (
        ["podman", "load", "--quiet", "--input=saved.tar"],
        ["podman", "import", "--quiet", "probe.tar", "localhost/probe:imported"],
    ):
        assert "is rejected by policy" in lab.run(foreign, check=False, timeout_s=120).stderr
    tidy = "podman rmi --force localhost/probe:built && rm probe-file probe.tar saved.tar Probefile"
    lab.run(["bash", "-euc", tidy], timeout_s=120)


def test_a_key_is_private_encrypted_and_never_overwritten(publisher: Publisher) -> None:
    lab = publisher.stack.lab
    mode = lab.run(["stat", "--format=%a", "keys/mine.private", "keys/mine.pub"]).stdout.split()
    assert mode == ["600", "644"]
    before = lab.run(["cat", "keys/mine.private"]).stdout
    assert before.startswith("-----BEGIN ENCRYPTED ")
    opened = ("--passphrase-file", "keys/passphrase")
    line = publisher.refused("sign", "--generate-key", "keys/mine", *opened, code=78)
    assert "keys/mine.private already exists, and keys are never overwritten" in line
    assert lab.run(["cat", "keys/mine.private"]).stdout == before


def test_a_wrong_passphrase_sends_nothing(publisher: Publisher) -> None:
    publisher.put("keys/wrong", "incorrect horse\n")
    words = ("--sign-by", "keys/mine.private", "--passphrase-file", "keys/wrong")
    line = publisher.refused("push", f"{BACKEND}:2.0", "--offline", *words, code=78)
    assert "wrong passphrase for keys/mine.private" in line
    line = publisher.refused("verify", f"{BACKEND}:2.0", "--key", "keys/mine.pub", code=69)
    assert f"{BACKEND}:2.0 is not in the registry" in line


def test_what_does_not_pass_the_scan_is_not_pushed(publisher: Publisher) -> None:
    affected = {
        "package": {"ecosystem": "PyPI", "name": "fastapi"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    record = {"id": "TEST-1", "modified": "2026-01-01T00:00:00Z", "affected": [affected]}
    publisher.put("keys/advisories.json", json.dumps(render_database(record)))
    words = ("--offline", "--advisories", "keys/advisories.json")
    line = publisher.refused("push", f"{BACKEND}:4.0", *words)
    assert "the backend image does not pass the scan" in line
    line = publisher.refused("verify", f"{BACKEND}:4.0", "--key", "keys/mine.pub", code=69)
    assert f"{BACKEND}:4.0 is not in the registry" in line


def test_a_passphrase_comes_from_a_credential_of_systemd_too(publisher: Publisher) -> None:
    run = [
        "systemd-run",
        "--user",
        "--wait",
        "--pipe",
        "--quiet",
        "--working-directory=/home/todo",
        "--property=LoadCredential=todo-signing-passphrase:/home/todo/keys/passphrase",
    ]
    sign = [*BUILD, "sign", f"{DB}:1.0", "--key=keys/mine.private"]
    cache = publisher.stack.lab.run(["printenv", "XDG_CACHE_HOME"]).stdout.strip()
    environment = f"--setenv=XDG_CACHE_HOME={cache}"
    done = publisher.stack.lab.run([*run, environment, *sign], timeout_s=120)
    assert f"{DB}:1.0  signed  manifest digest {publisher.digest(f'{DB}:1.0')}" in done.stdout


def test_a_login_that_is_refused_names_the_way_out(publisher: Publisher) -> None:
    auth = json.dumps({"auths": {HOST: {"auth": "cHVibGlzaGVyOndyb25n"}}})
    publisher.put("keys/auth.json", auth)
    words = [*BUILD, "push", f"{BACKEND}:3.0", "--offline"]
    env = {"REGISTRY_AUTH_FILE": "/home/todo/keys/auth.json"}
    done = publisher.stack.lab.run(words, env=env, check=False)
    assert done.returncode == 78, done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"build.py: error: {HOST} rejected the login — podman login --tls-verify=false {HOST}"
    )
