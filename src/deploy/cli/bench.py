"""`build.py bench`."""

from __future__ import annotations

import sys

from plumbum import cli

from deploy import process
from deploy.bootstrap import venv
from deploy.cli.command import Command, unknown, usage
from deploy.paths import REPO

_PARTS = {"api_data", "api_host", "api_lab", "api_load", "api_sides", "cpu", "launch", "load"}
"""Helper modules in tests/bench, which are not measurements."""


class Bench(Command):
    """Measure starts, healing and restarts (in a lab), costs of requests, and the assistant."""

    rounds = cli.SwitchAttr("--rounds", cli.Range(1, 50), default=5, help="rounds per figure")
    model_url = cli.SwitchAttr(
        "--model-url",
        str,
        argname="URL",
        help="URL of the model server for `bench assistant`, as in TODO_AI_URL",
    )
    no_lab = cli.Flag(
        "--no-lab",
        help="run `bench api` on this host, on its own CPython and PostgreSQL instead of those "
        "that ship",
    )

    def main(self, name: str = "heal") -> int:
        """Run a measurement of tests/bench by name."""
        found = {path.stem for path in (REPO / "tests" / "bench").glob("*.py")}
        measurements = {stem.replace("_", "-") for stem in found - _PARTS}
        if name not in measurements:
            message = (
                f"unknown measurement {name}, must be one of: {', '.join(sorted(measurements))}"
            )
            unknown(message, name, measurements, "build.py bench")
        if self.model_url and name != "assistant":
            raise usage("--model-url requires the measurement assistant", "build.py bench")
        if self.no_lab and name != "api":
            raise usage("--no-lab requires the measurement api", "build.py bench")
        venv.enter("dev")
        module = f"tests.bench.{name.replace('-', '_')}"
        program = [sys.executable, "-m", module, f"--rounds={self.rounds}"]
        program += [f"--model-url={self.model_url}"] if self.model_url else []
        program += ["--no-lab"] if self.no_lab else []
        return process.interact(program, env={"PYTHONPATH": f"{REPO}:{REPO / 'src'}"}, cwd=REPO)
