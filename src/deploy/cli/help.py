"""`build.py help`."""

from __future__ import annotations

from deploy.bootstrap.entrypoint import write_output
from deploy.cli import listing
from deploy.cli.command import Command


class Help(Command):
    """Show the help of a command, or the list of commands."""

    def main(self, *words: str) -> int:
        """Show what `COMMAND --help` shows."""
        from deploy.cli.main import Build  # noqa: PLC0415 - it names this module

        if not words:
            write_output(listing.render_help())
            return 0
        return Build.start([listing.PROGRAM, *words, "--help"])
