"""A restore, step by step: into a new volume, verified there, and only then used by the stack.

The former volume stays as it is. A record on disk says which volume is being filled, and whether it
is complete: an interrupted restore is finished if it was verified already, otherwise starts over.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Protocol

from deploy import atomic_write, command_hints
from deploy.backup import journal_query, left_behind
from deploy.backup.target import Change, Kind, Target, render_options
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deploy.backup.journal_query import Query

_LEAVING = "leave-volume.json"
"""Record of a return to a former volume, beside that of a restore."""
_MAX_ATTEMPTS = 10
"""Maximum attempts to find the first transaction of a run; each finds an earlier one."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """Report of the restore script.

    Attributes:
        base: Stamp of the base backup.
        last: Time of the last transaction, as PostgreSQL writes it; empty if there was none.
    """

    base: str
    last: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A completed restore.

    Attributes:
        target: Target that was restored.
        volume: Volume that the stack uses now.
        former: Volume that it used before, which is kept; None on a machine without one.
        restored: Backup that was used; None if an earlier run had restored it.
        url: Public URL of the stack.
    """

    target: Target
    volume: str
    former: str | None
    restored: Restored | None
    url: str


class Machine(Protocol):
    """Operations of a restore on the machine; `deploy.backup.containers` runs them with Podman."""

    def new_volume_name(self) -> str:
        """Return a name that no volume has."""

    def current_volume(self) -> str | None:
        """Return the volume that the stack uses, or None."""

    def has_volume(self, name: str) -> bool:
        """Return whether there is a volume of that name."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume, if it is there."""

    def live_query(self) -> Query | None:
        """Queries the database of the stack; None if it does not run."""

    def stop(self) -> None:
        """Stop the stack, so that the backup has all of its WAL."""

    def resume(self) -> None:
        """Start the stack again as it was."""

    def restore(self, volume: str, options: Sequence[str]) -> Restored:
        """Run the restore script on a volume that is made new.

        Raises:
            DeployError: It failed.
        """

    def server(self, volume: str) -> AbstractContextManager[Query]:
        """Run a server on a restored volume that only this program reaches."""

    def verify(self, volume: str, base: str) -> None:
        """Verify the journals and the tasks of the server that runs on the volume.

        Raises:
            DeployError: Something is missing or was altered.
        """

    def switch(self, volume: str, at: str) -> str:
        """Switch the stack to a volume and start it; return its URL.

        Args:
            volume: The volume.
            at: From when on backups are of it.

        Raises:
            DeployError: It did not start.
        """

    def refuse_volume(self, name: str) -> None:
        """Refuse a volume that the server of the stack cannot use.

        Raises:
            DeployError: It holds no database, or one of another major version.
        """

    def find_switch(self) -> str:
        """Return the time from which backups are of the current volume; empty for all."""

    def set_apart(self, until: str, since: str) -> None:
        """Move the backups of a time into a folder; complete what was moved partly."""


def run(
    machine: Machine, target: Target, folder: Path, record: Path, *, accept_gap: bool = False
) -> Outcome:
    """Restore.

    Args:
        machine: The machine.
        target: Target to restore.
        folder: Backup folder, for the record.
        record: Path of the record.
        accept_gap: Restore up to a missing WAL file.

    Raises:
        DeployError: The restore failed. The stack uses the former volume, unless only its start
            failed.
    """
    request = {"target": target.kind.value, "value": target.value, "folder": str(folder)}
    _refuse_leaving(record)
    interrupted = _read(record)
    restored = None
    if interrupted.get("request") == request and interrupted.get("step") == "switch":
        volume, former = interrupted["volume"], interrupted["former"]
        at = interrupted.get("at") or left_behind.make_stamp()
    else:
        former = machine.current_volume()
        # The stack may use it already.
        if interrupted.get("volume") not in {None, former}:
            machine.remove_volume(interrupted["volume"])
        volume = machine.new_volume_name()
        _write(record, {"request": request, "step": "restore", "volume": volume, "former": former})
        # To the end: its server sends all of its WAL to the receiver before it ends.
        stopped = target.kind is Kind.END and machine.live_query() is not None
        try:
            if stopped:
                machine.stop()
            restored = _fill(machine, target, volume, accept_gap=accept_gap)
        except DeployError:
            machine.remove_volume(volume)
            record.unlink(missing_ok=True)
            if stopped:
                machine.resume()
            raise
        at = left_behind.make_stamp()
        state = {"request": request, "step": "switch", "volume": volume, "former": former, "at": at}
        _write(record, state)
    url = machine.switch(volume, at)
    record.unlink(missing_ok=True)
    return Outcome(target, volume, former if former != volume else None, restored, url)


