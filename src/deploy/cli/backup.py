"""`build.py backup`."""

from __future__ import annotations

from deploy.backup import run
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand


class Backup(StackCommand):
    """Make a backup of the database now, verify it, and remove old backups."""

    def main(self) -> int:
        """Make a backup, and print its name, size and duration."""
        code = self.elsewhere("backup")
        if code is None:
            write_output(f"{run.render(run.run())}\n")
            code = 0
        return code
