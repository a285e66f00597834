"""`build.py lint`."""

from __future__ import annotations

from deploy.cli.command import Command
from deploy.dev import checks


class Lint(Command):
    """Check the code: lint rules, format, types, import contracts and spelling."""

    def main(self) -> int:
        """Run every check."""
        checks.lint()
        return 0
