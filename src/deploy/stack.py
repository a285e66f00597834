"""The running stack of one user: prepare, start, wait until it serves, stop, status, remove."""

from __future__ import annotations

import dataclasses
import getpass
import http.client
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import install, progress, systemd, tools
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection

SOCKET = "todo-backend.socket"
BACKEND = "todo-backend.service"
DB = "todo-db.service"
MIGRATE = "todo-migrate.service"
SERVICES = (DB, MIGRATE, BACKEND)

SECRET = "todo-token-secret"  # noqa: S105  # its name, not its value
VOLUMES = ("todo-data", "todo-socket")

PUBLISHED_URL = "BUILD_PUBLISHED_URL"
"""Variable with the public address as seen from outside, where a lab publishes another port."""

_LINGERING = Path("/var/lib/systemd/linger")
"""Where systemd-logind keeps an empty file for each lingering user."""

_PORT_DROPIN = "todo-backend.socket.d/50-port.conf"
_READY_WITHIN_S = 60.0
_SECRET_BYTES = 48


@dataclasses.dataclass(frozen=True)
class UnitStatus:
    """What systemd and Podman say of one unit."""

    unit: str
    active: str
    sub: str
    restarts: int
    health: str | None = None
    image: str | None = None


@dataclasses.dataclass(frozen=True)
class Status:
    """The stack as it is now.

    Attributes:
        url: Where the public API listens, or None when the socket is down.
        ready: Whether the backend says that it can serve requests.
        reason: Why it is not ready; empty when it is.
        units: The socket and the three services.
    """

    url: str | None
    ready: bool
    reason: str
    units: tuple[UnitStatus, ...]


def prepare(*, port: int | None = None) -> set[str]:
    """Create the secret, install the units, let them run without a login.

    Args:
        port: Loopback port for the public API in place of the units' own; kept by later runs.

    Returns:
        Names of the units that changed.
    """
    units = install.shipped()
    dropin = install.installed_text(_PORT_DROPIN)
    if port is not None:
        dropin = _port_dropin(port)
    if dropin is not None:
        units[_PORT_DROPIN] = dropin
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
        if SOCKET in changed or _PORT_DROPIN in changed:
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
            now = status()
            if now.ready and now.url:
                return now.url
            step.note(now.reason)
            if time.monotonic() > deadline:
                raise DeployError(
                    f"the backend is not ready after {within_s:.0f} s: {now.reason}",
                    hint="see journalctl --user -u todo-backend",
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


def status() -> Status:
    """Ask systemd, Podman and the backend itself."""
    addresses = systemd.listening(SOCKET) if systemd.is_active(SOCKET) else []
    units = tuple(_unit_status(unit) for unit in (SOCKET, *SERVICES))
    if not addresses:
        return Status(None, ready=False, reason=f"{SOCKET} is not listening", units=units)
    url = os.environ.get(PUBLISHED_URL) or f"http://{addresses[0]}"
    backend = next(unit for unit in units if unit.unit == BACKEND)
    if backend.active != "active":
        # Asking would start it: that is what a socket unit is for.
        reason = f"{BACKEND} is {backend.active}"
        return Status(url, ready=False, reason=reason, units=units)
    reason = _not_ready_reason(addresses[0])
    return Status(url, ready=not reason, reason=reason, units=units)


def _job(verb: str, unit: str) -> None:
    done = systemd.systemctl(verb, unit, check=False)
    if done.returncode != 0:
        words = systemd.last_words(unit, unit.removesuffix(".service"))
        raise DeployError(
            f"{unit} did not start: {words}",
            hint=f"see journalctl --user -u {unit.removesuffix('.service')}",
            code=ExitCode.FAILED,
        )


def _start_socket() -> None:
    wanted = systemd.listening(SOCKET)
    for address in wanted:
        host, _, port = address.rpartition(":")
        if port.isdigit() and not _is_free(host, int(port)):
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
            hint=f"see journalctl --user -u {SOCKET}",
            code=ExitCode.CONFIG,
        )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As systemd does: a port in TIME_WAIT is free to listen on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return False
    return True


def _port_dropin(port: int) -> str:
    lines = install.shipped()[SOCKET].splitlines()
    listen = [line for line in lines if line.startswith("ListenStream=")]
    listen[0] = f"ListenStream=127.0.0.1:{port}"
    return "\n".join(
        [
            "# Written by `build.py up --port`; `--port 8000` goes back.",
            "[Socket]",
            "# An empty assignment drops the addresses of the unit itself.",
            "ListenStream=",
            *listen,
            "",
        ]
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
                hint="/usr/lib/systemd/user-generators/podman-user-generator --user --dryrun "
                "says why; check your drop-ins",
                code=ExitCode.DATA,
            )


def _refuse_absent() -> None:
    if not install.is_installed():
        raise DeployError(
            "the units are not installed for this user",
            hint="python3 build.py up",
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


def _unit_status(unit: str) -> UnitStatus:
    shown = systemd.properties(unit, "ActiveState", "SubState", "NRestarts")
    health = running = None
    if unit in (DB, BACKEND):
        inspected = tools.run(
            [
                "podman",
                "container",
                "inspect",
                "--format={{.State.Health.Status}} {{.Image}}",
                unit.removesuffix(".service"),
            ],
            check=False,
        )
        if inspected.returncode == 0:
            health, _, running = inspected.stdout.strip().rpartition(" ")
    return UnitStatus(
        unit=unit,
        active=shown.get("ActiveState", "unknown"),
        sub=shown.get("SubState", "unknown"),
        restarts=int(shown.get("NRestarts") or 0),
        health=health or None,
        image=running,
    )


def _not_ready_reason(address: str) -> str:
    """Empty when /readyz answers 200, else what it or the connection says."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        return f"no answer from {address}: {error}"
    finally:
        connection.close()
    if response.status == http.client.OK:
        return ""
    try:
        return str(json.loads(body).get("detail") or f"/readyz says {response.status}")
    except ValueError:
        return f"/readyz says {response.status}"


def token(subject: str) -> str:
    """A bearer token for a subject, issued inside the running backend.

    Raises:
        DeployError: The backend is not running, or the subject is not acceptable.
    """
    if not systemd.is_active(BACKEND):
        raise DeployError(
            "the backend is not running", hint="python3 build.py up", code=ExitCode.UNAVAILABLE
        )
    admin = ["/usr/bin/python3", "-m", "todo.admin", "token", "--subject", subject]
    try:
        return tools.run(["podman", "exec", "todo-backend", *admin]).stdout.strip()
    except tools.ToolError as error:
        if error.completed is None or not error.completed.stderr:
            raise
        said = systemd.message_of(error.completed.stderr.splitlines()[-1])
        raise DeployError(f"no token: {said}", code=ExitCode.USAGE) from None
