"""`build.py down`."""

from __future__ import annotations

from deploy import stack
from deploy.cli.stack_command import StackCommand


class Down(StackCommand):
    """Stop the stack; the data and the units stay."""

    def main(self) -> int:
        """Stop everything, the socket first."""
        code = self.elsewhere("down")
        if code is None:
            stack.stop()
            code = 0
        return code
