"""The running stack of one user: prepare, start, wait until it serves, stop, remove."""

from __future__ import annotations

import getpass
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import advice, progress, tools
from deploy.errors import DeployError, ExitCode
from deploy.stack import install, ports, status, systemd
from deploy.stack.services import BACKEND, MIGRATE, SERVICES, SOCKET

if TYPE_CHECKING:
    from collections.abc import Collection

SECRET = "todo-token-secret"  # noqa: S105  # its name, not its value
VOLUMES = ("todo-data", "todo-socket")

_LINGERING = Path("/var/lib/systemd/linger")
"""Where systemd-logind keeps an empty file for each lingering user."""

_GENERATOR = "/usr/lib/systemd/user-generators/podman-user-generator --user --dryrun"
_READY_WITHIN_S = 60.0
_SECRET_BYTES = 48


def prepare(*, port: int | None = None) -> set[str]:
    """Create the secret, install the units, let them run without a login.

    Args:
        port: Loopback port for the public API in place of the units' own; kept by later runs.

    Returns:
        Names of the units that changed.
    """
    units = install.shipped()
    dropin = install.installed_text(ports.DROPIN)
    if port is not None:
        dropin = ports.render_dropin(port)
    if dropin is not None:
        units[ports.DROPIN] = dropin
    with progress.step("Installing the units") as step:
        step.note("secret")
        _ensure_secret()
        changed = install.install(units)
        step.note("systemctl --user daemon-reload")
        systemd.systemctl("daemon-reload")
        _refuse_rejected_units()
        # A socket is an ordinary unit and wants enabling; Quadlet's [Install] needs none.
        systemd.systemctl("enable", "--quiet", SOCKET)
        _ensure_linger(getpass.getuser())
    return changed


def start(changed: Collection[str] = ()) -> None:
    """Start what is down, restart what changed, and run the migration again.

    Args:
        changed: Unit files that were added or changed.

    Raises:
        DeployError: A unit did not start; the message is what its program said last.
    """
    with progress.step("Starting the services") as step:
        # A unit at its start limit stays down, and takes its socket along, until reset.
        systemd.systemctl("reset-failed", SOCKET, *SERVICES, check=False)
        if SOCKET in changed or ports.DROPIN in changed:
            systemd.systemctl("stop", SOCKET, BACKEND)
        if not systemd.is_active(SOCKET):
            step.note(SOCKET)
            _start_socket()
        for unit in SERVICES:
            step.note(unit)
            container = unit.removesuffix(".service")
            stale = f"{container}.container" in changed or _runs_old_image(container)
            again = unit == MIGRATE or stale
            _job("restart" if again else "start", unit)


def wait_ready(within_s: float = _READY_WITHIN_S) -> str:
    """Wait until the backend answers that it is ready; returns the public URL.

    Raises:
        DeployError: It was not ready in time; the message is its own reason.
    """
    deadline = time.monotonic() + within_s
    with progress.step("Waiting until the backend is ready") as step:
        while True:
            now = status.find()
            if now.ready and now.url:
                return now.url
            step.note(now.reason)
            if time.monotonic() > deadline:
                raise DeployError(
                    f"the backend is not ready after {within_s:.0f} s: {now.reason}",
                    hint=f"see {advice.shell('journalctl --user -u todo-backend')}",
                    code=ExitCode.UNAVAILABLE,
                )
            time.sleep(0.1)


def restart() -> None:
    """Restart the backend alone; its socket keeps accepting meanwhile."""
    _refuse_absent()
    systemd.systemctl("reset-failed", SOCKET, BACKEND, check=False)
    with progress.step("Restarting the backend"):
        if not systemd.is_active(SOCKET):
            _start_socket()
        _job("restart", BACKEND)


def stop() -> None:
    """Stop everything; the socket first, so that no connection starts the backend again."""
    with progress.step("Stopping the services"):
        for unit in (SOCKET, *reversed(SERVICES)):
            systemd.systemctl("stop", unit, check=False)
        systemd.systemctl("reset-failed", SOCKET, *SERVICES, check=False)


def remove(*, volumes: bool) -> list[Path]:
    """Stop the stack and remove the units; with `volumes` the data and the secret as well.

    Returns:
        The unit files that were removed.
    """
    _refuse_absent()
    stop()
    systemd.systemctl("disable", "--quiet", SOCKET, check=False)
    removed = install.uninstall()
    systemd.systemctl("daemon-reload")
    if volumes:
        for name in VOLUMES:
            tools.run(["podman", "volume", "rm", "--force", name])
        tools.run(["podman", "secret", "rm", "--ignore", SECRET])
    return removed


def _job(verb: str, unit: str) -> None:
    done = systemd.systemctl(verb, unit, check=False)
    if done.returncode != 0:
        container = unit.removesuffix(".service")
        words = systemd.last_words(unit, container)
        raise DeployError(
            f"{unit} did not start: {words}",
            hint=f"see {advice.shell(f'journalctl --user -u {container}')}",
            code=ExitCode.FAILED,
        )


def _start_socket() -> None:
    wanted = systemd.listening(SOCKET)
    for address in wanted:
        host, _, port = address.rpartition(":")
        if port.isdigit() and not ports.is_free(host, int(port)):
            raise DeployError(
                f"port {port} on {host} is taken by another program",
                hint=f"stop it (ss -ltnp 'sport = :{port}' names it), or choose another port "
                "with up --port N",
                code=ExitCode.CONFIG,
            )
    done = systemd.systemctl("start", SOCKET, check=False)
    if done.returncode != 0:
        raise DeployError(
            f"{SOCKET} cannot listen: {systemd.last_words(SOCKET)}",
            hint=f"see {advice.shell(f'journalctl --user -u {SOCKET}')}",
            code=ExitCode.CONFIG,
        )


def _ensure_secret() -> None:
    if tools.run(["podman", "secret", "exists", SECRET], check=False).returncode == 0:
        return
    value = secrets.token_urlsafe(_SECRET_BYTES)
    tools.run(["podman", "secret", "create", SECRET, "-"], stdin=value)


def _ensure_linger(user: str) -> None:
    """Let the user's services run without a login, from boot on."""
    if (_LINGERING / user).exists():
        return
    done = tools.run(["loginctl", "enable-linger", user], check=False)
    if done.returncode != 0:
        raise DeployError(
            f"{user} may not keep services running without a login: {done.stderr.strip()}",
            hint=f"sudo loginctl enable-linger {user}",
            code=ExitCode.CONFIG,
        )


def _refuse_rejected_units() -> None:
    """Quadlet drops a unit that it cannot read; say so now, not when it fails to start."""
    for unit in SERVICES:
        if systemd.properties(unit, "LoadState").get("LoadState") != "loaded":
            raise DeployError(
                f"Quadlet did not accept {unit.removesuffix('.service')}.container",
                hint=f"{advice.shell(_GENERATOR)} says why; check your drop-ins",
                code=ExitCode.DATA,
            )


def _refuse_absent() -> None:
    if not install.is_installed():
        raise DeployError(
            "the units are not installed for this user",
            hint=advice.build("up"),
            code=ExitCode.CONFIG,
        )


def _runs_old_image(container: str) -> bool:
    shown = tools.run(
        ["podman", "container", "inspect", "--format={{.Image}} {{.ImageName}}", container],
        check=False,
    )
    if shown.returncode != 0:
        return False
    running, name = shown.stdout.split()
    current = tools.run(["podman", "image", "inspect", "--format={{.Id}}", name], check=False)
    return current.returncode == 0 and current.stdout.strip() != running
