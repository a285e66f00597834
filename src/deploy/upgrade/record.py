"""Record of an upgrade on disk: its progress, and the previous volume."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import TYPE_CHECKING, Any

from deploy import atomic_write, command_hints, folder_lock, paths
from deploy.errors import DeployError, ExitCode
from deploy.stack import database

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Step(enum.StrEnum):
    """Step of an upgrade."""

    COPY = "copy"
    """The stack uses the previous volume, and the new one contains no other data."""
    SWITCH = "switch"
    """The new volume is complete, and the stack uses it as soon as the pin is removed."""
    DONE = "done"
    BACK = "back"
    """The stack returns to the previous volume."""


@dataclasses.dataclass(frozen=True)
class Record:
    """Record of an upgrade from version `before` with volume `former` to `after` with `volume`.

    Attributes:
        step: Current or last step.
        content: Content of the database at the switch, from `clusters.find_content`.
        left: Time until which backups belong to the previous volume, set after the new one has
            started; it also names the folder to which these backups are moved.
        left_back: Time until which backups belong to the new volume, set during a return.
    """

    step: Step
    before: str
    after: str
    former: str
    volume: str
    content: Mapping[str, str] = dataclasses.field(default_factory=dict)
    left: str = ""
    left_back: str = ""


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """Unfinished upgrade or return between two major versions.

    Attributes:
        running: Whether a command is running; otherwise it was interrupted.
        refuses_writes: Whether the database refuses writes until the upgrade is finished; None if
            the database does not respond.
    """

    step: Step
    before: str
    after: str
    running: bool
    refuses_writes: bool | None

    def render(self) -> str:
        """Return a description in one line, with the commands that finish the upgrade."""
        what = describe(self.step, self.before, self.after)
        writes = ", and the database refuses writes" if self.refuses_writes else ""
        if self.running:
            return f"{what} is under way{writes}"
        ways = [] if self.step is Step.BACK else [command_hints.build("upgrade-db")]
        ways.append(command_hints.build("upgrade-db --back"))
        accepts = f"; {command_hints.build('restart')} lets it accept them" if writes else ""
        return f"{what} was interrupted{writes}{accepts}; to finish: {', or '.join(ways)}"


def describe(step: Step, before: str, after: str) -> str:
    """Return a description of the upgrade or return between two major versions."""
    if step is Step.BACK:
        return f"a return to PostgreSQL {before}"
    return f"an upgrade to PostgreSQL {after}"


def path() -> Path:
    """Return the path of this user's record."""
    return paths.state_dir() / "upgrade-db.json"


def read(file: Path) -> Record | None:
    """Return the record, or None if it does not exist; raise a DeployError if it is malformed."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Record(**{**found, "step": Step(found["step"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{file} cannot be read: {error}"
        raise DeployError(message, hint="see docs/upgrade-db.md", code=ExitCode.DATA) from None


def write(file: Path, record: Record) -> None:
    """Write a record atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(file, f"{json.dumps(dataclasses.asdict(record), indent=1)}\n")


def remove(file: Path) -> None:
    """Remove the record if it exists, which means that the stack uses the previous volume."""
    file.unlink(missing_ok=True)


def find_unfinished() -> Unfinished | None:
    """Return the unfinished upgrade, or None; raise a DeployError for a malformed record."""
    found = read(path())
    if found is None or found.step is Step.DONE:
        return None
    return Unfinished(
        found.step,
        found.before,
        found.after,
        folder_lock.is_held(paths.state_dir()),
        _find_refusal(),
    )


def find_notes() -> list[str]:
    """Return the notes for `status` about an unfinished upgrade, if any."""
    try:
        found = find_unfinished()
    except DeployError as error:
        return [str(error)]
    return [found.render()] if found else []


def to_json_dict() -> dict[str, Any] | None:
    """Return the unfinished upgrade for `status --json`, or None."""
    try:
        found = find_unfinished()
    except DeployError as error:
        return {"unknown": error.message}
    return dataclasses.asdict(found) if found else None


def refuse_interrupted() -> None:
    """Raise a DeployError if an upgrade or a return is unfinished."""
    for note in find_notes():
        raise DeployError(note, code=ExitCode.CONFIG)


def _find_refusal() -> bool | None:
    try:
        return database.query("SHOW default_transaction_read_only") == "on"
    except DeployError:
        return None
