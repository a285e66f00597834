"""`build.py status`."""

from __future__ import annotations

import dataclasses
import json

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import drift, status

_NOT_RUNNING = 3
"""What `systemctl status` returns for a unit that is not active."""


class Status(StackCommand):
    """Show what runs: units, health, images, readiness."""

    as_json = cli.Flag("--json", help="one JSON object instead of a table")

    def main(self) -> int:
        """Print the state; 0 when the backend is ready, 3 otherwise."""
        code = self.elsewhere("status", ["--json"] if self.as_json else [])
        if code is not None:
            return code
        now = status.find()
        if self.as_json:
            write_output(f"{json.dumps(dataclasses.asdict(now))}\n")
        else:
            write_output(render(now))
        return 0 if now.ready else _NOT_RUNNING


def render(now: status.Status) -> str:
    """The state as a table, with the verdict below."""
    lines = [f"{'unit':<22} {'state':<20} {'health':<10} {'restarts':>8}  image"]
    for unit in now.units:
        state = f"{unit.active} ({unit.sub})"
        image = (unit.image or "-")[:12]
        lines.append(
            f"{unit.unit:<22} {state:<20} {unit.health or '-':<10} {unit.restarts:>8}  {image}"
        )
    notes = [f"{unit.unit} {unit.active}: {unit.cause}" for unit in now.units if unit.cause]
    notes += drift.describe({unit.unit: unit.differs for unit in now.units if unit.differs})
    verdict = f"ready at {now.url}" if now.ready else f"{now.state}: {now.reason}"
    management = [f"health and metrics at {now.management}"] if now.management else []
    return "\n".join([*lines, "", *notes, verdict, *management, ""])
