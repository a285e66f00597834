"""Service of the candidate: stopping it, and the lock by which it detects a ready sibling."""

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
"""Prefix of the reason if a program exited on its own."""
_POLL_S = 0.2
_STOP_S = 15.0
"""Timeout of a stop; the program itself exits within ten seconds of SIGTERM."""
_VOLUME = "todo-instances-volume.service"
_SIBLING = "update"
"""Name of the lock file that represents a single instance."""
_LOCKED = "locked"
_LOCK = f"""
umask 022
exec flock --exclusive "$0" sh -c 'echo {_LOCKED}; exec tail --pid="$0" --follow /dev/null' "$1"
"""
"""Script that locks a file while a process runs, and prints a line once the file is locked."""
_SIGNALED = 128
"""Lowest exit code of a program that was ended by a signal, for example by a stop."""


def end() -> None:
    """Stop the service without its sockets; kill it if it does not stop in time."""
    systemd.systemctl("stop", "--no-block", CANDIDATE, check=False)
    deadline = time.monotonic() + _STOP_S
    while systemd.state(CANDIDATE).active not in {"inactive", "failed"}:
        if time.monotonic() > deadline:
            kill()
            break
        time.sleep(_POLL_S)


def kill() -> None:
    """Kill the program without waiting for its requests."""
    systemd.systemctl("kill", "--signal=SIGKILL", CANDIDATE, check=False)


def remove() -> None:
    """Stop the service and its sockets, and remove its container."""
    end()
    units = (*CANDIDATE_SOCKETS, CANDIDATE)
    systemd.systemctl("stop", *units, check=False)
    systemd.systemctl("reset-failed", *units, check=False)
    images.remove_container(CANDIDATE)


def explain_end(invocation: str) -> str:
    """Return how the program exited on its own; empty if it did not.

    A request can fail because the program exited, before systemd notices that. Call `end` first.
    """
    found = journal.find_end(invocation) if invocation else None
    if found is None or found.signaled or not 0 < found.status < _SIGNALED:
        return ""
    return f"{ENDED}{found.render(CANDIDATE)}"


class Sibling:
    """Lock that shows the candidate, which has another UID, that a single instance is ready.

    Otherwise the candidate would accept connections before it is ready itself. The lock is
    released when this process exits.
    """

    def __init__(self) -> None:
        self._shown = contextlib.ExitStack()

    def show(self) -> None:
        """Lock the file of a single instance; several instances lock their own files."""
        self._shown.close()
        if len(find_instances()) > 1:
            return
        systemd.systemctl("start", _VOLUME)
        inspect = ["podman", "volume", "inspect", "--format={{.Mountpoint}}", "todo-instances"]
        file = f"{process.run(inspect).stdout.strip()}/{_SIBLING}"
        lines = process.follow(["podman", "unshare", "sh", "-c", _LOCK, file, str(os.getpid())])
        self._shown.callback(lines.close)
        # Before that, the candidate would regard itself as the only instance.
        if _LOCKED not in lines:
            raise DeployError(f"the lock of {file} ended at once")

    def hide(self) -> None:
        """Release the lock."""
        self._shown.close()
        if len(find_instances()) == 1:
            systemd.stop_volume_units(["todo-instances"])
