"""`build.py install`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.image import build
from deploy.stack import in_lab, up


class Install(StackCommand):
    """Install images, secret and units, ready for `systemctl --user start todo-backend`."""

    port = cli.SwitchAttr("--port", cli.Range(1, 65535), help="loopback port of the public API")
    builder = cli.SwitchAttr("--builder", str, help="image for the build stages")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")

    def main(self) -> int:
        """Install, and name what changed."""
        # A lab that nobody asked to run anything in would be a surprise: refuse.
        in_lab.find(no_lab=True)
        options = build.Options(builder=self.builder)
        changed = up.install(options, port=self.port, assume_yes=bool(self.assume_yes))
        write_output(f"changed: {', '.join(sorted(changed)) or 'nothing'}\n")
        return 0


Install.unbind_switches("--lab")
