"""`build.py push`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import Command
from deploy.image import build
from deploy.registry import push, sign, skopeo
from deploy.scan import gate


class Push(Command):
    """Push an image that passes the scan to a registry, signed if a key is given.

    Push to REGISTRY/REPO[:TAG]. The registry's credentials are those of `podman login`.
    """

    target = cli.SwitchAttr(
        "--target", cli.Set(*build.ALL_TARGETS), default="backend", help="image to push"
    )
    sign_by = cli.SwitchAttr("--sign-by", Path, help="private key with which to sign the image")
    passphrase_file = cli.SwitchAttr(
        "--passphrase-file", Path, help="file with the key's passphrase (default: prompt for it)"
    )
    advisories = cli.SwitchAttr(
        "--advisories", Path, argname="FILE", help="as for scan: file with OSV records"
    )
    offline = cli.Flag("--offline", help="as for scan: skip checks that need the network")
    builder = cli.SwitchAttr("--builder", str, help="as for scan: image whose apt is used")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")

    def main(self, destination: str) -> int:
        """Push to DESTINATION, and print both digests."""
        reference = skopeo.parse(destination)
        push.require_own_host()
        skopeo.ensure_skopeo(assume_yes=bool(self.assume_yes))
        signer = sign.get_signer(self.sign_by, self.passphrase_file) if self.sign_by else None
        scanning = gate.Options(
            advisories=self.advisories, offline=bool(self.offline), builder=self.builder
        )
        done = push.push(str(self.target), reference, scanning=scanning, signer=signer)
        write_output(
            f"{reference.tagged}{'  signed' if signer else ''}\n"
            f"  manifest digest  {done.manifest_digest}  (this registry's; what is signed)\n"
            f"  config digest    {done.config_digest}  (the image's id everywhere)\n"
            f"  scan             {done.claim}\n"
        )
        return 0
