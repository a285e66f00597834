"""Command line of `build.py`, which imports a command only when it is used."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.bootstrap.switches import find_class, find_module
from deploy.cli import listing
from deploy.cli.command import Command, strict


class Build(Command):
    """Build, run and test the todo backend."""

    PROGNAME = listing.PROGRAM
    VERSION = listing.version()

    @cli.switch(["-h", "--help"], overridable=True, group="Meta-switches")
    def help(self) -> None:
        """Print this help and quit."""
        write_output(listing.render_help())

    def main(self) -> None:
        """Run the default command if no command is given."""
        if self.nested_command is None:
            command = strict(self._subcommands[listing.DEFAULT].get())
            self.nested_command = (command, [f"{self.PROGNAME} {listing.DEFAULT}"])


for _name in listing.COMMANDS:
    Build.subcommand(_name, f"deploy.cli.{find_module(_name)}.{find_class(_name)}")
