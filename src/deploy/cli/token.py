"""`build.py token`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.stack import admin


class Token(StackCommand):
    """Print a bearer token for a user of the running backend."""

    days = cli.SwitchAttr(
        "--days", str, argname="DAYS", help="days until expiry, 1 to 365 (default: 30)"
    )
    scopes = cli.SwitchAttr(
        "--scope",
        str,
        argname="SCOPE",
        list=True,
        help="scope: read, write, delete, assistant or admin (default: all)",
    )

    def main(self, user: str) -> int:
        """Issue a token for USER, and print it."""
        words = [f"--scope={scope}" for scope in self.scopes]
        if self.days is not None:
            words.append(f"--days={self.days}")
        code = self.elsewhere("token", [user, *words])
        if code is None:
            write_output(f"{admin.token(user, days=self.days, scopes=self.scopes)}\n")
            code = 0
        return code
