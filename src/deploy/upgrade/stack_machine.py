"""Operations of an upgrade on this user's stack, with systemd and Podman."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import command_hints, process, progress
from deploy.backup import containers, left_behind
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import (
    backups,
    data_volume,
    disks,
    lifecycle,
    postgresql,
    readiness,
    startup,
    systemd,
)
from deploy.stack.services import (
    BACKUP,
    BACKUP_TIMER,
    DB,
    DRILL,
    DRILL_TIMER,
    MIGRATE,
    WAL,
    find_instances,
    has_backups,
)
from deploy.upgrade import clusters
from deploy.upgrade.clusters import NEW_SERVER, OLD_SERVER, Cluster
from deploy.upgrade.machine import Copied

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATABASE = DB.removesuffix(".service")
_LIVE = Cluster(_DATABASE, "/run/todo", "todo-socket")
_DATA_UNIT = "todo-data-volume.service"
_SCRATCH = "todo-upgrade-scratch"
_RESTORED = "todo-upgrade-restored"
_TIMEOUT_S = 600.0
_ROOM = 1.3
"""Space for the copy and its WAL, as a multiple of the database's size."""
_MARGIN = 512 << 20


class StackMachine:
    """Stack of this user during an upgrade between major versions; implements `machine.Machine`."""

    def __init__(self, before: str, after: str) -> None:
        self._before = before
        self._after = after

    def check(self, *, rehearses: bool) -> None:
        """Check the preconditions of an upgrade, which needs more space if it is rehearsed first.

        Raises:
            DeployError: The stack is not installed, or its database is external, not responding,
                from an old image, or too large for the disk.
        """
        lifecycle.refuse_absent()
        postgresql.refuse_elsewhere()
        up = command_hints.build("up")
        if not _is_ready():
            message = "the database does not respond"
            raise DeployError(message, hint=up, code=ExitCode.UNAVAILABLE)
        script = ["podman", "exec", _DATABASE, "/usr/local/bin/refuse-writes", "check"]
        if process.run(script, check=False, timeout_s=_TIMEOUT_S).returncode != _KNOWN:
            message = "the database runs an image from before upgrade-db"
            raise DeployError(message, hint=up, code=ExitCode.CONFIG)
        size = clusters.find_size(_LIVE)
        # The rehearsal also restores a backup to the disk of the database.
        sizes = _ROOM * 2 if rehearses and has_backups() else _ROOM
        needed, free = int(size * sizes) + _MARGIN, disks.find()[0].free_bytes
        if free < needed:
            message = (
                f"the copy needs {needed >> 20} MiB, but the disk has only {free >> 20} MiB free"
            )
            raise DeployError(message, hint="free some", code=ExitCode.NO_SPACE)

    def build(self, options: build.Options) -> build.Image:
        """Build the image of the new version, tagged with the version."""
        arguments = postgresql.find_arguments(self._after)
        return build.ensure("db", arguments, options, tag=self._after)

    def rehearse(self) -> Copied:
        """Copy a restored backup, or the live database without backups; then remove the copy."""
        for name in (_SCRATCH, _RESTORED):
            self.remove_volume(name)
        try:
            if not has_backups():
                return self._copy(_LIVE, _SCRATCH, is_still=False)
            process.run(["podman", "volume", "create", _RESTORED], timeout_s=_TIMEOUT_S)
            containers.restore(containers.find_account(), _RESTORED, backups.find_folder(), [])
            image = build.reference("db")
            with clusters.server(_RESTORED, image, OLD_SERVER) as old:
                return self._copy(old, _SCRATCH, is_still=True)
        finally:
            for name in (_SCRATCH, _RESTORED):
                self.remove_volume(name)

    def new_volume_name(self) -> str:
        """Return an unused volume name, with the new version and the current time."""
        return f"{data_volume.SHIPPED}-{self._after}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    def new_stamp(self) -> str:
        """Return the current time, in the format of the stamps of base backups."""
        return left_behind.make_stamp()

    def current_volume(self) -> str:
        """Return the volume that the stack uses."""
        return data_volume.find_name()

    def has_volume(self, name: str) -> bool:
        """Return whether a volume exists."""
        return data_volume.exists(name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume if it exists, and the containers of a copy that may use it."""
        for container in clusters.CONTAINERS:
            stop = ["podman", "rm", "--force", "--ignore", "--time=120", container]
            process.run(stop, timeout_s=_TIMEOUT_S)
        if data_volume.exists(name):
            process.run(["podman", "volume", "rm", name], timeout_s=_TIMEOUT_S)

    def refuse_writes(self) -> None:
        """Make the stack's server refuse writes until its next start."""
        with progress.step("Refusing writes; reads continue"):
            self._switch_writes("on")

    def accept_writes(self) -> None:
        """Let the stack's server accept writes, if it is running."""
        if _is_ready():
            self._switch_writes("off")

    @staticmethod
    def _switch_writes(to: str) -> None:
        run = ["podman", "exec", _DATABASE, "/usr/local/bin/refuse-writes", to]
        try:
            process.run(run, timeout_s=_TIMEOUT_S)
        except process.ToolError as error:
            done = error.completed
            if done is None or done.returncode != ExitCode.CONFIG:
                raise
            message = done.stderr.strip().rpartition("refuse-writes: ")[2]
            hint = "reset it with the same statement: RESET default_transaction_read_only"
            raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None

    def copy(self, volume: str) -> Copied:
        """Copy the stack's database into a new volume in the new version, and compare both."""
        copied = self._copy(_LIVE, volume, is_still=True)
        clusters.flush(volume, build.reference("db", self._after))
        return copied

    def _copy(self, old: Cluster, volume: str, *, is_still: bool) -> Copied:
        """Copy a cluster, verify it, and compare every table if writes are refused (`is_still`)."""
        started = time.monotonic()
        image = build.reference("db", self._after)
        process.run(["podman", "volume", "create", volume], timeout_s=_TIMEOUT_S)
        heads = clusters.find_heads(old)
        with clusters.server(volume, image, NEW_SERVER) as new:
            clusters.copy(old, new, build.reference("db"))
            content = clusters.compare(old, new) if is_still else clusters.find_content(new)
            # Equal tables match the journals if the original tables do.
            clusters.verify(new, heads, with_state=not is_still)
            size = clusters.find_size(new)
        seconds = round(time.monotonic() - started, 1)
        return Copied(content, clusters.count_rows(content), size, seconds)

    def find_changes(self, content: Mapping[str, str]) -> list[str]:
        """Compare the stack's database with `content`; return a line for each different table."""
        return clusters.describe_changes(content, clusters.find_content(_LIVE))

    def serves(self, major: str) -> bool:
        """Return whether a server of the given major version is running."""
        asked = ["podman", "exec", _DATABASE, "postgres", "--version"]
        shown = process.run(asked, check=False, timeout_s=_TIMEOUT_S)
        return shown.returncode == 0 and f" {major}." in shown.stdout

    def keep_image(self, major: str) -> None:
        """Tag the stack's image with its major version, so that it is kept."""
        tag = ["podman", "tag", build.reference("db"), build.reference("db", major)]
        process.run(tag, timeout_s=_TIMEOUT_S)

    def hold(self, major: str, volume: str) -> None:
        """Pin the version and the volume of the next start, regardless of the installed units."""
        hold = postgresql.render_hold(major, build.reference("db", major), volume)
        lifecycle.prepare(database=postgresql.Request(hold=hold))

    def is_held(self) -> bool:
        """Return whether a version and a volume are pinned."""
        return postgresql.is_held()

    def point(self, major: str, volume: str) -> None:
        """Install the version and the volume that start after the pin is removed."""
        lifecycle.prepare(volume=volume, database=postgresql.Request(major))
        tag = ["podman", "tag", build.reference("db", major), build.reference("db")]
        process.run(tag, timeout_s=_TIMEOUT_S)

    def release(self) -> None:
        """Remove the pin, so that the next start uses the version and volume of `point`."""
        lifecycle.prepare(database=postgresql.Request(hold=""))

    def restart(self) -> str:
        """Restart the database and the backend while requests wait; return the URL."""
        with progress.step("Restarting the database; requests wait") as step:
            units = (*find_instances(), MIGRATE, DB)
            # In one transaction, systemd stops the backend first and starts it last. Meanwhile,
            # its socket queues connections.
            systemd.systemctl("restart", "--no-block", *units, _DATA_UNIT)
            for unit in reversed(units):
                startup.run_job("start", unit, step)
        return readiness.wait()

    def wait(self) -> str:
        """Wait until the stack is ready, and return the URL."""
        return readiness.wait()

    def stop_backups(self) -> None:
        """Stop the backups of the current volume, before the stack leaves it."""
        if has_backups():
            systemd.systemctl("stop", BACKUP_TIMER, DRILL_TIMER, BACKUP, DRILL, WAL)

    def resume_backups(self) -> None:
        """Start the backups again, if the stack's server is running."""
        if has_backups() and _is_ready():
            backups.start()

    def set_apart(self, left: str) -> None:
        """Move the backups from before a time into a subfolder, or complete such a move."""
        if has_backups():
            systemd.systemctl("stop", WAL)
            folder = left_behind.move(backups.find_folder(), left)
            progress.say(f"The backups of the former version are in {folder}.")

    def settle(self, left: str) -> None:
        """Record the current image, move the backups from before a time, and start a backup."""
        image = build.find("db")
        if image is not None:
            build.write_record(image)
        self.set_apart(left)
        if has_backups():
            backups.start()
            systemd.systemctl("start", "--no-block", BACKUP)


def _is_ready() -> bool:
    asked = ["podman", "exec", _DATABASE, "pg_isready", "--quiet", "--host=/run/todo"]
    return process.run(asked, check=False, timeout_s=_TIMEOUT_S).returncode == 0


_KNOWN = 2
"""Exit code of refuse-writes for an unknown argument; it shows that the image has the program."""
