"""Timer of `build.py update`, an optional part of the stack.

The timer is a shipped unit. Its service contains the checkout's path, so it is rendered here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deploy import paths
from deploy.errors import DeployError, ExitCode
from deploy.stack import install, systemd
from deploy.stack.services import UPDATE, UPDATE_TIMER, has_update_timer

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDERS = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
"""Variables that locate the lock and records; systemd does not know those of a shell."""
_SERVICE = """\
# Made by `build.py up --update-timer`; `up --no-update-timer` removes it.
[Unit]
Description=Update of the todo backend
# After a boot, the stack that is compared with the new image has to run.
After=todo-backend.service

[Service]
Type=oneshot
ExecStart=/usr/bin/env python3 {program} update --no-cache --no-lab
{environment}\
# build.py goes back by itself when it is asked to end; the programs that it runs do not end first.
KillMode=mixed
TimeoutStopSec=15min
# Requests come first.
Nice=10
# `build.py logs update` finds its lines by this name.
SyslogIdentifier=todo-update
"""


def find_units() -> dict[str, str]:
    """Return the timer and its service for this checkout if they are installed, otherwise {}."""
    return _render() if has_update_timer() else {}


def check(*, wanted: bool | None) -> None:
    """Raise DeployError if the timer is wanted and a unit cannot contain the checkout's path."""
    if wanted and not str(paths.REPO).isprintable():
        raise DeployError(
            f"the path {str(paths.REPO)!r} of the checkout has characters that a unit cannot "
            "contain",
            hint="move it to a path of printable characters",
            code=ExitCode.CONFIG,
        )


def set_wanted(*, wanted: bool | None, starts: bool) -> set[str]:
    """Install or remove the timer and its service, and return the changed units.

    Args:
        wanted: Whether the stack has the timer; None keeps the current choice.
        starts: Whether to enable and start an installed timer.
    """
    changed: set[str] = set()
    if wanted is False:
        stop()
    if wanted is not None and wanted != has_update_timer():
        others = install.read_installed()
        for name in (UPDATE, UPDATE_TIMER):
            others.pop(name, None)
        changed = install.install({**others, **(_render() if wanted else {})})
        systemd.systemctl("daemon-reload")
    if starts and has_update_timer():
        systemd.systemctl("enable", "--quiet", "--now", UPDATE_TIMER)
    return changed


def stop() -> None:
    """Stop the timer before its units are removed; a running update continues."""
    if has_update_timer():
        systemd.systemctl("disable", "--quiet", "--now", UPDATE_TIMER, check=False)


def render_service(program: str, environ: Mapping[str, str]) -> str:
    """Render the service that runs `build.py`, with the folder variables of the environment."""
    folders = {name: environ[name] for name in _FOLDERS if environ.get(name)}
    lines = [f"Environment={_quote(f'{name}={value}')}\n" for name, value in folders.items()]
    # In command lines, systemd also expands variables.
    command = _quote(program).replace("$", "$$")
    return _SERVICE.format(program=command, environment="".join(lines))


def _render() -> dict[str, str]:
    return {
        UPDATE_TIMER: install.shipped(update=True)[UPDATE_TIMER],
        UPDATE: render_service(str(paths.REPO / "build.py"), os.environ),
    }


def _quote(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
