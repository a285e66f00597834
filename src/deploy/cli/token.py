"""`build.py token`."""

from __future__ import annotations

import sys

from deploy.cli.stack_command import StackCommand
from deploy.stack import admin


class Token(StackCommand):
    """Print a bearer token for a user of the running backend."""

    def main(self, subject: str) -> int:
        """Issue a token for SUBJECT."""
        code = self.elsewhere("token", [subject])
        if code is None:
            sys.stdout.write(f"{admin.token(subject)}\n")
            code = 0
        return code
