"""`build.py logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import unknown
from deploy.cli.stack_command import StackCommand
from deploy.errors import ExitCode
from deploy.stack import logs

if TYPE_CHECKING:
    from collections.abc import Mapping


class Logs(StackCommand):
    """Show the log of the stack: all of it, or of some units (backend, db, migrate, ai)."""

    WORDS: ClassVar[Mapping[str, str]] = {name: f"of todo-{name}" for name in logs.UNITS}

    follow = cli.Flag(["-f", "--follow"], help="keep showing what is logged, until Ctrl-C")
    lines = cli.SwitchAttr(
        ["-n", "--lines"], cli.Range(0, 1_000_000), default=100, help="how many to begin with"
    )
    as_json = cli.Flag("--json", help="one JSON object a line, with every field")

    def main(self, *units: str) -> int:
        """Print the log of UNITS."""
        names = [unit.removeprefix("todo-").removesuffix(".service") for unit in units]
        for name, unit in zip(names, units, strict=True):
            if name not in logs.UNITS:
                message = f"unknown unit {unit}, must be one of: {', '.join(logs.UNITS)}"
                unknown(message, name, logs.UNITS, str(self.PROGNAME))
        switches = [f"--lines={self.lines}"]
        switches += ["--follow"] if self.follow else []
        switches += ["--json"] if self.as_json else []
        try:
            code = self.elsewhere("logs", [*switches, *units])
            return self._print(names) if code is None else code
        except KeyboardInterrupt:
            if not self.follow:
                raise
            # Ctrl-C is how one stops following.
            return ExitCode.INTERRUPTED

    def _print(self, names: list[str]) -> int:
        for line in logs.read(names, lines=int(self.lines), follow=bool(self.follow)):
            write_output(f"{line.as_json() if self.as_json else line}\n")
        return ExitCode.OK
