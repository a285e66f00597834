"""`build.py drill`."""

from __future__ import annotations

from deploy.backup import drill
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand


class Drill(StackCommand):
    """Restore the newest backup to a scratch volume, and compare it with the live journals."""

    def main(self) -> int:
        """Run the restore drill, and print its result."""
        code = self.elsewhere("drill")
        if code is None:
            write_output(f"{drill.render(drill.run())}\n")
            code = 0
        return code
