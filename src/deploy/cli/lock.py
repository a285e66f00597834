"""`build.py lock`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap import venv
from deploy.bootstrap.entrypoint import write_output
from deploy.dev import requirements


class Lock(cli.Application):
    """Refresh the hash-pinned locks from pyproject.toml."""

    upgrade = cli.Flag(
        "--upgrade", help="upgrade to the latest versions that pyproject.toml allows"
    )
    check = cli.Flag(
        "--check",
        excludes=["--upgrade"],
        help="only check; fail if the locks do not satisfy pyproject.toml",
    )

    def main(self) -> int:
        """Refresh or check the locks, with uv from the environment of dev.lock."""
        venv.enter("dev")
        if self.check:
            requirements.require_current()
        else:
            write_output("\n".join([*requirements.refresh(upgrade=self.upgrade), ""]))
        return 0
