"""`build.py update`."""

from __future__ import annotations

from plumbum import cli

from deploy.bootstrap.entrypoint import write_output
from deploy.cli.stack_command import StackCommand
from deploy.image import build
from deploy.stack import update_state
from deploy.update import begin, export
from deploy.upgrade import record


class Update(StackCommand):
    """Update the backend without an outage, and roll back automatically if the image is bad."""

    image = cli.SwitchAttr(
        "--image",
        str,
        argname="REF",
        help="local image to update to, instead of building this checkout",
    )
    watch_s = cli.SwitchAttr(
        "--watch",
        cli.Range(1, 3600),
        argname="SECONDS",
        default=20,
        help="time to watch the candidate while it serves, before it replaces the others",
    )
    retry_refused = cli.Flag("--retry-refused", help="retry an image that was refused before")
    without_backup_check = cli.Flag(
        "--without-backup-check", help="proceed without a recent backup and drill"
    )
    no_scan = cli.Flag("--no-scan", help="do not scan the image for known vulnerabilities")
    no_cache = cli.Flag("--no-cache", help="rebuild with Debian's latest packages")
    builder = cli.SwitchAttr("--builder", str, help="base image of the build stages")

    def main(self) -> int:
        """Update the backend, and print the current and the previous image."""
        code = self.elsewhere("update", self._words())
        if code is not None:
            return code
        options = begin.Options(
            image=self.image,
            build=build.Options(builder=self.builder, no_cache=bool(self.no_cache)),
            watch_s=float(self.watch_s),
            retries_refused=bool(self.retry_refused),
            checks_backups=not self.without_backup_check,
            scans=not self.no_scan,
        )
        with update_state.hold():
            # During an upgrade the database may refuse writes, so a migration would fail.
            record.refuse_interrupted()
            with export.exported():
                done = begin.update(options)
            write_output(f"{done}\n")
        return 0

    def _words(self) -> list[str]:
        named = {"image": self.image, "builder": self.builder, "watch": self.watch_s}
        flags = ("retry_refused", "without_backup_check", "no_scan", "no_cache")
        words = [f"--{name}={value}" for name, value in named.items() if value]
        return words + [f"--{name.replace('_', '-')}" for name in flags if getattr(self, name)]
