"""`build.py logs`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import unknown
from deploy.cli.stack_command import StackCommand
from deploy.errors import ExitCode
from deploy.stack import logs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Logs(StackCommand):
    """Show the log of the stack: all of it, or of some units (backend, db, ai, wal, …)."""

    WORDS: ClassVar[Mapping[str, str]] = {name: f"of todo-{name}" for name in logs.UNITS}

    follow = cli.Flag(["-f", "--follow"], help="follow the log until Ctrl-C")
    lines = cli.SwitchAttr(
        ["-n", "--lines"],
        cli.Range(0, 1_000_000),
        help=f"number of lines to start with (default: {logs.DEFAULT_LINES}, or all with --since)",
    )
    since = cli.SwitchAttr(
        "--since",
        str,
        argname="TIME",
        help='only lines since then, such as "10 min ago" or "2026-11-30 14:00"',
    )
    errors = cli.Flag("--errors", help="only errors (of any age, unless --since is given)")
    request = cli.SwitchAttr(
        "--request", str, argname="ID", help="only lines of the request with this X-Request-Id"
    )
    as_json = cli.Flag("--json", help="print one JSON object per line, with all fields")

    def main(self, *units: str) -> int:
        """Print the log of UNITS."""
        names = [unit.removeprefix("todo-").removesuffix(".service") for unit in units]
        for name, unit in zip(names, units, strict=True):
            if name not in (*logs.UNITS, *logs.INSTANCES):
                message = f"unknown unit {unit}, must be one of: {', '.join(logs.UNITS)}"
                unknown(message, name, logs.UNITS, str(self.PROGNAME))
        try:
            code = self.elsewhere("logs", [*self._switches(), *units])
            return self._print(names) if code is None else code
        except KeyboardInterrupt:
            if not self.follow:
                raise
            # Ctrl-C is the usual end of `logs --follow`.
            return ExitCode.INTERRUPTED

    def _switches(self) -> list[str]:
        values = {"lines": self.lines, "since": self.since, "request": self.request}
        flags = {"follow": self.follow, "errors": self.errors, "json": self.as_json}
        return [
            *(f"--{name}={value}" for name, value in values.items() if value is not None),
            *(f"--{name}" for name, wanted in flags.items() if wanted),
        ]

    def _print(self, names: Sequence[str]) -> int:
        if self.since is not None:
            logs.check_since(self.since)
        lines = self.lines
        if lines is None and self.since is None:
            lines = logs.DEFAULT_LINES
        query = logs.Query(
            units=tuple(names),
            lines=lines,
            since=self.since or "",
            errors=bool(self.errors),
            request=self.request or "",
        )
        color = wants_color()
        for line in logs.read(query, follow=bool(self.follow)):
            write_output(f"{line.as_json() if self.as_json else line.render(color=color)}\n")
        return ExitCode.OK


def wants_color() -> bool:
    """Return whether standard output is a terminal, and colors are not turned off."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain
