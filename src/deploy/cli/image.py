"""`build.py image`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.errors import DeployError
from deploy.host import packages as host_packages
from deploy.image import archive, build, builder
from deploy.image import sizes as image_sizes
from deploy.progress import step
from deploy.stack import up, update_state
from deploy.update import begin

if TYPE_CHECKING:
    from collections.abc import Sequence


class Image(StackCommand):
    """Build the images with rootless Buildah from the Containerfile."""

    target = cli.SwitchAttr(
        "--target",
        cli.Set(*build.ALL_TARGETS, "all"),
        default="backend",
        help="image to build; all: backend and db",
    )
    builder = cli.SwitchAttr("--builder", str, help="base image of the build stages")
    no_cache = cli.Flag("--no-cache", help="rebuild with Debian's latest packages")
    packages = cli.SwitchAttr(
        "--packages",
        Path,
        help="package lock of an earlier build, to install exactly the same packages",
    )
    verify = cli.Flag("--verify", help="build twice and report the first file that differs")
    sizes = cli.Flag("--sizes", help="print the size of each component")
    json = cli.Flag("--json", help="print digest and sizes as one JSON object per line and target")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")
    image_cache = cli.SwitchAttr("--image-cache", Path, help="cache folder of finished images")

    def main(self) -> int:
        """Build the images, and print their digests and sizes."""
        lab = self.trial()
        if lab is not None:
            return lab.image(self._words(), self.packages, assume_yes=bool(self.assume_yes))
        targets = build.TARGETS if self.target == "all" else (str(self.target),)
        options = build.Options(
            builder=self.builder,
            no_cache=bool(self.no_cache),
            archive_dir=self.image_cache,
            packages=self.packages,
        )
        if self.verify:
            return self._verify(targets, options)
        if self.sizes or self.json:
            host_packages.ensure_measure_packages(assume_yes=bool(self.assume_yes))
        # The stack is locked, because the units may use an image that the build replaces.
        with update_state.hold():
            if "backend" in targets and not self.no_cache:
                begin.refuse_checkout()
            built = up.build(options, targets, assume_yes=bool(self.assume_yes))
        for one in built:
            if self.sizes or self.json:
                self._measure(one)
            if not self.json:
                how = f"{one.seconds:.1f} s" if one.seconds else "up to date"
                write_output(
                    f"{one.reference}  config digest {one.config_digest}  "
                    f"{one.size / 1e6:.1f} MB  {how}\n"
                )
        return 0

    def _words(self) -> list[str]:
        """Return the arguments for a lab, without the package lock, which is copied there."""
        flags = ("no_cache", "verify", "sizes", "json")
        words = [f"--{name.replace('_', '-')}" for name in flags if getattr(self, name)]
        words += [f"--builder={self.builder}"] if self.builder else []
        return [f"--target={self.target}", *words]

    def _verify(self, targets: Sequence[str], options: build.Options) -> int:
        for target in targets:
            verdict = up.verify(target, options, assume_yes=bool(self.assume_yes))
            if verdict.difference:
                raise DeployError(
                    f"two builds of the {target} image differ: {verdict.difference}",
                    hint="make the program that wrote it write the same bytes each time",
                )
            write_output(f"{target}: both builds have the config digest {verdict.first}\n")
        return 0

    def _measure(self, one: build.Image) -> None:
        with (
            step(f"Measuring the {one.target} image"),
            builder.scratch() as scratch,
            archive.saved(one.reference, scratch) as saved,
        ):
            found = image_sizes.measure(saved, build.bill_of_materials(saved, one.target))
        if self.sizes:
            write_output(image_sizes.render_table(found))
        if self.json:
            write_output(image_sizes.render_json(one.config_digest, one.seconds, found) + "\n")
