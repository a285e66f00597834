"""`build.py admin`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import admin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plumbum.cli.application import SwitchParseInfo

_WITH_VALUE = "--lab"
_ANYWHERE = {"--no-lab", "--verbose"}
_MORE_HELP = """
Switches before or after COMMAND:
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
        write_output(f"{admin.get_help()}{_MORE_HELP}")

    def main(self) -> int:
        """Run the command in the backend and return its exit code."""
        there = self.trial()
        if there is None or not self._words:
            return admin.run(self._words)
        # `admin.run` looks for the lab only after it has validated the command line.
        return admin.run(
            self._words,
            within=lambda argv: there.machine().argv(argv),
            lab=f" --lab {self.lab}" if self.lab else "",
        )

    def _parse_args(
        self, argv: list[str]
    ) -> tuple[dict[Callable[..., None], SwitchParseInfo], list[str]]:
        own, self._words = split_words(argv)
        return super()._parse_args(own)


def split_words(argv: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Split a command line into the part for `build.py` and the part for the backend's command.

    Args:
        argv: Words after `admin`. The switches that select the machine may be anywhere before
            `--`, others of `build.py` only before the command.
    """
    own: list[str] = []
    theirs: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            theirs += [word, *words]
        elif word == _WITH_VALUE:
            own += [word, *itertools.islice(words, 1)]
        elif word in _ANYWHERE or word.startswith(f"{_WITH_VALUE}="):
            own.append(word)
        else:
            (theirs if theirs or not word.startswith("-") else own).append(word)
    return own, tuple(theirs)