def use_volume(machine: Machine, name: str, record: Path) -> Outcome:
    """Switch the stack to an existing volume, such as the one before a restore.

    Args:
        machine: The machine.
        name: The volume.
        record: The file of the record of a restore.

    Raises:
        DeployError: The volume does not exist, the stack already uses it or cannot use it, or did
            not start.
    """
    if not machine.has_volume(name):
        hint = command_hints.shell("podman volume ls --filter name=todo-data")
        message = f"--to-volume: the volume {name} does not exist"
        raise DeployError(message, hint=f"see {hint}", code=ExitCode.USAGE)
    machine.refuse_volume(name)
    leaving = record.with_name(_LEAVING)
    state = _read(leaving)
    if state.get("volume") != name:
        _refuse_leaving(record)
        former = machine.current_volume()
        if name == former:
            up = command_hints.build("up")
            message = f"--to-volume: the stack already uses the volume {name}"
            raise DeployError(message, hint=f"{up} starts it", code=ExitCode.USAGE)
        # No backup of it is made from now on.
        machine.stop()
        times = {"since": machine.find_switch(), "until": left_behind.make_stamp()}
        state = {"volume": name, "former": former, **times}
        _write(leaving, state)
    else:
        machine.stop()
    machine.set_apart(state["until"], state["since"])
    url = machine.switch(name, state["until"])
    leaving.unlink(missing_ok=True)
    return Outcome(Target(Kind.VOLUME, name), name, state["former"], None, url)


def _refuse_leaving(record: Path) -> None:
    """Refuse while the backups of a volume that is left are moved only partly."""
    state = _read(record.with_name(_LEAVING))
    if state:
        finish = command_hints.build(f"restore --to-volume {state['volume']}")
        message = f"the return to the volume {state['volume']} was interrupted"
        raise DeployError(message, hint=f"finish it: {finish}", code=ExitCode.CONFIG)


def _fill(machine: Machine, target: Target, volume: str, *, accept_gap: bool) -> Restored:
    """Restore into a new volume, and verify it."""
    change = _locate(machine, target, volume) if target.is_change else None
    for _ in range(_MAX_ATTEMPTS):
        options = render_options(target, change, accept_gap=accept_gap)
        restored = machine.restore(volume, options)
        with machine.server(volume) as query:
            found = journal_query.find_change(query, target) if change else None
            if found is None:
                machine.verify(volume, restored.base)
                return restored
        # Requests of one run may overlap: this one committed before the one that began first.
        change = found
    message = f"{target} cannot be found: the run has too many concurrent requests"
    hint = f"restore to a time instead: {command_hints.build('restore --to TIME')}"
    raise DeployError(message, hint=hint)


def _locate(machine: Machine, target: Target, volume: str) -> Change:
    """Find a change in the live database, or in the whole backup if that does not run."""
    query = machine.live_query()
    if query is not None:
        found = journal_query.find_change(query, target)
    else:
        machine.restore(volume, ["--accept-gap"])
        with machine.server(volume) as restored_query:
            found = journal_query.find_change(restored_query, target)
    if found is None:
        what = f"run {target.value}" if target.kind is Kind.RUN else f"entry {target.value}"
        hint = "the web page lists the runs"
        raise DeployError(
            f"--before: the {what} is not in any journal", hint=hint, code=ExitCode.USAGE
        )
    return found


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(record: Path, state: Mapping[str, Any]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(record, f"{json.dumps(state, indent=1)}\n")
