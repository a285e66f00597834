"""Interface to the stack during an upgrade; `deploy.upgrade.stack_machine` implements it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Copied:
    """Result of copying the database; `content` is that of `clusters.find_content`."""

    content: Mapping[str, str]
    rows: int
    size_bytes: int
    seconds: float


class Machine(Protocol):
    """Operations of an upgrade on the stack."""

    def new_volume_name(self) -> str:
        """Return an unused volume name."""

    def new_stamp(self) -> str:
        """Return the current time, in the format of the stamps of base backups."""

    def current_volume(self) -> str:
        """Return the volume that the stack uses."""

    def has_volume(self, name: str) -> bool:
        """Return whether a volume exists."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume if it exists."""

    def refuse_writes(self) -> None:
        """Make the stack's server refuse writes until its next start."""

    def accept_writes(self) -> None:
        """Let the stack's server accept writes, if it is running."""

    def copy(self, volume: str) -> Copied:
        """Copy the database into a new volume in the new version, and compare both databases.

        Raises:
            DeployError: The copy failed, or the databases differ.
        """

    def find_changes(self, content: Mapping[str, str]) -> list[str]:
        """Compare the stack's database with `content`; return a line for each different table."""

    def serves(self, major: str) -> bool:
        """Return whether a server of the given major version is running."""

    def keep_image(self, major: str) -> None:
        """Tag the stack's image with its major version, so that it is kept."""

    def hold(self, major: str, volume: str) -> None:
        """Pin the version and the volume of the next start, regardless of the installed units."""

    def is_held(self) -> bool:
        """Return whether a version and a volume are pinned."""

    def point(self, major: str, volume: str) -> None:
        """Install the version and the volume that start after the pin is removed."""

    def release(self) -> None:
        """Remove the pin, so that the next start uses the version and volume of `point`."""

    def restart(self) -> str:
        """Restart the database and the backend while requests wait; return the URL."""

    def wait(self) -> str:
        """Wait until the stack is ready, and return the URL; raise a DeployError on failure."""

    def stop_backups(self) -> None:
        """Stop the backups of the current volume, before the stack leaves it."""

    def resume_backups(self) -> None:
        """Start the backups again, if the stack's server is running."""

    def set_apart(self, left: str) -> None:
        """Move the backups from before a time into a subfolder, or complete such a move."""

    def settle(self, left: str) -> None:
        """Record the current image, move the backups from before a time, and start a backup."""
