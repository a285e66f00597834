"""Steps of a restore into a new volume, which the stack uses only after verification.

The previous volume is not changed. A record on disk contains the new volume and the current step.
An interrupted restore is finished if it was already verified, and restarted otherwise.
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
"""Name of the record of a switch to an existing volume."""
_MAX_ATTEMPTS = 10
"""Maximum number of attempts to find the first transaction of a run."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """Report of the restore script.

    Attributes:
        base: Stamp of the base backup.
        last: Time of the last transaction, in PostgreSQL's format; empty if there was none.
    """

    base: str
    last: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of a restore.

    Attributes:
        volume: Volume that the stack uses now.
        former: Volume that the stack used before, which is kept; None if there was none.
        restored: Backup that was used; None if an earlier run restored it.
        url: Public URL of the stack.
    """

    target: Target
    volume: str
    former: str | None
    restored: Restored | None
    url: str


class Machine(Protocol):
    """Operations of a restore on the stack; `deploy.backup.stack_machine` implements them."""

    def new_volume_name(self) -> str:
        """Return an unused volume name."""

    def current_volume(self) -> str | None:
        """Return the volume that the stack uses, or None if it does not exist."""

    def has_volume(self, name: str) -> bool:
        """Return whether a volume exists."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume if it exists."""

    def live_query(self) -> Query | None:
        """Return a query function for the stack's database, or None if it is not running."""

    def stop(self) -> None:
        """Stop the stack; the database sends all of its WAL to the receiver before it stops."""

    def resume(self) -> None:
        """Start the stack with its previous volume."""

    def restore(self, volume: str, options: Sequence[str]) -> Restored:
        """Run the restore script on a new volume; raise a DeployError on failure."""

    def server(self, volume: str) -> AbstractContextManager[Query]:
        """Run a server on a restored volume during the block, and yield its query function."""

    def verify(self, volume: str, base: str) -> None:
        """Verify the data of the server on the volume; raise a DeployError for findings."""

    def switch(self, volume: str, at: str) -> str:
        """Switch the stack to a volume and start it; return its URL.

        Backups from the time `at` on belong to the volume.
        """

    def refuse_volume(self, name: str) -> None:
        """Raise a DeployError if a volume has no database of the stack's major version."""

    def find_switch(self) -> str:
        """Return the time from which backups belong to the current volume; empty for all."""

    def set_apart(self, until: str, since: str) -> None:
        """Move the backups of an interval into a subfolder, or complete such a move."""


def run(
    machine: Machine, target: Target, folder: Path, record: Path, *, accept_gap: bool = False
) -> Outcome:
    """Restore a target into a new volume, and switch the stack to it.

    With `accept_gap`, restore up to a missing WAL file. `folder` only identifies the request.

    Raises:
        DeployError: The restore failed. The stack uses the previous volume, unless only its start
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
        # The stack may already use the volume of the interrupted restore.
        if interrupted.get("volume") not in {None, former}:
            machine.remove_volume(interrupted["volume"])
        volume = machine.new_volume_name()
        _write(record, {"request": request, "step": "restore", "volume": volume, "former": former})
        # Before a restore to the end, stop the server, which then sends all WAL to the receiver.
        stopped = target.kind is Kind.END and machine.live_query() is not None
        try:
            if stopped:
                machine.stop()
            restored = _fill(machine, target, volume, accept_gap=accept_gap)
        except BaseException:
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
        # A stopped stack makes no more backups of the previous volume.
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
    """Raise a DeployError if a switch to an existing volume was interrupted."""
    state = _read(record.with_name(_LEAVING))
    if state:
        finish = command_hints.build(f"restore --to-volume {state['volume']}")
        message = f"the return to the volume {state['volume']} was interrupted"
        raise DeployError(message, hint=f"finish it: {finish}", code=ExitCode.CONFIG)


def _fill(machine: Machine, target: Target, volume: str, *, accept_gap: bool) -> Restored:
    """Restore into a new volume and verify it."""
    change = _locate(machine, target, volume) if target.is_change else None
    for _ in range(_MAX_ATTEMPTS):
        options = render_options(target, change, accept_gap=accept_gap)
        restored = machine.restore(volume, options)
        with machine.server(volume) as query:
            found = journal_query.find_change(query, target) if change else None
            if found is None:
                machine.verify(volume, restored.base)
                return restored
        # Requests of a run may overlap, so an earlier entry may have been committed later. Restore
        # again, to the point before the entry that was found.
        change = found
    message = f"{target} cannot be found: the run has too many concurrent requests"
    hint = f"restore to a time instead: {command_hints.build('restore --to TIME')}"
    raise DeployError(message, hint=hint)


def _locate(machine: Machine, target: Target, volume: str) -> Change:
    """Find a change in the live database, or in the whole backup if it is not running."""
    query = machine.live_query()
    if query is not None:
        found = journal_query.find_change(query, target)
    else:
        machine.restore(volume, ["--accept-gap"])
        with machine.server(volume) as restored_query:
            found = journal_query.find_change(restored_query, target)
    if found is None:
        what = f"run {target.value}" if target.kind is Kind.RUN else f"entry {target.value}"
        hint = "use a run ID or entry number of the web page, or of GET /api/v1/runs"
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
