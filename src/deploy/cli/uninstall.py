"""`build.py uninstall`."""

from __future__ import annotations

import sys

from plumbum import cli

from deploy.cli.stack_command import StackCommand
from deploy.errors import DeployError, ExitCode
from deploy.stack import lifecycle


class Uninstall(StackCommand):
    """Stop the stack and remove its units; what you put there stays."""

    volumes = cli.Flag("--volumes", help="also the database's data and the token secret")
    assume_yes = cli.Flag("--yes", help="do not ask")

    def main(self) -> int:
        """Remove; with --volumes after a question."""
        words = ["--volumes"] if self.volumes else []
        words += ["--yes"] if self.assume_yes else []
        code = self.elsewhere("uninstall", words)
        if code is not None:
            return code
        if self.volumes and not self.assume_yes:
            confirm()
        for path in lifecycle.remove(volumes=bool(self.volumes)):
            sys.stdout.write(f"removed {path}\n")
        return 0


def confirm() -> None:
    """Ask before data is lost; anything but `yes` refuses.

    Raises:
        DeployError: The answer was not `yes`, or nobody could be asked.
    """
    if not sys.stdin.isatty():
        raise DeployError(
            "--volumes removes the database for good, and nobody is here to be asked",
            hint="add --yes",
            code=ExitCode.USAGE,
        )
    sys.stderr.write("This removes every task for good. Type yes to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise DeployError("nothing was removed", code=ExitCode.FAILED)
