"""The candidate's service: how it is ended, and how it learns of the instance beside it."""

from __future__ import annotations

import contextlib
import os
import time

from deploy import process
from deploy.errors import DeployError
from deploy.stack import journal, systemd
from deploy.stack.services import CANDIDATE, CANDIDATE_SOCKETS, find_instances
from deploy.update import images

ENDED = "it ended: "
"""Prefix of the reason if the program ended by itself."""
_POLL_S = 0.2
_STOP_S = 15.0
"""The program itself ends ten seconds after it was asked to."""
_VOLUME = "todo-instances-volume.service"
_SIBLING = "update"
"""The file of a single instance, as the candidate sees it."""
_LOCKED = "locked"
_LOCK = f"""
umask 022
exec flock --exclusive "$0" sh -c 'echo {_LOCKED}; exec tail --pid="$0" --follow /dev/null' "$1"
"""
"""Locks a file as long as a process runs, and prints a line when it is locked."""
_SIGNALED = 128
"""Exit codes from here on are those of a program that a signal ended, as a stop does."""


def end() -> None:
    """Stop the service, and wait until it has ended; its sockets stay."""
    systemd.systemctl("stop", "--no-block", CANDIDATE, check=False)
    deadline = time.monotonic() + _STOP_S
    while systemd.state(CANDIDATE).active not in {"inactive", "failed"}:
        if time.monotonic() > deadline:
            kill()
            break
        time.sleep(_POLL_S)


def kill() -> None:
    """End the program at once: it has no requests to finish."""
    systemd.systemctl("kill", "--signal=SIGKILL", CANDIDATE, check=False)


def remove() -> None:
    """Stop the service and its sockets, if they are there, and remove its container."""
    end()
    units = (*CANDIDATE_SOCKETS, CANDIDATE)
    systemd.systemctl("stop", *units, check=False)
    systemd.systemctl("reset-failed", *units, check=False)
    images.remove_container(CANDIDATE)


def explain_end(invocation: str) -> str:
    """Explain how the program ended by itself, after `end`; empty if it did not.

    A request may meet the end of the program before systemd does.
    """
    found = journal.find_end(invocation) if invocation else None
    if found is None or found.signaled or not 0 < found.status < _SIGNALED:
        return ""
    return f"{ENDED}{found.render(CANDIDATE)}"


class Sibling:
    """Shows the candidate, which has another uid, that a single instance is ready.

    Otherwise it would accept before it is ready. The lock ends with this process.
    """

    def __init__(self) -> None:
        self._shown = contextlib.ExitStack()

    def show(self) -> None:
        """Show it; several instances do so by themselves."""
        self._shown.close()
        if len(find_instances()) > 1:
            return
        systemd.systemctl("start", _VOLUME)
        inspect = ["podman", "volume", "inspect", "--format={{.Mountpoint}}", "todo-instances"]
        file = f"{process.run(inspect).stdout.strip()}/{_SIBLING}"
        lines = process.follow(["podman", "unshare", "sh", "-c", _LOCK, file, str(os.getpid())])
        self._shown.callback(lines.close)
        # Before, the candidate would take itself for the only instance.
        if _LOCKED not in lines:
            raise DeployError(f"the lock of {file} ended at once")

    def hide(self) -> None:
        """Show it no longer."""
        self._shown.close()
        if len(find_instances()) == 1:
            systemd.stop_volume_units(["todo-instances"])
