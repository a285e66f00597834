"""Loss report: support of the units' keys by Podman and by the Kubernetes manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.units.keys import Key, get_key
from deploy.units.spec import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deploy.units.parser import Unit

_TITLES = ("section", "key", "podman", "kubernetes", "used by", "how")


def render_report(units: Iterable[Unit]) -> str:
    """Return a table of the used keys: honored, emulated or lost, for Podman and for Kubernetes.

    Raises:
        DeployError: A unit contains a key that the compiler does not know.
    """
    used: dict[Key, list[str]] = {}
    for unit in units:
        for assignment in unit.assignments:
            users = used.setdefault(get_key(unit, assignment), [])
            name = unit.stem.removeprefix(PREFIX)
            if name not in users:
                users.append(name)
    rows = [_TITLES]
    for key, users in sorted(used.items(), key=lambda item: (item[0].section, item[0].name)):
        fates = key.podman.value, key.kubernetes.value
        rows.append((f"[{key.section}]", key.name, *fates, " ".join(users), key.note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)
