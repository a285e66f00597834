"""Base class of the commands that act on the running stack, on this host or in a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plumbum import cli

from deploy.cli.command import Command, usage
from deploy.stack import in_lab

if TYPE_CHECKING:
    from collections.abc import Sequence


class StackCommand(Command):
    """A command that runs on this host, or in the lab that runs the stack."""

    no_lab = cli.Flag(
        "--no-lab",
        help="fail if this host cannot run the stack itself",
    )
    lab = cli.SwitchAttr(
        "--lab", str, argname="NAME", help="run in the lab NAME; several labs can run side by side"
    )

    def trial(self) -> in_lab.LabStack | None:
        """Return the lab that the command runs in, or None if it runs on this host.

        Raises:
            DeployError: The switches conflict or are invalid, or this host cannot run the stack.
        """
        if self.no_lab and self.lab:
            raise usage("--lab and --no-lab are mutually exclusive", str(self.PROGNAME))
        return in_lab.find(no_lab=bool(self.no_lab), lab=self.lab)

    def elsewhere(self, command: str, arguments: Sequence[str] = ()) -> int | None:
        """Run the command in the lab and return its exit code, or None if this host runs it."""
        there = self.trial()
        return None if there is None else there.again(command, arguments)
