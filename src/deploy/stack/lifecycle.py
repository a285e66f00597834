"""Lifecycle of a user's stack: install, start, restart and stop."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import command_hints, process, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import (
    backups,
    data_volume,
    drift,
    install,
    instances,
    local_model,
    ports,
    postgresql,
    quadlet,
    readiness,
    startup,
    systemd,
    update_timer,
)
from deploy.stack.local_model import UNCHANGED, Request
from deploy.stack.services import (
    AI,
    CANDIDATE,
    CANDIDATE_SOCKETS,
    DB,
    MANAGEMENT,
    MIGRATE,
    SOCKET,
    WAL,
    container_of,
    find_instances,
    find_services,
    find_sockets,
    find_timers,
    has_backups,
    name_management,
    number_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from deploy.stack.addresses import Address
    from deploy.stack.install import Link

SECRET = "todo-token-secret"  # noqa: S105  # its name, not its value
VOLUMES = ("todo-data", "todo-socket", "todo-instances", "todo-drill", *local_model.VOLUMES)

LINGERING = Path("/var/lib/systemd/linger")
"""Folder in which systemd-logind keeps an empty file for each lingering user."""

_SECRET_BYTES = 48


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Result of `prepare`: the changed unit files, and the units that run with old settings."""

    files: frozenset[str]
    stale: frozenset[str]


def check_port(port: int | None, *, moving: bool) -> None:
    """Check that the stack can move to another public port, before anything is changed.

    Args:
        port: New port; None keeps the current one.
        moving: Whether the command moves the sockets of a running stack.

    Raises:
        DeployError: The port needs root, is taken, is a management port, or would have no effect;
            or the stack is running, and the command does not move it.
    """
    if port is None:
        return
    ports.check(port, management=ports.find_management_ports(), ours=ports.find_ours())
    ports.check_movable(port)
    if not moving and _new_dropin(port) is not None and systemd.is_active(SOCKET):
        raise DeployError(
            f"install cannot move the running stack to port {port}",
            hint=command_hints.build(f"up --port {port}"),
            code=ExitCode.CONFIG,
        )


def prepare(
    ai: Request = UNCHANGED,
    number: int | None = None,
    backup: backups.Request = backups.UNCHANGED,
    volume: str | None = None,
    database: postgresql.Request = postgresql.UNCHANGED,
) -> Prepared:
    """Create the secret, install the units, and enable lingering for the user.

    Running units stay untouched, except optional parts and instances that are no longer wanted.
    None keeps the installed number and volume; another volume requires a stopped stack.
    """
    with progress.step("Installing the units") as step:
        step.note("secret")
        _ensure_secret()
        if not ai.applies() and AI in find_services():
            # Nothing could stop it once its unit is removed.
            systemd.systemctl("stop", AI)
        _stop_removed(instances.find_removed(number))
        if not backup.applies():
            backups.stop()
        files = install.install(_units(ports.find_dropin(), ai, number, backup, volume, database))
        stale = reload(step)
        # Ordinary units must be enabled; Quadlet itself applies [Install] of containers.
        systemd.systemctl("enable", "--quiet", *find_sockets())
        if has_backups():
            backups.make_folder()
            backups.save_settings()
        _ensure_linger(getpass.getuser())
    return Prepared(frozenset(files), frozenset(stale))


def set_port(port: int | None) -> set[str]:
    """Install another public port for a stopped stack, and return the changed units."""
    text = _new_dropin(port)
    if text is None:
        return set()
    changed = install.install(_units(text))
    systemd.systemctl("daemon-reload")
    return changed


