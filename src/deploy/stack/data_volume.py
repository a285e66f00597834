"""Volume of the database: the shipped one, or one that a restore or an upgrade created.

Restores and upgrades leave the volume in use unchanged. They create a new one, which a drop-in
selects.
"""

from __future__ import annotations

from deploy import process
from deploy.stack import install

SHIPPED = "todo-data"
DROPIN = "todo-data.volume.d/50-restored.conf"

_NAME = "VolumeName="
_TIMEOUT_S = 120.0


def find_name() -> str:
    """Return the name of the volume that the installed units use."""
    for line in (install.installed_text(DROPIN) or "").splitlines():
        if line.startswith(_NAME):
            return line.removeprefix(_NAME)
    return SHIPPED


def find_units(name: str | None = None) -> dict[str, str]:
    """Return the drop-in for a volume (None: the current one), or {} for the shipped volume."""
    chosen = name or find_name()
    return {} if chosen == SHIPPED else {DROPIN: render_dropin(chosen)}


def render_dropin(name: str) -> str:
    """Render the drop-in that selects a volume."""
    return "\n".join(
        [
            "# Written by `build.py restore` or `upgrade-db`; the volume of before is still there.",
            "[Volume]",
            f"{_NAME}{name}",
            "",
        ]
    )


def find_all() -> list[str]:
    """Return the names of all database volumes: current, previous and unfinished ones."""
    listing = ["podman", "volume", "ls", f"--filter=name=^{SHIPPED}(-|$)", "--format={{.Name}}"]
    return process.run(listing, timeout_s=_TIMEOUT_S).stdout.split()


def exists(name: str) -> bool:
    """Return whether a volume of that name exists."""
    asked = ["podman", "volume", "exists", name]
    return process.run(asked, check=False, timeout_s=_TIMEOUT_S).returncode == 0
