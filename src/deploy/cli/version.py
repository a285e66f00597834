"""`build.py version`."""

from __future__ import annotations

from deploy.bootstrap.entrypoint import write_output
from deploy.cli import listing
from deploy.cli.command import Command


class Version(Command):
    """Show the version of the project."""

    def main(self) -> int:
        """Print the version."""
        write_output(f"{listing.PROGRAM} {listing.version()}\n")
        return 0