def start(prepared: Prepared, *, port: int | None = None) -> str:
    """Start stopped units, restart outdated ones, run the migration, and return the public URL.

    Args:
        prepared: Result of `prepare`.
        port: New loopback port of the public API, kept by later runs; None keeps the current one.

    Raises:
        DeployError: A unit did not start, or the backend did not become ready; the previous port is
            then restored.
    """
    text = _new_dropin(port)
    if text is None:
        _check_addresses(ports.find_ours())
    # A unit at its start limit, and its socket, stay down until they are reset.
    _reset_failed()
    with progress.step("Starting the services") as step:
        for unit in (DB, MIGRATE):
            again = unit == MIGRATE or unit in prepared.stale or _runs_old_image(unit)
            startup.run_job("restart" if again else "start", unit, step)
        if AI in find_services() and (AI in prepared.stale or _runs_old_image(AI)):
            # Starting the backend starts it again.
            systemd.systemctl("stop", AI)
        if WAL in find_services() and (WAL in prepared.stale or _runs_old_image(WAL)):
            # `backups.start` starts it again.
            systemd.systemctl("stop", WAL)
        if text is None:
            _serve(prepared.stale, step)
    if text is None:
        return readiness.wait()
    with _moved(text):
        return readiness.wait()


def restart() -> str:
    """Restart the backend and all units that differ from their files; return the public URL.

    An unchanged socket keeps accepting connections meanwhile. Several instances are restarted one
    after the other, each as soon as the previous one is ready.

    Raises:
        DeployError: A unit file is unusable and nothing was changed, or a unit did not start.
    """
    refuse_absent()
    instances.check(None)
    _check_addresses(ports.find_ours())
    with progress.step("Restarting the backend") as step:
        stale = reload(step)
        _reset_failed()
        if DB in stale:
            startup.run_job("restart", DB, step)
        if stale & {DB, MIGRATE}:
            startup.run_job("restart", MIGRATE, step)
        _serve({*stale, *find_instances()}, step)
        for unit in {AI, WAL} & stale:
            startup.run_job("restart", unit, step)
        if has_backups():
            backups.save_settings()
    return readiness.wait()


def _units(
    dropin: str | None,
    ai: Request = UNCHANGED,
    number: int | None = None,
    backup: backups.Request = backups.UNCHANGED,
    volume: str | None = None,
    database: postgresql.Request = postgresql.UNCHANGED,
) -> dict[str, str | Link]:
    """Return the units to install, including the drop-ins for the port and the volume."""
    units = {
        **postgresql.find_units(database),
        **local_model.find_units(ai),
        **instances.find_units(number),
        **backups.find_units(backup),
        **data_volume.find_units(volume),
        **update_timer.find_units(),
    }
    if instances.find_both() is not None:
        # Two units cannot listen on one address.
        del units[MANAGEMENT]
    return units if dropin is None else {**units, ports.DROPIN: dropin}


def _new_dropin(port: int | None) -> str | None:
    """Return the drop-in for another port, or None if that port is set already."""
    if port is None:
        return None
    if install.is_installed() and [each.text for each in ports.defined()][:1] == [
        f"127.0.0.1:{port}"
    ]:
        return None
    text = ports.render_dropin(port)
    return None if text == install.installed_text(ports.DROPIN) else text


def reload(step: progress.Step) -> set[str]:
    """Reload systemd, and return the units that run with outdated settings.

    Raises:
        DeployError: Quadlet rejects a file; nothing was reloaded.
    """
    step.note("systemctl --user daemon-reload")
    quadlet.refuse_rejected()
    # This must run before the reload, which hides that the files changed.
    unread = drift.find_unread()
    systemd.systemctl("daemon-reload")
    return {*unread, *drift.find_outdated()}


def _serve(stale: Collection[str], step: progress.Step) -> None:
    """Start the sockets and instances, and restart the outdated ones."""
    _open_sockets(stale, step)
    several = len(find_instances()) > 1
    for unit in find_instances():
        again = unit in stale or _runs_old_image(unit)
        startup.run_job("restart" if again else "start", unit, step)
        if several:
            readiness.wait_instance(unit, step)
    unlistened = {unit for unit in find_sockets() if ports.find_unlistened(unit)}
    if unlistened:
        # An earlier reload with other addresses made systemd close the sockets.
        _open_sockets(unlistened, step)
        for unit in find_instances():
            startup.run_job("start", unit, step)


