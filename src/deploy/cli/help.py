"""`build.py help`."""

from __future__ import annotations

from deploy.bootstrap.entrypoint import write_output
from deploy.cli import listing
from deploy.cli.command import Command


class Help(Command):
    """Show the help of a command, or the list of commands."""

    def main(self, *words: str) -> int:
        """Print the output of `COMMAND --help`, or the list of commands."""
        from deploy.cli.main import Build  # noqa: PLC0415 - circular import

        if not words:
            write_output(listing.render_help())
            return 0
        return Build.start([listing.PROGRAM, *words, "--help"])
