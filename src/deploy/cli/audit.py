"""`build.py audit`."""

from __future__ import annotations

import datetime as dt

from plumbum import cli

from deploy.audit import report
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import Command
from deploy.errors import ExitCode


class Audit(Command):
    """Check Containerfile, manifest and units against known hardening rules."""

    as_json = cli.Flag("--json", help="print JSON")

    def main(self) -> int:
        """Print the findings, and return 1 if there are any, otherwise 0."""
        result = report.run_audit(dt.datetime.now(tz=dt.UTC).date())
        render = report.render_json if self.as_json else report.render_table
        write_output(f"{render(result)}\n")
        return ExitCode.FAILED if result.findings else ExitCode.OK
