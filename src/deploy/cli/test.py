"""`build.py test`: the test tiers."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap import venv
from deploy.dev import suite


class Test(cli.Application):
    """Run the tests: unit, integration, system, or all three; faults by its name only.

    Installs what they need. What follows `--` goes to pytest: build.py test unit -- -k lab
    """

    coverage = cli.Flag(
        "--coverage", help="measure coverage; fails below the floor if unit and integration run"
    )

    def main(self, *tiers: str) -> int:
        """Enter the environment of dev.lock and run them there."""
        suite.choose(tiers)  # what cannot run is refused before a minute goes into that
        venv.enter("dev")
        return suite.run_tiers(tiers, coverage=self.coverage)
