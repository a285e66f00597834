"""`build.py dev`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.dev import server


class Dev(cli.Application):
    """Serve from src/ on this host, on embedded SQLite, reloading on change."""

    port = cli.SwitchAttr(
        "--port", cli.Range(1, 64535), default=server.DEFAULT_PORT, help="loopback port"
    )
    no_reload = cli.Flag("--no-reload", help="do not restart when the source changes")
    token = cli.SwitchAttr("--token", str, argname="USER", help="print a token for USER and exit")

    def main(self) -> int:
        """Serve, or print a token."""
        if self.token is not None:
            write_output(f"{server.token(self.token)}\n")
            return 0
        return server.serve(self.port, reload=not self.no_reload)
