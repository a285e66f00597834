"""`build.py scan`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.image import build
from deploy.scan import gate
from deploy.scan import report as scan_report


class Scan(StackCommand):
    """Scan the images for known vulnerabilities."""

    target = cli.SwitchAttr(
        "--target",
        cli.Set(*build.ALL_TARGETS, "all"),
        default="backend",
        help="image to scan; all: every local image, at least backend and db",
    )
    reference = cli.SwitchAttr("--image", str, argname="REF", help="scan this image instead")
    advisories = cli.SwitchAttr(
        "--advisories",
        Path,
        argname="FILE",
        help="file with OSV records, instead of the online service",
    )
    offline = cli.Flag(
        "--offline", help="skip checks that need the network, and report them as skipped"
    )
    json = cli.Flag("--json", help="print JSON")
    builder = cli.SwitchAttr("--builder", str, help="image whose apt looks up Debian's fixes")

    def main(self) -> int:
        """Scan, print the report, and return its exit code."""
        lab = self.trial()
        if lab is not None:
            return lab.scan(self._words(), self.advisories)
        targets = gate.find_targets() if self.target == "all" else [str(self.target)]
        references = {target: build.reference(target) for target in targets}
        if self.reference:
            references = {str(self.reference): str(self.reference)}
        options = gate.Options(
            advisories=self.advisories, offline=bool(self.offline), builder=self.builder
        )
        report = gate.run(references, options)
        if self.json:
            write_output(json.dumps(scan_report.to_document(report), indent=1) + "\n")
        else:
            write_output(scan_report.render_text(report, dt.datetime.now(dt.UTC)))
        return report.exit_code

    def _words(self) -> list[str]:
        """Return the arguments for a lab, without the advisories, which are copied there."""
        words = [f"--target={self.target}"]
        words += [f"--{name}" for name in ("offline", "json") if getattr(self, name)]
        named = {"image": self.reference, "builder": self.builder}
        return words + [f"--{name}={value}" for name, value in named.items() if value]
