"""Sigstore signatures, created and verified by skopeo with the publisher's key pair.

This needs neither a transparency log nor a certificate authority, so that images can also be
verified offline from a mirror.
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

from deploy import process, progress
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO
from deploy.registry import skopeo

CREDENTIAL = "todo-signing-passphrase"
"""Name of the systemd credential with the passphrase, used if no file is given."""

_KEY_TIMEOUT_S = 600.0


@dataclasses.dataclass(frozen=True)
class Verified:
    """Verified image: its reference with digest, that digest, and the image ID after a pull."""

    image: skopeo.Reference
    manifest_digest: str
    config_digest: str


def render_policy(repository: str, public_key: Path) -> dict[str, Any]:
    """Return the policy that accepts only signed images of a repository.

    `repository` may be a prefix of several repositories. The path of the key must be absolute.
    """
    return {
        "default": [{"type": "reject"}],
        "transports": {"docker": {repository: [render_requirement(public_key)]}},
    }


def render_requirement(public_key: Path) -> dict[str, Any]:
    """Return the policy requirement that the key has signed an image's digest and name.

    The name includes the tag, so that a signed image cannot be served under another tag, such as an
    old version as the newest one.
    """
    return {
        "type": "sigstoreSigned",
        "keyPath": str(public_key),
        "signedIdentity": {"type": "matchRepoDigestOrExact"},
    }


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """Return the passphrase from the first line of a file, a systemd credential, or a prompt.

    With `confirm`, prompt twice, for a new key.

    Raises:
        DeployError: The passphrase is missing or empty, or the two entries differ.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder, CREDENTIAL) if folder else None
    if file is None and credential and credential.exists():
        file = credential
    if file is not None:
        passphrase = _first_line(file)
        source = str(file)
    elif sys.stdin.isatty():
        passphrase = _ask("Passphrase of the key: ")
        source = "the answer"
        if confirm and passphrase and _ask("Once more: ") != passphrase:
            raise DeployError("the two passphrases differ", code=ExitCode.USAGE)
    else:
        raise DeployError(
            "cannot prompt for the key's passphrase: standard input is not a terminal",
            hint=f"use --passphrase-file FILE or the systemd credential {CREDENTIAL}",
            code=ExitCode.CONFIG,
        )
    if not passphrase:
        raise DeployError(
            f"{source} does not contain a passphrase",
            hint="use a passphrase: without one, anyone who obtains the key can sign with it",
            code=ExitCode.CONFIG,
        )
    return passphrase


def get_signer(key: Path, passphrase_file: Path | None) -> skopeo.Signer:
    """Return the signing key with its passphrase from `read_passphrase`."""
    return skopeo.Signer(_readable(key), read_passphrase(passphrase_file))


def generate_key(prefix: Path, passphrase: str) -> tuple[Path, Path]:
    """Create a key pair: PREFIX.private, encrypted and readable only by its owner, and PREFIX.pub.

    The folder is created if it is missing.

    Raises:
        DeployError: A file already exists, is in the checkout, or cannot be written.
    """
    # Path.with_suffix would remove a part of a name with dots.
    private, public = (Path(f"{prefix.absolute()}{ending}") for ending in (".private", ".pub"))
    if private.resolve().is_relative_to(REPO):
        raise DeployError(
            f"{private} is in the checkout, where a commit would publish it",
            hint="choose another folder, such as ~/.config/todo-backend",
            code=ExitCode.USAGE,
        )
    if not prefix.name:
        raise DeployError(
            f"{prefix} is a folder, not the name of a key",
            hint=f"write {prefix / 'todo'}",
            code=ExitCode.USAGE,
        )
    try:
        _make_room(private, public)
    except OSError as error:
        message = f"cannot create {error.filename}: {error.strerror}"
        raise DeployError(message, hint="choose another folder", code=ExitCode.CONFIG) from None
    words = [f"--output-prefix={prefix.absolute()}", "--passphrase-file=/dev/stdin"]
    try:
        process.run(
            ["skopeo", "generate-sigstore-key", *words],
            stdin=f"{passphrase}\n",
            timeout_s=_KEY_TIMEOUT_S,
        )
    except BaseException:
        for path in (private, public):
            path.unlink(missing_ok=True)
        raise
    return private, public


def _make_room(private: Path, public: Path) -> None:
    """Create the folder of a key pair, and check that both files are new and can be written."""
    for path in (private, public):
        if os.path.lexists(path):
            raise DeployError(
                f"{path} already exists, and keys are never overwritten",
                hint="choose another name, or move the file away",
                code=ExitCode.CONFIG,
            )
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (private, public):
        path.touch(mode=0o600, exist_ok=False)
        path.unlink()


def sign(image: skopeo.Reference, signer: skopeo.Signer) -> None:
    """Add a signature to an image in a registry, without changing the image.

    The digest of the reference is signed, even if the tag refers to another image now. The
    signature contains the tag, or the digest if there is no tag.

    Raises:
        DeployError: The digest does not exist, or the registry or the key failed.
    """
    if image.digest is None:
        raise ValueError("images are signed by digest")
    with progress.step(f"Signing {image}"):
        identity = image.tagged if image.tag else None
        skopeo.copy(image, image, signer=signer, identity=identity)


def verify(image: skopeo.Reference, public_key: Path) -> Verified:
    """Verify the signature and the content of an image in a registry.

    All layers are downloaded and compared with their digests, then removed.

    Raises:
        DeployError: The image has no signature of this key for this name, or was altered.
    """
    policy = render_policy(image.repository, _readable(public_key).absolute())
    with progress.step(f"Verifying {image}"), skopeo.workspace() as folder:
        digest = skopeo.copy(image, f"dir:{folder}", policy=policy, public_key=public_key)
        manifest = json.loads((folder / "manifest.json").read_text())
    return Verified(image.at(digest), digest, manifest["config"]["digest"])


def _ask(question: str) -> str:
    try:
        return getpass.getpass(question)
    except EOFError:
        return ""


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        message = f"cannot read the key {path}: {error.strerror}"
        raise DeployError(message, code=ExitCode.CONFIG) from None


def _first_line(path: Path) -> str:
    try:
        return (path.read_text().splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        message = f"cannot read the passphrase file {path}: {why}"
        raise DeployError(message, code=ExitCode.CONFIG) from None
