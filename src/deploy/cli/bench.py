"""`build.py bench`."""

from __future__ import annotations

import sys

from plumbum import cli

from deploy import process
from deploy.bootstrap import venv
from deploy.cli.command import Command, unknown
from deploy.paths import REPO

_PARTS = {"api_data", "api_load", "api_sides", "launch", "load"}
"""What measurements run beside the backend."""


class Bench(Command):
    """Measure starts, healing and restarts (in a lab), and what requests and quick add cost."""

    rounds = cli.SwitchAttr("--rounds", cli.Range(1, 50), default=5, help="rounds a figure")

    def main(self, name: str = "heal") -> int:
        """Run a measurement of tests/bench by name."""
        found = {path.stem for path in (REPO / "tests" / "bench").glob("*.py")}
        measurements = {stem.replace("_", "-") for stem in found - _PARTS}
        if name not in measurements:
            message = (
                f"unknown measurement {name}, must be one of: {', '.join(sorted(measurements))}"
            )
            unknown(message, name, measurements, "build.py bench")
        venv.enter("dev")
        module = f"tests.bench.{name.replace('-', '_')}"
        program = [sys.executable, "-m", module, f"--rounds={self.rounds}"]
        return process.interact(program, env={"PYTHONPATH": f"{REPO}:{REPO / 'src'}"}, cwd=REPO)
