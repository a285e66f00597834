"""`build.py lock`: the hash-pinned locks."""

from __future__ import annotations

from plumbum import cli

from deploy import locks, venv
from deploy.boundary import write_output


class Lock(cli.Application):
    """Refresh the hash-pinned locks from pyproject.toml."""

    upgrade = cli.Flag("--upgrade", help="take the newest versions that pyproject.toml allows")
    check = cli.Flag(
        "--check", excludes=["--upgrade"], help="only fail when the locks do not satisfy it"
    )

    def main(self) -> int:
        """Resolve them in the environment of dev.lock, which holds uv, or look at them there."""
        venv.enter("dev")
        if self.check:
            locks.require_current()
        else:
            write_output("\n".join([*locks.refresh(upgrade=self.upgrade), ""]))
        return 0
