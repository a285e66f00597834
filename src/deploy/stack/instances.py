"""Additional instances of the backend: units derived from those of the first instance (ADR 79)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deploy import command_hints
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO
from deploy.stack import addresses, definition, install, ports, settings
from deploy.stack.install import Link
from deploy.stack.services import (
    BACKEND,
    MANAGEMENT,
    MAX_INSTANCES,
    SOCKET,
    file_of,
    find_instances,
    name_instance,
    name_management,
)
from deploy.units import loader
from deploy.units.parser import parse_unit

if TYPE_CHECKING:
    from deploy.stack.addresses import Address

TEMPLATE = "todo-backend@.container"
FOLDER = "/run/instances"
"""Folder with a file per instance, which the instance locks while it is ready."""

_CONTAINER = file_of(BACKEND)
_POOL = "TODO_DATABASE_POOL_SIZE"
_URL = "TODO_DATABASE_URL"
_BIND = "TODO_MANAGEMENT_BIND"
_DATABASE = REPO / "containers" / "db" / "entrypoint.sh"
_LIMIT = re.compile(r"ALTER ROLE \$DB_ROLE CONNECTION LIMIT (\d+)")
_FOR_COMMANDS = 2
"""Connections reserved for `build.py token` and `build.py admin`, which use the same role."""


def count(wanted: int | None = None) -> int:
    """Return the wanted number of instances, or the installed number if it is None."""
    return wanted or len(find_instances())


def check(wanted: int | None) -> None:
    """Check that the stack can run this many instances, before anything is changed.

    Raises:
        DeployError: The database has too few connections for them, or the public socket unit also
            has the management address.
    """
    number = count(wanted)
    if number == 1:
        return
    both = find_both()
    if both is not None:
        raise DeployError(
            f"several instances need a management address each, and {SOCKET} also has that of the "
            f"first one, {both.text}",
            hint=f"move it from {both.place} to "
            f"{install.destination(f'{MANAGEMENT}.d/60-address.conf')}, below [Socket] and an "
            "empty ListenStream=",
            code=ExitCode.CONFIG,
        )
    _check_connections(number)


def find_units(wanted: int | None) -> dict[str, str | Link]:
    """Return the units that several instances need, or {} for a single instance."""
    number = count(wanted)
    if number == 1:
        return {}
    shipped = install.shipped(instances=True)
    ours = (*loader.INSTANCES_UNITS, loader.INSTANCES_DROPIN)
    units: dict[str, str | Link] = {name: shipped[name] for name in ours}
    units[TEMPLATE] = render_template(shipped[_CONTAINER])
    # All instances share the drop-ins of the first one, including the user's.
    units[f"{TEMPLATE}.d"] = Link(f"{_CONTAINER}.d")
    units["todo-backend@.service.d"] = Link(f"{BACKEND}.d")
    for each, port in _choose_ports(number).items():
        file = file_of(name_instance(each))
        units[file] = Link(TEMPLATE)
        units[f"{file}.d/90-instance.conf"] = render_dropin(each, port)
        units[name_management(each)] = render_socket(shipped[MANAGEMENT], each, port)
    return units


def find_removed(wanted: int | None) -> list[str]:
    """Return the services of installed instances beyond the wanted number."""
    return list(find_instances()[count(wanted) :])


def find_both() -> Address | None:
    """Return the management address if it is in the files of the public socket, otherwise None.

    Older versions had both addresses in one unit, and a user's drop-in for it may set both.
    """
    shipped = install.shipped()
    environment = settings.read_environment(definition.load(_CONTAINER, shipped[_CONTAINER]))
    bind = _parse_bind(environment[_BIND][0])
    if bind is None:
        return None
    ours = f"{install.destination(ports.DROPIN)}:"
    for address in ports.parse_text(SOCKET, shipped[SOCKET]):
        same = (address.port, address.path) == (bind.port, bind.path)
        # The port drop-in is ours and will be rewritten.
        if same and not address.place.startswith(ours):
            return address
    return None


def render_template(text: str) -> str:
    """Render the template unit of additional instances from the unit of the first instance."""
    for first, further in (
        ("Description=Todo backend\n", "Description=Todo backend, instance %i\n"),
        ("ContainerName=todo-backend\n", "ContainerName=todo-backend-%i\n"),
        (MANAGEMENT, "todo-management@%i.socket"),
    ):
        text = text.replace(first, further)
    return f"# Made of {_CONTAINER} by `build.py up --instances`.\n{text}"


def render_dropin(number: int, port: int) -> str:
    """Render the drop-in of one instance, with its management port and its file in FOLDER."""
    return (
        "# Written by `build.py up --instances`.\n"
        "[Container]\n"
        f"Environment={_BIND}=127.0.0.1:{port}\n"
        f"Environment=TODO_INSTANCE_FILE={FOLDER}/{number}\n"
    )


def render_socket(text: str, number: int, port: int) -> str:
    """Render an instance's management socket from that of the first instance."""
    for key, value in (
        ("Description", f"Management socket of the todo backend, instance {number}"),
        ("ListenStream", f"127.0.0.1:{port}"),
        ("Service", name_instance(number)),
    ):
        text = re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", text)
    return f"# Made of {MANAGEMENT} by `build.py up --instances`.\n{text}"


