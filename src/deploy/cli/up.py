"""`build.py up`."""

from __future__ import annotations

import sys
from pathlib import Path

from plumbum import cli

from deploy import advice, deployment, image, progress
from deploy.cli.stack_command import StackCommand
from deploy.scan import warning as scan_warning


class Up(StackCommand):
    """Build what is stale, install, start, and wait until the backend serves."""

    port = cli.SwitchAttr("--port", cli.Range(1, 65535), help="loopback port of the public API")
    builder = cli.SwitchAttr("--builder", str, help="image for the build stages")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")
    image_cache = cli.SwitchAttr("--image-cache", Path, help="folder that keeps finished images")

    def main(self) -> int:
        """Bring the stack up."""
        lab = self.trial()
        if lab is not None:
            words = [f"--builder={self.builder}"] if self.builder else []
            return lab.up(words, port=self.port)
        options = image.Options(builder=self.builder, archive_dir=self.image_cache)
        url = deployment.up(options, port=self.port, assume_yes=bool(self.assume_yes))
        sys.stdout.write(
            f"{progress.TIMINGS.render()}\n"
            f"\n"
            f"The backend answers at {url}\n"
            f"A token for a user:  {advice.build('token alice')}\n"
            f"What runs, and why:  {advice.build('status')}\n"
        )
        # Whoever waits for the address has it now; what follows may take a while.
        sys.stdout.flush()
        warning = scan_warning.find_in_time(self.builder)
        if warning:
            sys.stderr.write(f"{warning}\n")
        return 0
