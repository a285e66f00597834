"""`build.py verify`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import Command
from deploy.registry import sign, skopeo


class Verify(Command):
    """Check the signature and the content of an image in a registry.

    Verify REGISTRY/REPO[:TAG][@DIGEST] --key PUB.
    """

    key = cli.SwitchAttr("--key", Path, mandatory=True, help="public key of the publisher")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")

    def main(self, image: str) -> int:
        """Verify IMAGE, and print the digests that were verified."""
        reference = skopeo.parse(image)
        skopeo.ensure_skopeo(assume_yes=bool(self.assume_yes))
        done = sign.verify(reference, self.key)
        write_output(
            f"{reference}  signed with the key of {self.key}\n"
            f"  manifest digest  {done.manifest_digest}\n"
            f"  config digest    {done.config_digest}\n"
        )
        return 0
