"""Signatures in sigstore form, made and checked by skopeo with a key pair of the publisher's.

No service is involved, neither a transparency log nor a certificate authority. With the public key,
an image from any registry can be verified, or from a mirror without a network.
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
"""Name of the systemd credential that is read if no file is given."""

_KEY_TIMEOUT_S = 600.0


@dataclasses.dataclass(frozen=True)
class Verified:
    """An image whose signature and content were checked.

    Attributes:
        image: The repository and the digest of the manifest that was verified.
        manifest_digest: The digest that the registry uses and the signature names.
        config_digest: The image's id once it is pulled.
    """

    image: skopeo.Reference
    manifest_digest: str
    config_digest: str


def render_policy(repository: str, public_key: Path) -> dict[str, Any]:
    """Return the policy that accepts one repository's signed images and nothing else.

    Args:
        repository: REGISTRY/REPO, or a part of it that covers several.
        public_key: Absolute path of the publisher's key.
    """
    return {
        "default": [{"type": "reject"}],
        "transports": {"docker": {repository: [render_requirement(public_key)]}},
    }


def render_requirement(public_key: Path) -> dict[str, Any]:
    """Render the policy for an image: the key's signature over this digest and this name.

    The name counts, tag included, so that a signed image cannot be passed off as another: an
    old version under the tag of a new one, or the database under the backend's name.
    """
    return {
        "type": "sigstoreSigned",
        "keyPath": str(public_key),
        "signedIdentity": {"type": "matchRepoDigestOrExact"},
    }


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """The passphrase of a key: from a file, a systemd credential, or a prompt, in this order.

    Args:
        file: A file whose first line it is.
        confirm: Whether a prompt asks twice, as for a new key.

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
            hint="anyone who obtains a key without a passphrase can sign with it",
            code=ExitCode.CONFIG,
        )
    return passphrase


def get_signer(key: Path, passphrase_file: Path | None) -> skopeo.Signer:
    """Return the signing key with its passphrase; without a file, prompt for the passphrase.

    Raises:
        DeployError: The key cannot be read, or there is no passphrase.
    """
    return skopeo.Signer(_readable(key), read_passphrase(passphrase_file))


def generate_key(prefix: Path, passphrase: str) -> tuple[Path, Path]:
    """Make a key pair: PREFIX.private, encrypted and readable by its owner only, and PREFIX.pub.

    Args:
        prefix: Path without the endings; its folder is created where missing.
        passphrase: Encrypts the private key.

    Raises:
        DeployError: One of the files already exists, or they cannot be written.
    """
    # Not by with_suffix: a name may have dots of its own.
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
    """Make the folder of a key pair, and see that both files can be written there.

    Raises:
        DeployError: One of them already exists.
        OSError: They cannot be written.
    """
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
    """Add a signature to an image in a registry; the image does not change.

    Args:
        image: Image with a digest; that digest is signed, even if the tag has moved since. The
            signature contains the tag, or only the digest if there is no tag.
        signer: Key that signs.

    Raises:
        DeployError: The digest does not exist, or the registry or the key was rejected.
    """
    if image.digest is None:
        raise ValueError("images are signed by digest")
    with progress.step(f"Signing {image}"):
        identity = image.tagged if image.tag else None
        skopeo.copy(image, image, signer=signer, identity=identity)


def verify(image: skopeo.Reference, public_key: Path) -> Verified:
    """Pull an image under a policy that wants this key's signature, and throw it away.

    Every layer comes down and is checked against its digest, so what is reported is true of
    the content, and not only of its table of contents.

    Raises:
        DeployError: It is not signed, not by this key, not under this name, or altered.
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
