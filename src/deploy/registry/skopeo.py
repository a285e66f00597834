"""References of images in a registry, and copies with skopeo, which signs and verifies them."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.host import packages, probe
from deploy.registry import skopeo_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MINIMUM_SKOPEO = (1, 11, 0)
"""First version that generates keys and reads their passphrase from a file."""

_COPY_TIMEOUT_S = 3600.0
_ASK_TIMEOUT_S = 600.0
_LARGE_TMP = "/var/tmp"  # noqa: S108  # mkdtemp creates a private folder in it

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_NAME = re.compile(
    # A registry has a dot or a port, or is localhost; other names are paths in a default one.
    r"(?P<registry>localhost(?::\d+)?|[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\w-]+:\d+"
    r"|\[[0-9a-f:]+\](?::\d+)?)"
    rf"/(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


@dataclasses.dataclass(frozen=True)
class Reference:
    """Reference of an image in a registry (`HOST[:PORT]`), by tag, manifest digest, or both."""

    registry: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """Registry and path, as in policies and signatures."""
        return f"{self.registry}/{self.path}"

    @property
    def tagged(self) -> str:
        """Repository and tag; the default tag is `latest`."""
        return f"{self.repository}:{self.tag or 'latest'}"

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine, so that its traffic cannot be intercepted."""
        name = self.registry.rpartition(":")[0] or self.registry
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(name.strip("[]")).is_loopback
        return name == "localhost"

    @property
    def transport(self) -> str:
        """Reference for skopeo, which accepts a tag or a digest but not both."""
        return f"docker://{self}"

    def at(self, digest: str) -> Reference:
        """Return a reference with the given digest."""
        return dataclasses.replace(self, digest=digest)

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else self.tagged


@dataclasses.dataclass(frozen=True)
class Signer:
    """Encrypted private key, and its passphrase, which must not get into arguments or files."""

    key: Path
    passphrase: str = dataclasses.field(repr=False)


def parse(text: str) -> Reference:
    """Parse a reference REGISTRY/REPO[:TAG][@DIGEST]; raise a DeployError if it is malformed."""
    match = _NAME.fullmatch(text.removeprefix("docker://"))
    if match is None:
        raise DeployError(
            f"{text} is not the reference of an image in a registry",
            hint="write REGISTRY/REPO[:TAG], such as registry.example.org/todo/backend:1.0",
            code=ExitCode.USAGE,
        )
    reference = Reference(**match.groupdict())
    if reference.registry == "docker.io" and "/" not in reference.path:
        # Policies and signatures use the full name.
        return dataclasses.replace(reference, path=f"library/{reference.path}")
    return reference


def ensure_skopeo(*, assume_yes: bool) -> None:
    """Install skopeo if it is missing and the user agrees; raise a DeployError if it is too old."""
    if process.find("skopeo") is None:
        minimum = {"skopeo": MINIMUM_SKOPEO}
        packages.ensure_packages(["skopeo"], assume_yes=assume_yes, minimum=minimum)
    found = probe.parse_version(process.run(["skopeo", "--version"]).stdout)
    if found is None or found < MINIMUM_SKOPEO:
        raise DeployError(
            f"skopeo {probe.dotted(found or ())} is older than {probe.dotted(MINIMUM_SKOPEO)}",
            hint="use Debian 13 or newer",
            code=ExitCode.UNAVAILABLE,
        )


def digest_of(reference: Reference) -> str:
    """Return the digest of the manifest to which a reference currently points."""
    words = ["inspect", "--no-tags", "--format={{.Digest}}"]
    words += ["--tls-verify=false"] if reference.is_loopback else []
    return _skopeo([*words, reference.transport], reference, timeout_s=_ASK_TIMEOUT_S)


