"""The record of an upgrade on disk: how far it is, and what it left."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import TYPE_CHECKING

from deploy import atomic_write, command_hints, paths
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Step(enum.StrEnum):
    """What an upgrade is about to do, or has done."""

    COPY = "copy"
    SWITCH = "switch"
    """The new volume is complete. The stack uses it as soon as nothing holds the former one."""
    DONE = "done"
    BACK = "back"
    """The stack returns to the former volume."""


@dataclasses.dataclass(frozen=True)
class Record:
    """An upgrade, as it is on disk.

    Attributes:
        step: What is being done, or was done last.
        before: The former major version.
        after: The new one.
        former: The former volume.
        volume: The new one.
        content: Table -> what identifies its rows, as of the switch.
    """

    step: Step
    before: str
    after: str
    former: str
    volume: str
    content: Mapping[str, str] = dataclasses.field(default_factory=dict)


def path() -> Path:
    """Where this user's record is."""
    return paths.state_dir() / "upgrade-db.json"


def read(file: Path) -> Record | None:
    """The record; None where there is none.

    Raises:
        DeployError: It is malformed.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Record(**{**found, "step": Step(found["step"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{file} cannot be read: {error}"
        raise DeployError(message, hint="see docs/upgrade-db.md", code=ExitCode.DATA) from None


def write(file: Path, record: Record) -> None:
    """Write the record."""
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(file, f"{json.dumps(dataclasses.asdict(record), indent=1)}\n")


def find_notes() -> list[str]:
    """What there is to know of an upgrade that did not end; empty where there is none."""
    try:
        found = read(path())
    except DeployError as error:
        return [str(error)]
    if found is None or found.step is Step.DONE:
        return []
    back = command_hints.build("upgrade-db --back")
    if found.step is Step.BACK:
        return [f"a return to PostgreSQL {found.before} was interrupted: {back}"]
    again = command_hints.build("upgrade-db")
    return [f"an upgrade to PostgreSQL {found.after} was interrupted: {again}, or {back}"]


def refuse_interrupted() -> None:
    """Refuse while an upgrade is not at its end.

    Raises:
        DeployError: One is.
    """
    for note in find_notes():
        raise DeployError(note, code=ExitCode.CONFIG)
