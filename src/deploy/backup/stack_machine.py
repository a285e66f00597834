"""Operations of a restore on this user's stack, with systemd and Podman."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from deploy import command_hints, paths, process, progress
from deploy.backup import carried_files, containers, left_behind
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import (
    backup_status,
    backups,
    data_volume,
    install,
    lifecycle,
    postgresql,
    systemd,
)
from deploy.stack.services import BACKEND, BACKUP, DB, SOCKET, has_backups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deploy.backup.journal_query import Query
    from deploy.backup.restore import Restored

_DATABASE = DB.removesuffix(".service")
_SOCKETS = "/run/todo"
_MAX_SHOWN = 20
_TIMEOUT_S = 600.0


class StackMachine:
    """Stack of this user, and a backup folder; implements `restore.Machine`.

    Args:
        folder: Backup folder.
        is_foreign: Whether the folder may be another machine's, with its own secret and drop-ins.
        accept_findings: Whether to use a database that failed verification.
    """

    def __init__(self, folder: Path, *, is_foreign: bool, accept_findings: bool) -> None:
        self._folder = folder
        self._is_foreign = is_foreign
        self._accept_findings = accept_findings
        self._account = containers.find_account()

    def check(self, stamp: str = "") -> None:
        """Check the preconditions of a restore, and take over a foreign backup folder.

        Args:
            stamp: Stamp of the base backup to restore; empty if the target determines it.

        Raises:
            DeployError: The folder has no backup of this major version of PostgreSQL, or an image
                is missing.
        """
        if not (self._folder / "base").is_dir():
            raise DeployError(
                f"{self._folder} is not a backup folder: it has no subfolder base",
                hint="name the backup folder with --from",
                code=ExitCode.USAGE,
            )
        for target in build.TARGETS:
            name = build.reference(target)
            asked = ["podman", "image", "exists", name]
            if process.run(asked, check=False, timeout_s=_TIMEOUT_S).returncode != 0:
                message = f"the image {name} does not exist"
                hint = command_hints.build("image --target all")
                raise DeployError(message, hint=hint, code=ExitCode.UNAVAILABLE)
        self._refuse_other_version(stamp)
        if self._is_foreign:
            carried_files.take_over(self._folder, self._account)

    def _refuse_other_version(self, stamp: str) -> None:
        # Unreadable metadata is ignored, because the restore script checks the version again.
        with contextlib.suppress(OSError, ValueError):
            for facts in backup_status.find_bases(self._folder)[::-1]:
                # Pre-release versions have names such as 18beta1.
                major = re.match(r"\d+", str(facts.get("postgresql")))
                if major and stamp in {"", facts.get("stamp")}:
                    postgresql.refuse_other(f"the base backup {facts.get('stamp')}", major[0])
                    return

    def new_volume_name(self) -> str:
        """Return an unused volume name, with the current time."""
        return f"{data_volume.SHIPPED}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    def current_volume(self) -> str | None:
        """Return the volume that the stack uses, or None if it does not exist."""
        name = data_volume.find_name()
        return name if data_volume.exists(name) else None

    def has_volume(self, name: str) -> bool:
        """Return whether a volume exists."""
        return data_volume.exists(name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume if it exists."""
        process.run(["podman", "volume", "rm", "--force", name], timeout_s=_TIMEOUT_S)

    def live_query(self) -> Query | None:
        """Return a query function for the stack's database, or None if it is not running."""
        ready = ["podman", "exec", _DATABASE, "pg_isready", "--quiet", f"--host={_SOCKETS}"]
        if process.run(ready, check=False, timeout_s=_TIMEOUT_S).returncode != 0:
            return None
        return partial(containers.query, _DATABASE, _SOCKETS, "postgres")

    def stop(self) -> None:
        """Stop the stack; the database sends all of its WAL to the receiver before it stops."""
        with progress.step("Stopping the backend, then the database"):
            systemd.systemctl("stop", SOCKET, BACKEND)
            systemd.systemctl("stop", DB)
        lifecycle.stop()

    def resume(self) -> None:
        """Start the stack with its previous volume."""
        self._start(None)

    def restore(self, volume: str, options: Sequence[str]) -> Restored:
        """Run the restore script on a new volume."""
        self.remove_volume(volume)
        process.run(["podman", "volume", "create", volume], timeout_s=_TIMEOUT_S)
        return containers.restore(self._account, volume, self._folder, options)

    @contextlib.contextmanager
    def server(self, volume: str) -> Iterator[Query]:
        """Run a server on a restored volume during the block, and yield its query function."""
        with containers.server(self._account, volume):
            yield partial(containers.query_restored, self._account)

    def verify(self, volume: str, base: str) -> None:
        """Verify the data of the server on the volume; print the first findings."""
        try:
            found = containers.verify(self._account, volume, self._folder, base)
        except DeployError as error:
            if not self._accept_findings:
                raise
            found = [error.message]
        for line in found[:_MAX_SHOWN]:
            progress.say(line)
        if found and not self._accept_findings:
            message = f"the restored database failed verification; first finding: {found[0]}"
            hint = "use another base backup with --to-backup, or this one with --accept-findings"
            raise DeployError(message, hint=hint, code=ExitCode.DATA)

    def refuse_volume(self, name: str) -> None:
        """Raise a DeployError if a volume has no database of the stack's major version."""
        inspect = ["podman", "volume", "inspect", "--format={{.Mountpoint}}", name]
        mounted = process.run(inspect, timeout_s=_TIMEOUT_S).stdout.strip()
        show = ["podman", "unshare", "cat", f"{mounted}/data/PG_VERSION"]
        shown = process.run(show, check=False, timeout_s=_TIMEOUT_S)
        if shown.returncode != 0:
            hint = command_hints.shell("podman volume ls --filter name=todo-data")
            message = f"--to-volume: the volume {name} has no database"
            raise DeployError(message, hint=f"see {hint}", code=ExitCode.USAGE)
        postgresql.refuse_other(f"the volume {name}", shown.stdout.strip())

    def find_switch(self) -> str:
        """Return the time from which backups belong to the current volume; empty for all."""
        return left_behind.find_switch(paths.state_dir())

    def set_apart(self, until: str, since: str) -> None:
        """Move the backups of an interval into a subfolder, or complete such a move."""
        if has_backups():
            left_behind.move(self._folder, until, since)

    def switch(self, volume: str, at: str) -> str:
        """Switch the stack to a volume and start it; return its URL."""
        if install.is_installed():
            lifecycle.stop()
        left_behind.record_switch(paths.state_dir(), at)
        if self._is_foreign:
            for name in carried_files.bring(self._folder):
                progress.say(f"From the backup: {name}")
        return self._start(volume)

    @staticmethod
    def _start(volume: str | None) -> str:
        prepared = lifecycle.prepare(volume=volume)
        url = lifecycle.start(prepared)
        if has_backups():
            backups.start()
        if has_backups() and volume is not None:
            # The restored database starts a new WAL, so it needs its own base backup.
            systemd.systemctl("start", "--no-block", BACKUP)
        return url