def copy(
    source: Reference | str,
    destination: Reference | str,
    *,
    policy: Mapping[str, Any] | None = None,
    public_key: Path | None = None,
    signer: Signer | None = None,
    identity: str | None = None,
) -> str:
    """Copy an image from or to a registry, with its signatures.

    Args:
        source: Image in a registry, or transport and name in skopeo's syntax.
        destination: Likewise; at least one of the two must be in a registry.
        policy: Signature policy in the format of policy.json; None accepts any image.
        public_key: Key that the policy requires, for error messages.
        signer: Key that signs the copy; None does not sign.
        identity: REPO:TAG in the signature; None uses the destination.

    Returns:
        Digest of the manifest at the destination.

    Raises:
        DeployError: The policy, the registry or the key rejected the copy.
    """
    about = destination if isinstance(destination, Reference) else source
    assert isinstance(about, Reference)  # noqa: S101  # callers' duty
    key = signer.key if signer else public_key
    with workspace() as folder:
        words = ["copy", "--quiet", f"--digestfile={folder / 'digest'}"]
        if isinstance(source, Reference):
            words.append("--preserve-digests")
        else:
            # Local layers are uncompressed, so this creates a new manifest, and the signatures of
            # a pulled image no longer match.
            words += ["--format=oci", "--remove-signatures"]
        for side, name in (("src", source), ("dest", destination)):
            if isinstance(name, Reference) and name.is_loopback:
                words.append(f"--{side}-tls-verify=false")
        if signer:
            words.append(f"--sign-by-sigstore-private-key={signer.key}")
            words.append("--sign-passphrase-file=/dev/stdin")
            words += [f"--sign-identity={identity}"] if identity else []
        _skopeo(
            [*_trust(folder, policy), *words, *map(_transport, (source, destination))],
            about,
            key=key,
            stdin=f"{signer.passphrase}\n" if signer else None,
            timeout_s=_COPY_TIMEOUT_S,
        )
        return (folder / "digest").read_text().strip()


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Create a private folder on a large disk, and remove it after the block."""
    parent = os.environ.get("TMPDIR") or _LARGE_TMP
    try:
        folder = tempfile.TemporaryDirectory(dir=parent, prefix="todo-registry-")
    except OSError as error:
        message = f"cannot write to {parent}: {error.strerror}"
        raise DeployError(
            message, hint="point TMPDIR to a folder with room for an image", code=ExitCode.NO_SPACE
        ) from error
    with folder as path:
        yield Path(path)


def _trust(folder: Path, policy: Mapping[str, Any] | None) -> list[str]:
    """Return the switches that replace the user's own policy and signature settings."""
    settings = folder / "registries.d"
    settings.mkdir()
    # JSON is valid YAML.
    attachments = {"default-docker": {"use-sigstore-attachments": True}}
    (settings / "sigstore.yaml").write_text(json.dumps(attachments))
    switches = [f"--registries.d={settings}"]
    if policy is None:
        return [*switches, "--insecure-policy"]
    file = folder / "policy.json"
    file.write_text(json.dumps(policy))
    return [*switches, f"--policy={file}"]


def _transport(name: Reference | str) -> str:
    return name.transport if isinstance(name, Reference) else name


def _skopeo(
    words: Sequence[str],
    about: Reference,
    *,
    key: Path | None = None,
    stdin: str | None = None,
    timeout_s: float,
) -> str:
    """Run skopeo and return its output; translate its known errors."""
    try:
        return process.run(["skopeo", *words], stdin=stdin, timeout_s=timeout_s).stdout.strip()
    except process.ToolError as error:
        if error.completed is None:
            raise
        login = ["podman", "login", *(["--tls-verify=false"] if about.is_loopback else [])]
        refusal = skopeo_errors.explain(
            error.completed.stderr,
            {
                "image": str(about),
                "repository": about.repository,
                "registry": about.registry,
                "login": " ".join([*login, about.registry]),
                "key": str(key or "the key"),
            },
        )
        if refusal is None:
            raise
        raise refusal from None
