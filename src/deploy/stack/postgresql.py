"""Major versions of PostgreSQL: that of the checkout, and that of the installed stack.

The installed stack keeps its version until `build.py upgrade-db` moves the data, even if the
checkout has another one.
"""

from __future__ import annotations

import dataclasses
import re

from deploy import command_hints
from deploy.errors import DeployError, ExitCode
from deploy.paths import QUADLET
from deploy.stack import data_volume, definition, install
from deploy.units.loader import POSTGRESQL_DROPIN, load_contract
from deploy.units.parser import parse_unit
from deploy.units.spec import DB, DB_MAJOR, build_args

CONTAINER = "todo-db.container"
HOLD = f"{CONTAINER}.d/95-upgrade-db.conf"
"""Drop-in that pins the server's image and volume during an upgrade (ADR 83)."""

_SOURCE, _DATA = "todo-data.volume", "/var/lib/postgresql"
"""Volume and mount point of the database's files."""
_UNNAMED = "17"
"""Major version of older units, which do not declare one."""
_ASSIGNED = re.compile(rf"^Environment={DB_MAJOR}=(\d+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Request:
    """Options of a command for the database's units.

    Attributes:
        major: Major version; empty keeps the installed one.
        hold: Text of the drop-in HOLD; empty removes it, None keeps it.
    """

    major: str = ""
    hold: str | None = None


UNCHANGED = Request()


def find_shipped() -> str:
    """Return the major version in the checkout's units."""
    return load_contract().container(DB).env[DB_MAJOR]


def find_known() -> list[str]:
    """Return the major versions that the checkout supports, in ascending order."""
    name = POSTGRESQL_DROPIN.format(major="*")
    dropins = (QUADLET / "dropins").glob(name)
    others = {path.stem.rpartition("-")[2] for path in dropins}
    return sorted({find_shipped(), *others}, key=int)


def find_installed() -> str:
    """Return the major version of the installed stack; without a stack, that of the checkout."""
    unit = install.installed_text(CONTAINER)
    if unit is None:
        return find_shipped()
    for major in find_known():
        if install.installed_text(POSTGRESQL_DROPIN.format(major=major)) is not None:
            return major
    assigned = _ASSIGNED.search(unit)
    return assigned[1] if assigned else _UNNAMED


def find_arguments(major: str = "") -> dict[str, str]:
    """Return the build arguments of the images for a major version, by default the installed one.

    Raises:
        DeployError: The checkout does not support the version.
    """
    chosen = major or find_installed()
    other = "" if chosen == find_shipped() else _require(chosen)
    return build_args(load_contract(ai=True, backup=True, major=other))


def find_target_arguments(target: str) -> dict[str, str]:
    """Return a target's build arguments; only the target `db` depends on the installed version."""
    return find_arguments("" if target == "db" else find_shipped())


def find_units(request: Request = UNCHANGED) -> dict[str, str]:
    """Return the drop-ins to install, HOLD first.

    Raises:
        DeployError: The checkout does not support the version.
    """
    found = {}
    hold = install.installed_text(HOLD) if request.hold is None else request.hold
    if hold:
        found[HOLD] = hold
    chosen = request.major or find_installed()
    if chosen != find_shipped():
        name = POSTGRESQL_DROPIN.format(major=_require(chosen))
        found[name] = (QUADLET / "dropins" / name).read_text()
    return found


def is_held() -> bool:
    """Return whether the drop-in HOLD is installed."""
    return install.installed_text(HOLD) is not None


def render_hold(major: str, image: str, volume: str) -> str:
    """Render the drop-in that pins the server's version, image and data volume."""
    name = HOLD.partition("/")[2]
    # Drop-ins that sort after this one still apply.
    before = [path for path in definition.find_drop_ins(CONTAINER) if path.name < name]
    parts = [(str(path), path.read_text(encoding="utf-8")) for path in before]
    unit = parse_unit(CONTAINER, install.shipped()[CONTAINER], parts)
    data = {_SOURCE, data_volume.find_name()}
    mounts = [each.value.partition(":") for each in unit.find_all("Container", "Volume")]
    return "\n".join(
        [
            "# Written by `build.py upgrade-db`, which removes it at the switch.",
            "[Container]",
            f"Image={image}",
            f"Environment={DB_MAJOR}={major}",
            "# An empty assignment drops the unit's own mounts.",
            "Volume=",
            *(
                f"Volume={volume if source in data else source}:{rest}"
                for source, _, rest in mounts
            ),
            "",
        ]
    )


def refuse_elsewhere() -> None:
    """Raise DeployError if a user's drop-in places the database outside of the volume."""
    unit = definition.load(CONTAINER, install.shipped()[CONTAINER])
    for mount in unit.find_all("Container", "Volume"):
        source, _, rest = mount.value.partition(":")
        if rest.partition(":")[0] == _DATA and source not in {_SOURCE, data_volume.find_name()}:
            raise DeployError(
                f"{mount.place}: the database is in {source}, and only a volume can be upgraded",
                hint="back it up, drop this line, and restore the backup first",
                code=ExitCode.CONFIG,
            )


def refuse_other(what: str, major: str) -> None:
    """Raise DeployError if data (`what`) is of a PostgreSQL version other than the stack's."""
    installed = find_installed()
    if major != installed:
        raise DeployError(
            f"{what} is of PostgreSQL {major}, and this stack runs PostgreSQL {installed}",
            hint=describe_way(major),
            code=ExitCode.CONFIG,
        )


def describe_way(major: str = "") -> str:
    """Render the commands that move the stack to a major version; "" means unknown."""
    up, upgrade = command_hints.build("up"), command_hints.build("upgrade-db")
    newer = f"{up}, then {upgrade}, then the same command"
    older = f"{command_hints.build('upgrade-db --back')}, then the same command"
    if not major:
        return f"if it is of a newer version: {newer}; of an older one: {older}"
    if major not in find_known():
        return "use a checkout that supports this version"
    return newer if int(major) > int(find_installed()) else older


def _require(major: str) -> str:
    if major not in find_known():
        raise DeployError(
            f"the stack runs PostgreSQL {major}, which this checkout does not support",
            hint=f"go back to an older checkout, and run {command_hints.build('upgrade-db')} there",
            code=ExitCode.CONFIG,
        )
    return major
