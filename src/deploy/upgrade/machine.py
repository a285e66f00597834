"""Interface of the operations of an upgrade; `deploy.upgrade.stack_machine` implements them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Copied:
    """Result of copying the database into the new version.

    Attributes:
        content: Table -> digest of its rows.
        rows: Total number of rows.
        size_bytes: Size of the new database.
        seconds: Duration of copy and comparison.
    """

    content: Mapping[str, str]
    rows: int
    size_bytes: int
    seconds: float


class Machine(Protocol):
    """The machine of an upgrade."""

    def new_volume_name(self) -> str:
        """Return a name that no volume has."""

    def new_stamp(self) -> str:
        """Return the time, until which backups are of the volume of before; names their folder."""

    def current_volume(self) -> str:
        """Return the volume that the stack uses."""

    def has_volume(self, name: str) -> bool:
        """Return whether there is a volume of that name."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume, if it is there."""

    def refuse_writes(self) -> None:
        """Make the stack's server refuse writes until its next start."""

    def accept_writes(self) -> None:
        """Let the server of the stack accept writes, if it runs."""

    def copy(self, volume: str) -> Copied:
        """Copy the database of the stack into a new volume, in the new version, and compare both.

        Raises:
            DeployError: It failed, or they differ.
        """

    def find_changes(self, content: Mapping[str, str]) -> list[str]:
        """Return the differences of the stack's database from a content, one line per table."""

    def serves(self, major: str) -> bool:
        """Return whether the server that runs is of a version."""

    def keep_image(self, major: str) -> None:
        """Keep the image of the stack under the name of its version, which it has to be of."""

    def hold(self, major: str, volume: str) -> None:
        """Pin the server that starts, regardless of the installed units."""

    def is_held(self) -> bool:
        """Return whether something is pinned."""

    def point(self, major: str, volume: str) -> None:
        """Install what starts once the pin is removed."""

    def release(self) -> None:
        """Remove the pin: from now on, what `point` installed starts."""

    def restart(self) -> str:
        """Restart database and backend while requests wait; returns the address.

        Raises:
            DeployError: Something did not start.
        """

    def wait(self) -> str:
        """Wait until the stack serves; returns the address.

        Raises:
            DeployError: It cannot.
        """

    def stop_backups(self) -> None:
        """Stop the backups, before the stack leaves the volume that they are of."""

    def resume_backups(self) -> None:
        """Start the backups again, if the server of the stack runs."""

    def set_apart(self, left: str) -> None:
        """Move the backups of before a time into a folder; complete what was moved partly."""

    def settle(self, left: str) -> None:
        """Record the image that the stack uses now, set the backups of before apart, make one."""
