"""What the commands that act on the running stack share: here, or in the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plumbum import cli

from deploy import trial
from deploy.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Sequence


class StackCommand(Command):
    """A command that runs on this host, or in the lab that holds the trial."""

    no_lab = cli.Flag("--no-lab", help="refuse where this host cannot run the stack itself")

    def elsewhere(self, command: str, arguments: Sequence[str] = ()) -> int | None:
        """Run the command in the lab and return its code; None when it belongs here."""
        why = trial.reason(no_lab=bool(self.no_lab))
        return None if why is None else trial.again(why, command, arguments)
