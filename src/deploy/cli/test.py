"""`build.py test`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap import venv
from deploy.dev import suite


class Test(cli.Application):
    """Run the test tiers unit, integration and system, or only the named ones (also faults).

    Root installs missing packages. Pass options to pytest after `--`: build.py test unit -- -k lab
    """

    coverage = cli.Flag(
        "--coverage", help="measure coverage; fails below the floor if unit and integration run"
    )

    def main(self, *tiers: str) -> int:
        """Run the tests in the environment of dev.lock."""
        suite.choose(tiers)  # fails before the environment is created
        venv.enter("dev")
        return suite.run_tiers(tiers, coverage=self.coverage)
