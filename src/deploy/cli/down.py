"""`build.py down`."""

from __future__ import annotations

from deploy.cli.stack_command import StackCommand
from deploy.stack import lifecycle


class Down(StackCommand):
    """Stop the stack; the data and the units stay."""

    def main(self) -> int:
        """Stop everything, the socket first."""
        code = self.elsewhere("down")
        if code is None:
            lifecycle.stop()
            code = 0
        return code