def _open_sockets(stale: Collection[str], step: progress.Step) -> None:
    """Start stopped and outdated sockets, after stopping the instances that use them."""
    again = [unit for unit in find_sockets() if unit in stale or not systemd.is_active(unit)]
    if not again:
        return
    # An instance keeps inherited sockets open.
    holding = [
        unit
        for unit in find_instances()
        if SOCKET in again or name_management(number_of(unit)) in again
    ]
    systemd.systemctl("stop", *again, *holding)
    _check_addresses(ports.find_ours())
    for unit in again:
        step.note(unit)
        _start_socket(unit)


def _stop_removed(removed: list[str]) -> None:
    """Stop instances before their units are removed, as nothing could stop them afterwards."""
    for unit in removed:
        socket = name_management(number_of(unit))
        systemd.systemctl("stop", socket, unit, check=False)
        systemd.systemctl("disable", "--quiet", socket, check=False)


def _reset_failed() -> None:
    systemd.systemctl("reset-failed", *find_sockets(), *find_services(), check=False)


@contextlib.contextmanager
def _moved(dropin: str) -> Iterator[None]:
    """Move the stack to another port; move it back if the move or the block fails."""
    before = install.installed_text(ports.DROPIN)
    ran = systemd.is_active(SOCKET)
    try:
        with progress.step("Changing the port") as step:
            install.install(_units(dropin))
            systemd.systemctl("daemon-reload")
            _serve({SOCKET}, step)
        yield
    except BaseException:
        with progress.step("Returning to the former port") as step:
            install.install(_units(before))
            systemd.systemctl("stop", SOCKET, *find_instances(), check=False)
            systemd.systemctl("daemon-reload")
            _reset_failed()
            if ran:
                # An error of the previous port must not hide that of the new one.
                with contextlib.suppress(DeployError):
                    _serve((), step)
        raise


def stop() -> None:
    """Stop all units, the sockets first, so that no connection starts the backend again."""
    with progress.step("Stopping the services"):
        # A timer would start a backup, which starts the database.
        systemd.systemctl("stop", *find_timers(), *find_sockets(), check=False)
        # The units of an interrupted update.
        systemd.systemctl("stop", *CANDIDATE_SOCKETS, CANDIDATE, check=False)
        for unit in reversed(find_services()):
            systemd.systemctl("stop", unit, check=False)
        systemd.stop_volume_units(VOLUMES)
        _reset_failed()


def _check_addresses(ours: Collection[Address]) -> None:
    ports.check_defined(ports.defined(), ours, ipv6_only=ports.leaves_out_ipv4())


def _start_socket(unit: str) -> None:
    done = systemd.systemctl("start", unit, check=False)
    if done.returncode != 0:
        raise DeployError(
            f"{unit} cannot listen: {startup.explain(unit, systemd.state(unit))}",
            hint=f"see {command_hints.shell(f'journalctl --user -u {unit}')}",
            code=ExitCode.CONFIG,
        )


def _ensure_secret() -> None:
    if process.run(["podman", "secret", "exists", SECRET], check=False).returncode == 0:
        return
    value = secrets.token_urlsafe(_SECRET_BYTES)
    process.run(["podman", "secret", "create", SECRET, "-"], stdin=value)


def _ensure_linger(user: str) -> None:
    """Enable lingering, so that the user's services start at boot, without a login."""
    if (LINGERING / user).exists():
        return
    done = process.run(["loginctl", "enable-linger", user], check=False)
    if done.returncode != 0:
        raise DeployError(
            f"{user} is not allowed to keep services running without a login: "
            f"{done.stderr.strip()}",
            hint=f"run: sudo loginctl enable-linger {user}",
            code=ExitCode.CONFIG,
        )


def refuse_absent() -> None:
    """Raise DeployError if no stack is installed for this user."""
    if not install.is_installed():
        raise DeployError(
            "the units are not installed for this user",
            hint=command_hints.build("up"),
            code=ExitCode.CONFIG,
        )


def _runs_old_image(unit: str) -> bool:
    inspect = ["podman", "container", "inspect", "--format={{.Image}} {{.ImageName}}"]
    shown = process.run([*inspect, container_of(unit)], check=False)
    if shown.returncode != 0:
        return False
    running, name = shown.stdout.split()
    current = process.run(["podman", "image", "inspect", "--format={{.Id}}", name], check=False)
    return current.returncode == 0 and current.stdout.strip() != running
