"""`build.py sign`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import Command, usage
from deploy.registry import push, sign, skopeo


class Sign(Command):
    """Sign an image in a registry with a sigstore key, or generate a key pair.

    Sign REGISTRY/REPO[:TAG][@DIGEST] --key KEY. The default is the digest that `push` recorded.
    """

    key = cli.SwitchAttr("--key", Path, help="private key to sign with")
    generate = cli.SwitchAttr(
        "--generate-key",
        Path,
        argname="PREFIX",
        help="generate the key pair PREFIX.private and PREFIX.pub instead",
    )
    passphrase_file = cli.SwitchAttr(
        "--passphrase-file", Path, help="file with the key's passphrase (default: prompt for it)"
    )
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")

    def main(self, image: str = "") -> int:
        """Sign IMAGE, or generate a key pair."""
        if bool(self.generate) == bool(image) or bool(self.key) != bool(image):
            raise usage("sign requires an image and --key, or --generate-key", str(self.PROGNAME))
        skopeo.ensure_skopeo(assume_yes=bool(self.assume_yes))
        if self.generate:
            passphrase = sign.read_passphrase(self.passphrase_file, confirm=True)
            private, public = sign.generate_key(self.generate, passphrase)
            write_output(
                f"{private}  signs: keep it and its passphrase apart, and to yourself\n"
                f"{public}  verifies: give it to whoever pulls\n"
            )
            return 0
        reference = push.get_signable(skopeo.parse(image))
        sign.sign(reference, sign.get_signer(self.key, self.passphrase_file))
        name = reference.tagged if reference.tag else reference.repository
        write_output(f"{name}  signed  manifest digest {reference.digest}\n")
        return 0
