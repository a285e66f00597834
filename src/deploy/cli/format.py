"""`build.py format`."""

from __future__ import annotations

from deploy.cli.command import Command
from deploy.dev import checks


class Format(Command):
    """Format the code, and fix what can be fixed safely."""

    def main(self) -> int:
        """Format all files."""
        checks.format_code()
        return 0
