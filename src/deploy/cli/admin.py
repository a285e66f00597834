"""`build.py admin`: the backend's own commands, with files of this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from plumbum import cli

from deploy.cli.stack_command import StackCommand
from deploy.stack import admin

if TYPE_CHECKING:
    from collections.abc import Callable

    from plumbum.cli.application import SwitchParseInfo

_WITH_VALUE = "--lab"
_MORE_HELP = """
before COMMAND:
  --lab NAME  in the lab of this name
  --no-lab    refuse where this host cannot run the stack itself
  --verbose   show the programs that are run

COMMAND --help tells more about one. Files are of this machine, - is standard input or output. The
exit code is the command's.
"""


class Admin(StackCommand):
    """Export, import, verify journals, manage API tokens: commands inside the backend."""

    _words: tuple[str, ...] = ()

    @cli.switch(["-h", "--help"], overridable=True, group="Meta-switches")
    def help(self) -> None:
        """Print this help and quit."""
        sys.stdout.write(f"{admin.get_help()}{_MORE_HELP}")

    def main(self) -> int:
        """Run the command."""
        there = self.trial()
        if there is None or not self._words:
            return admin.run(self._words)
        # Only once the command line is known to be sound: what is wrong with it needs no backend.
        return admin.run(
            self._words,
            within=lambda argv: there.machine().argv(argv),
            lab=f" --lab {self.lab}" if self.lab else "",
        )

    def _parse_args(
        self, argv: list[str]
    ) -> tuple[dict[Callable[..., None], SwitchParseInfo], list[str]]:
        # From the first other word on, everything is the backend's.
        at = 0
        while at < len(argv) and argv[at].startswith("-"):
            at += 2 if argv[at] == _WITH_VALUE else 1
        self._words = tuple(argv[at:])
        return super()._parse_args(argv[:at])
