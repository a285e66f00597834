"""`build.py status`."""

from __future__ import annotations

import json
import sys
import time

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli import status_table
from deploy.cli.command import usage
from deploy.cli.logs import wants_color
from deploy.cli.stack_command import StackCommand
from deploy.errors import ExitCode
from deploy.stack import overview
from deploy.upgrade import record

_NOT_RUNNING = 3
"""Exit code of `systemctl status` for a unit that is not active."""
_INTERVAL_S = 2.0
_HOME_AND_CLEAR = "\033[H\033[J"


class Status(StackCommand):
    """Show the stack's state: units, health, versions, images, disk, pool, latest errors."""

    as_json = cli.Flag("--json", help="print a JSON object instead of a table")
    watch = cli.Flag("--watch", help="repeat every SECONDS (default: 2) until Ctrl-C")

    def main(self, seconds: str = "") -> int:
        """Print the status, and return 0 if the backend is ready, otherwise 3."""
        interval_s = self._check_interval(seconds)
        words = ["--json"] if self.as_json else []
        words += ["--watch", str(interval_s)] if self.watch else []
        try:
            code = self.elsewhere("status", words)
            if code is not None:
                return code
            while True:
                code = self._show()
                if not self.watch:
                    return code
                time.sleep(interval_s)
        except KeyboardInterrupt:
            if not self.watch:
                raise
            # Ctrl-C is the usual end of `status --watch`.
            return ExitCode.INTERRUPTED

    def _check_interval(self, seconds: str) -> float:
        if not seconds:
            return _INTERVAL_S
        if not self.watch:
            raise usage("SECONDS requires --watch", str(self.PROGNAME))
        try:
            interval_s = float(seconds)
        except ValueError:
            interval_s = -1.0
        # A time longer than a day is a mistake, and `sleep` does not accept infinity.
        if not 0 < interval_s <= 86400:  # noqa: PLR2004
            raise usage(f"--watch: {seconds} is not a valid number of seconds", str(self.PROGNAME))
        return interval_s

    def _show(self) -> int:
        found = overview.find()
        if self.as_json:
            shown = {**overview.to_json_dict(found), "upgrade_db": record.to_json_dict()}
            text = f"{json.dumps(shown)}\n"
        else:
            notes = record.find_notes()
            text = status_table.render(found, color=wants_color(), notes=notes)
        if self.watch and sys.stdout.isatty():
            text = f"{_HOME_AND_CLEAR}{text}"
        elif self.watch and not self.as_json:
            text = f"{found.at}\n{text}\n"
        write_output(text)
        return 0 if found.ready else _NOT_RUNNING
