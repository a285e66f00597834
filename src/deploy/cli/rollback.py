"""`build.py rollback`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import update_state
from deploy.update import begin


class Rollback(StackCommand):
    """Roll back to the image before the last update, without an outage."""

    to = cli.SwitchAttr(
        "--to", str, argname="TAG", help="kept image to roll back to (default: the previous one)"
    )
    refuse = cli.Flag("--refuse", help="prevent updates to the current image")
    watch_s = cli.SwitchAttr(
        "--watch",
        cli.Range(1, 3600),
        argname="SECONDS",
        default=5,
        help="time to watch the candidate while it serves, before it replaces the others",
    )

    def main(self) -> int:
        """Roll back, and print the current and the previous image."""
        words = [f"--to={self.to}"] if self.to else []
        words += ["--refuse"] if self.refuse else []
        code = self.elsewhere("rollback", [*words, f"--watch={self.watch_s}"])
        if code is not None:
            return code
        with update_state.hold():
            done = begin.rollback(
                to=self.to, refuses=bool(self.refuse), watch_s=float(self.watch_s)
            )
            write_output(f"{done}\n")
        return 0
