"""The volume with the database's files: the shipped one, or one that a restore or an upgrade made.

Neither writes to the volume in use. They make a new one, and a drop-in names that.
"""

from __future__ import annotations

from deploy import process
from deploy.stack import install

SHIPPED = "todo-data"
DROPIN = "todo-data.volume.d/50-restored.conf"

_NAME = "VolumeName="
_TIMEOUT_S = 120.0


def find_name() -> str:
    """Return the volume that the installed units use."""
    for line in (install.installed_text(DROPIN) or "").splitlines():
        if line.startswith(_NAME):
            return line.removeprefix(_NAME)
    return SHIPPED


def find_units(name: str | None = None) -> dict[str, str]:
    """Return the drop-in to install, if there has to be one.

    Args:
        name: The volume to use; None keeps the present one.
    """
    chosen = name or find_name()
    return {} if chosen == SHIPPED else {DROPIN: render_dropin(chosen)}


def render_dropin(name: str) -> str:
    """Return the drop-in for another volume than the shipped one."""
    return "\n".join(
        [
            "# Written by `build.py restore` or `upgrade-db`; the volume of before is still there.",
            "[Volume]",
            f"{_NAME}{name}",
            "",
        ]
    )


def find_all() -> list[str]:
    """Return the volumes with databases: the current one, former ones, unfinished ones."""
    listing = ["podman", "volume", "ls", f"--filter=name=^{SHIPPED}(-|$)", "--format={{.Name}}"]
    return process.run(listing, timeout_s=_TIMEOUT_S).stdout.split()


def exists(name: str) -> bool:
    """Return whether there is a volume of that name."""
    asked = ["podman", "volume", "exists", name]
    return process.run(asked, check=False, timeout_s=_TIMEOUT_S).returncode == 0
