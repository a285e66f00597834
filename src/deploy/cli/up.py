"""`build.py up`."""

from __future__ import annotations

from pathlib import Path

from plumbum import cli

from deploy import command_hints, progress
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.image import build
from deploy.scan import up_notice
from deploy.stack import status, up


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
        options = build.Options(builder=self.builder, archive_dir=self.image_cache)
        url = up.up(options, port=self.port, assume_yes=bool(self.assume_yes))
        timings = progress.TIMINGS.render()
        write_output(f"{timings}\n\n{render(url, status.find_management())}")
        # A program that waits for the address has it now; what follows may take a while.
        warning = up_notice.find_in_time(self.builder)
        if warning:
            progress.say(warning)
        return 0


def render(url: str, management: str | None) -> str:
    """The closing lines: the addresses, and what to type next.

    Args:
        url: Where the public API listens.
        management: Where health and metrics are; None when no address leads there.
    """
    lines = [f"The backend answers at {url}"]
    if management is not None:
        lines.append(f"Health and metrics:  {management}")
    lines.append(f"A token for a user:  {command_hints.build('token alice')}")
    lines.append(f"What runs, and why:  {command_hints.build('status')}")
    return "\n".join([*lines, ""])
