"""`build.py uninstall`."""

from __future__ import annotations

import sys

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.errors import DeployError, ExitCode
from deploy.host.volumes import describe
from deploy.stack import backups, uninstall, update_state


class Uninstall(StackCommand):
    """Stop the stack and remove its units; list what stays, and the commands that remove it."""

    volumes = cli.Flag("--volumes", help="also remove the database volume and the token secret")
    assume_yes = cli.Flag("--yes", help="do not ask for confirmation")

    def main(self) -> int:
        """Remove the stack, after a confirmation if --volumes is given."""
        there = self.trial()
        if there is None:
            return self._remove()
        if not there.is_up():
            write_output(f"nothing to remove: {there.render_absence()}\n")
            return 0
        words = ["--volumes"] if self.volumes else []
        words += ["--yes"] if self.assume_yes else []
        return there.again("uninstall", words)

    def _remove(self) -> int:
        uninstall.check()
        volumes = bool(self.volumes)
        folders = backups.find_left()
        if uninstall.has_work(volumes=volumes):
            data = uninstall.find_volumes() if volumes else []
            if data and not self.assume_yes:
                confirm(describe(data))
            with update_state.hold():
                removed = uninstall.remove(volumes=volumes)
            for path in removed:
                write_output(f"removed {path}\n")
        else:
            write_output("nothing to remove: the stack is not installed\n")
        write_output(uninstall.render_kept(uninstall.find_kept(folders)))
        return 0


def confirm(data: str) -> None:
    """Ask for confirmation before data is deleted; only `yes` confirms.

    Raises:
        DeployError: The answer was not `yes`, or standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise DeployError(
            f"--volumes deletes {data}; cannot ask for confirmation, because standard input is "
            "not a terminal",
            hint="add --yes to confirm",
            code=ExitCode.USAGE,
        )
    sys.stderr.write(f"This deletes every task: {data}. Type yes to continue: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise DeployError("nothing was removed", code=ExitCode.FAILED)