def _parse_bind(value: str) -> Address | None:
    """Parse a management address of the backend; None if the backend will reject it."""
    try:
        return addresses.parse(value.removeprefix("unix:"))
    except ValueError:
        return None


def _choose_ports(number: int) -> dict[int, int]:
    """Return instance number -> management port: the installed one, otherwise the next free one."""
    shipped = install.shipped()
    public = ports.parse_text(SOCKET, shipped[SOCKET])
    own = ports.parse_text(MANAGEMENT, shipped[MANAGEMENT])
    first = own[0].port or addresses.parse("127.0.0.1:9000").port
    chosen = {each: port for each in range(2, number + 1) if (port := _find_port(each))}
    taken = {address.port for address in (*public, *own)} | set(chosen.values())
    for each in range(2, number + 1):
        if each not in chosen:
            candidates = range(first + each - 1, 65536)
            chosen[each] = next(
                port for port in candidates if port not in taken and ports.is_free(port)
            )
            taken.add(chosen[each])
    return dict(sorted(chosen.items()))


def _find_port(number: int) -> int:
    """Return the management port of an installed instance, otherwise 0."""
    unit = name_management(number)
    text = install.installed_text(unit)
    return ports.parse_unit(parse_unit(unit, text))[0].port if text else 0


def find_pool(number: int) -> int | None:
    """Return the pool size for an instance beside `number` others; None if the usual size fits."""
    limits = _find_connections()
    if limits is None:
        return None
    pool, free = limits
    left = free - number * pool
    # Without free connections, it uses those reserved for commands.
    return None if left >= pool else max(left, _FOR_COMMANDS)


def _check_connections(number: int) -> None:
    limits = _find_connections()
    if limits is None:
        return
    pool, free = limits
    if number * pool > free:
        fewer = command_hints.build(f"up --instances {max(1, min(free // pool, MAX_INSTANCES))}")
        raise DeployError(
            f"{number} instances with {pool} connections each need {number * pool}, and the "
            f"database has {free} for them",
            hint=f"set {_POOL}={free // number} in a drop-in for {_CONTAINER}, or start fewer: "
            f"{fewer}",
            code=ExitCode.CONFIG,
        )


def _find_connections() -> tuple[int, int] | None:
    """Return an instance's pool size and the connection limit; None for another database URL."""
    text = install.shipped()[_CONTAINER]
    environment = settings.read_environment(definition.load(_CONTAINER, text))
    if environment[_URL][0] != settings.read_environment(parse_unit(_CONTAINER, text))[_URL][0]:
        return None
    given = environment.get(_POOL, ("", ""))[0] or settings.read_defaults()[_POOL].strip("`")
    # The backend rejects any other value at its start.
    pool = int(given) if given.isdigit() else 0
    (limit,) = _LIMIT.findall(_DATABASE.read_text(encoding="utf-8"))
    return pool, int(limit) - _FOR_COMMANDS
