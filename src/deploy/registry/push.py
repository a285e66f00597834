"""Push of images to a registry, with a record of the pushed digests."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from deploy import atomic_write, progress
from deploy.errors import DeployError, ExitCode
from deploy.host import probe
from deploy.image import build
from deploy.paths import state_dir
from deploy.registry import skopeo
from deploy.scan import gate
from deploy.scan import report as scan_report

if TYPE_CHECKING:
    from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Published:
    """Record of a pushed image.

    Attributes:
        target: `backend`, `db` or `ai`.
        manifest_digest: Digest of the manifest in the registry, which signatures refer to. It
            depends on the compression of the layers.
        config_digest: Image ID, which does not depend on the registry.
        claim: Result of the vulnerability scan in one sentence.
    """

    target: str
    manifest_digest: str
    config_digest: str
    claim: str


def require_own_host() -> None:
    """Raise a DeployError if this host does not build and run the stack itself.

    Unlike other commands, push is not delegated to a lab: a lab is temporary, and would need a copy
    of the key and the login.
    """
    why = probe.why_not_here()
    if why:
        raise DeployError(
            f"push requires a host that builds the images itself: {why}",
            hint="push from a host where `python3 build.py up` does not use a lab",
            code=ExitCode.CONFIG,
        )


def push(
    target: str,
    destination: skopeo.Reference,
    *,
    scanning: gate.Options,
    signer: skopeo.Signer | None = None,
) -> Published:
    """Scan a target's image, copy it to a registry, and record its digest there.

    The scan cannot be skipped; accepted vulnerabilities need an entry in the exceptions file. The
    signer's key is decrypted before anything is sent.

    Raises:
        DeployError: The image does not exist, did not pass the scan, or was rejected.
    """
    if destination.digest:
        raise DeployError(
            "the destination of a push cannot be a digest",
            hint=f"name a tag: {destination.repository}:TAG",
            code=ExitCode.USAGE,
        )
    found = build.find(target)
    if found is None:
        raise DeployError(
            f"the {target} image does not exist",
            hint=f"python3 build.py image --target {target}",
            code=ExitCode.CONFIG,
        )
    _read_records()  # report damaged records before anything is sent
    # The image ID is used, because a concurrent build can move the tag.
    image_id = found.config_digest.removeprefix("sha256:")
    report = gate.require_clean(target, scanning, reference=image_id)
    with progress.step(f"Pushing the {target} image to {destination}"):
        digest = skopeo.copy(f"containers-storage:@{image_id}", destination, signer=signer)
    claim = scan_report.render_claim(report)
    published = Published(target, digest, found.config_digest, claim)
    _record(destination, published)
    return published


def find_published(image_name: skopeo.Reference) -> Published | None:
    """Return this user's last push to a tag, or None."""
    known = _read_records().get(image_name.tagged)
    return Published(**known) if known else None


def get_signable(image_name: skopeo.Reference) -> skopeo.Reference:
    """Return the image to sign, by the given digest or the recorded one.

    Raises:
        DeployError: No push to the tag is recorded, or the tag refers to another image now.
    """
    if image_name.digest:
        return image_name
    tagged = dataclasses.replace(image_name, tag=image_name.tag or "latest")
    published = find_published(tagged)
    if published is None:
        raise DeployError(
            f"{tagged} was not pushed from this machine, so its digest is unknown",
            hint=f"name the digest: {tagged}@sha256:…",
            code=ExitCode.CONFIG,
        )
    there = skopeo.digest_of(tagged)
    if there != published.manifest_digest:
        raise DeployError(
            f"{tagged} now points to {there}, but {published.manifest_digest} was pushed from this"
            " machine",
            hint="push the image again, or name the digest to sign",
            code=ExitCode.DATA,
        )
    return tagged.at(there)


def _record(destination: skopeo.Reference, published: Published) -> None:
    records = _read_records()
    records[destination.tagged] = dataclasses.asdict(published)
    path = _records_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(path, json.dumps(records, indent=2, sort_keys=True) + "\n")


def _read_records() -> dict[str, dict[str, str]]:
    try:
        records: dict[str, dict[str, str]] = json.loads(_records_path().read_text())
        for one in records.values():
            Published(**one)
    except FileNotFoundError:
        return {}
    except (AttributeError, TypeError, ValueError) as error:
        message = f"{_records_path()} is damaged: {error}"
        path = _records_path()
        hint = f"move it aside (mv {path} {path}.damaged), and sign images by their digest"
        raise DeployError(message, hint=hint, code=ExitCode.DATA) from error
    return records


def _records_path() -> Path:
    return state_dir() / "published.json"
