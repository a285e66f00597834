"""`build.py config`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import drift, settings


class Config(StackCommand):
    """Show the effective settings of the stack, and the file that each comes from."""

    as_json = cli.Flag("--json", help="print a JSON object instead of tables")

    def main(self) -> int:
        """Print the settings, without secrets."""
        code = self.elsewhere("config", ["--json"] if self.as_json else [])
        if code is not None:
            return code
        found = settings.find()
        differing = {**drift.find_outdated(), **drift.find_unread()}
        if self.as_json:
            shown = {**dataclasses.asdict(found), "differs": differing}
            write_output(f"{json.dumps(shown)}\n")
        else:
            write_output(render(found, differing))
        return 0


def render(found: settings.Settings, differing: dict[str, str]) -> str:
    """Render the tables of settings, and the changes that are not applied yet."""
    home = f"{Path.home()}/"
    lines = []
    for title, rows in (
        ("Options of the backend", found.options),
        ("Addresses", found.addresses),
        ("Containers and limits", found.limits),
    ):
        many = len({row.unit for row in rows}) > 1
        names = [f"{row.unit} {row.name}" if many else row.name for row in rows]
        width = max(map(len, names), default=0)
        values = max((len(row.value) for row in rows), default=0)
        lines.append(title)
        for name, row in zip(names, rows, strict=True):
            source = row.source.replace(home, "~/")
            notes = [
                f"runs with {row.running}" if row.running is not None else "",
                row.problem or "",
                f"in the lab; from this host {row.published}" if row.published else "",
            ]
            note = "".join(f"  ({each})" for each in notes if each)
            lines.append(f"  {name:<{width}}  {row.value:<{values}}  {source}{note}")
        lines.append("")
    lines += drift.describe(differing)
    return "\n".join(lines).rstrip() + "\n"
