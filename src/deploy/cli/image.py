"""`build.py image`."""

from __future__ import annotations

import sys
from pathlib import Path

from plumbum import cli

from deploy import deployment, image, trial
from deploy.cli.stack_command import StackCommand


class Image(StackCommand):
    """Build the images with rootless Buildah from the Containerfile."""

    target = cli.SwitchAttr(
        "--target", cli.Set(*image.TARGETS, "all"), default="backend", help="what to build"
    )
    builder = cli.SwitchAttr("--builder", str, help="image for the build stages")
    no_cache = cli.Flag("--no-cache", help="build anew, with Debian's newest packages")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages with sudo")
    image_cache = cli.SwitchAttr("--image-cache", Path, help="folder that keeps finished images")

    def main(self) -> int:
        """Build, and print what came out."""
        why = trial.reason(no_lab=bool(self.no_lab))
        if why is not None:
            words = [f"--target={self.target}"]
            words += [f"--builder={self.builder}"] if self.builder else []
            words += ["--no-cache"] if self.no_cache else []
            return trial.image(why, words)
        built = deployment.build(
            image.TARGETS if self.target == "all" else (str(self.target),),
            builder=self.builder,
            no_cache=bool(self.no_cache),
            archive_dir=self.image_cache,
            assume_yes=bool(self.assume_yes),
        )
        for one in built:
            how = f"{one.seconds:.1f} s" if one.seconds else "up to date"
            sys.stdout.write(
                f"{one.reference}  config digest {one.config_digest}  "
                f"{one.size / 1e6:.1f} MB  {how}\n"
            )
        return 0
