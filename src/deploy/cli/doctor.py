"""`build.py doctor`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import Command
from deploy.errors import ExitCode
from deploy.host import doctor, probe


class Doctor(Command):
    """Check the requirements on this host, and show the command for each missing one."""

    as_json = cli.Flag("--json", help="print JSON")

    def main(self) -> int:
        """Print the table, and return 0 if the stack can run here or in a lab, otherwise 1."""
        diagnosis = doctor.diagnose(probe.probe())
        render = doctor.render_json if self.as_json else doctor.render_table
        write_output(f"{render(diagnosis)}\n")
        return ExitCode.OK if diagnosis.usable else ExitCode.FAILED
