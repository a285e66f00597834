"""`build.py restart`."""

from __future__ import annotations

from deploy.cli.stack_command import StackCommand
from deploy.stack import lifecycle, up, update_state
from deploy.update import begin
from deploy.upgrade import interruption


class Restart(StackCommand):
    """Restart the backend; connections wait in its socket meanwhile."""

    def main(self) -> int:
        """Restart the backend, and wait until it is ready."""
        code = self.elsewhere("restart")
        if code is None:
            with update_state.hold():
                begin.recover()
                interruption.end_refusal()
                lifecycle.restart()
                # `down` also stops the optional parts.
                up.start_optional()
            code = 0
        return code
