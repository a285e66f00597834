"""`build.py down`."""

from __future__ import annotations

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import lifecycle, update_state


class Down(StackCommand):
    """Stop the stack; the data and the units stay."""

    def main(self) -> int:
        """Stop the stack, if it is running."""
        there = self.trial()
        if there is None:
            with update_state.hold():
                lifecycle.stop()
            return 0
        if not there.is_up():
            write_output(f"nothing to stop: {there.render_absence()}\n")
            return 0
        return there.again("down", [])
