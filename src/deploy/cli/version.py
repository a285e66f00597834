"""`build.py version`."""

from __future__ import annotations

import sys

from deploy.cli import listing
from deploy.cli.command import Command


class Version(Command):
    """Show the version of the project."""

    def main(self) -> int:
        """Print it."""
        sys.stdout.write(f"{listing.PROGRAM} {listing.version()}\n")
        return 0
