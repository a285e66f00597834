"""PostgreSQL's major version: that of the checkout's units, and that of the stack of this user.

A stack keeps its version, whatever the checkout says, until `build.py upgrade-db` moved the data.
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
"""Drop-in that pins image and volume of the server while the other files change (ADR 83)."""

_SOURCE, _DATA = "todo-data.volume", "/var/lib/postgresql"
"""The unit's data mount."""
_UNNAMED = "17"
"""Version of older units, which do not name it."""
_ASSIGNED = re.compile(rf"^Environment={DB_MAJOR}=(\d+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Request:
    """Request of a command about the database's units.

    Attributes:
        major: The version; empty keeps the stack's.
        hold: The drop-in that pins what starts; empty for none, None keeps it as it is.
    """

    major: str = ""
    hold: str | None = None


UNCHANGED = Request()


def find_shipped() -> str:
    """Return the version of the checkout's units."""
    return load_contract().container(DB).env[DB_MAJOR]


def find_known() -> list[str]:
    """Return the major versions that the checkout supports, in ascending order."""
    name = POSTGRESQL_DROPIN.format(major="*")
    dropins = (QUADLET / "dropins").glob(name)
    others = {path.stem.rpartition("-")[2] for path in dropins}
    return sorted({find_shipped(), *others}, key=int)


def find_installed() -> str:
    """Return the version of the installed stack; without one, the checkout's version."""
    unit = install.installed_text(CONTAINER)
    if unit is None:
        return find_shipped()
    for major in find_known():
        if install.installed_text(POSTGRESQL_DROPIN.format(major=major)) is not None:
            return major
    assigned = _ASSIGNED.search(unit)
    return assigned[1] if assigned else _UNNAMED


def find_arguments(major: str = "") -> dict[str, str]:
    """Return the arguments of the image build, for the stack's version or another one.

    Raises:
        DeployError: The checkout does not have that version.
    """
    chosen = major or find_installed()
    other = "" if chosen == find_shipped() else _require(chosen)
    return build_args(load_contract(ai=True, backup=True, major=other))


def find_target_arguments(target: str) -> dict[str, str]:
    """The arguments of a target; another version of the database makes no other image stale."""
    return find_arguments("" if target == "db" else find_shipped())


def find_units(request: Request = UNCHANGED) -> dict[str, str]:
    """Return the drop-ins to install, the one that pins first.

    Raises:
        DeployError: The checkout does not have that version.
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
    """Return whether an upgrade pins what starts."""
    return install.installed_text(HOLD) is not None


def render_hold(major: str, image: str, volume: str) -> str:
    """Return the drop-in that pins the server to start, with all present mounts of its unit.

    Args:
        major: Major version of the server.
        image: Image of the server.
        volume: Volume of the server.
    """
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
    """Reject a user's drop-in that makes the server use files outside the volume.

    Raises:
        DeployError: One does.
    """
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
    """Reject data of another major version than that of the stack.

    Args:
        what: Description of the data, for the message.
        major: Major version of the data.

    Raises:
        DeployError: The version differs.
    """
    installed = find_installed()
    if major != installed:
        raise DeployError(
            f"{what} is of PostgreSQL {major}, and this stack runs PostgreSQL {installed}",
            hint=describe_way(major),
            code=ExitCode.CONFIG,
        )


def describe_way(major: str = "") -> str:
    """Describe the commands that lead to another version of PostgreSQL.

    Args:
        major: The version; empty for an unknown one.
    """
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
