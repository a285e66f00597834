"""`build.py restart`."""

from __future__ import annotations

from deploy import stack
from deploy.cli.stack_command import StackCommand


class Restart(StackCommand):
    """Restart the backend; connections wait in its socket meanwhile."""

    def main(self) -> int:
        """Restart and wait until it serves again."""
        code = self.elsewhere("restart")
        if code is None:
            stack.restart()
            stack.wait_ready()
            code = 0
        return code
