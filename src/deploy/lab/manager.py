"""Throwaway Debian machines with systemd and Podman, on any host where this runs as root.

Each machine has its own processes, mounts and network, so several can use the same ports. In a
machine, the user `todo` has a running user manager, and the checkout is at /srv/todo-backend.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.bootstrap.entrypoint import interrupts_postponed
from deploy.errors import DeployError, ExitCode
from deploy.host import packages, probe
from deploy.lab import processes as lab_processes
from deploy.lab import rootfs as lab_rootfs
from deploy.lab import state as lab_state
from deploy.lab import supervisor as lab_supervisor
from deploy.lab.machine import Lab
from deploy.paths import REPO
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Lab", "attach", "list_labs", "start", "stop", "throwaway"]

_STOP_TIMEOUT_S = 600.0
"""Timeout of a removal in seconds; removing many images takes long."""
_QUIET_S = 1.0
"""Time in seconds after which a removal is shown as progress."""
_POLL_S = 0.01


@contextlib.contextmanager
def throwaway(
    name: str | None = None,
    *,
    publish: Mapping[int, int] | None = None,
    assume_yes: bool = False,
) -> Iterator[Lab]:
    """Run a lab for the duration of the block; the lab also stops if this process is killed.

    `publish` maps ports on the host's loopback to ports on the lab's. `assume_yes` installs missing
    Debian packages on the host without asking.

    Raises:
        DeployError: The lab cannot be started.
    """
    name = name or f"run-{secrets.token_hex(4)}"
    with _launched(name, publish or {}, assume_yes=assume_yes) as (lab, _):
        yield lab


def start(name: str, *, publish: Mapping[int, int] | None = None, assume_yes: bool = False) -> Lab:
    """Start a lab that runs until it is stopped; for the arguments see `throwaway`.

    Raises:
        DeployError: A lab of that name is running, a port is in use, or the lab cannot be started.
    """
    with _launched(name, publish or {}, assume_yes=assume_yes) as (lab, life):
        life.keep()
        return lab


def attach(name: str) -> Lab:
    """Return a running lab by name; raise DeployError if it is not running."""
    record = lab_state.find(name)
    if record is None:
        message = f"the lab {name!r} is not running"
        hint = "python3 build.py lab list shows the running labs"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    return Lab(record)


def stop(name: str) -> None:
    """Halt and remove a lab; raise DeployError if it is not running."""
    lab_state.sweep()
    lab = attach(name)
    with step(f"Stopping the lab {name}"):
        lab.halt()


def list_labs() -> list[Lab]:
    """Return the running labs, sorted by name, after removing the remains of killed labs."""
    lab_state.sweep()
    return [Lab(record) for record in lab_state.records()]


class _LifeLine:
    """Pipe to a supervisor, which stops its lab when this process closes the pipe or exits."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        self.keeper: subprocess.Popen[bytes] | None = None
        self._kept = False

    def keep(self) -> None:
        """Let the lab outlive this process."""
        os.write(self._writer, lab_supervisor.KEEP)
        self._kept = True

    def close(self) -> None:
        """Close the pipe; unless the lab is kept, wait until its supervisor has exited."""
        os.close(self._writer)
        if self.keeper is None:
            return
        if self._kept:
            self.keeper.returncode = 0  # avoids subprocess's "still running" warning
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.keeper.wait(_QUIET_S)
            return
        with step("Removing the lab's disk"):
            try:
                self.keeper.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.keeper.kill()
                self.keeper.wait()


@contextlib.contextmanager
def _launched(
    name: str, publish: Mapping[int, int], *, assume_yes: bool
) -> Iterator[tuple[Lab, _LifeLine]]:
    """Start a lab, which stops at the end of the block unless its lifeline keeps it."""
    if os.geteuid() != 0:
        message = "a lab needs root"
        raise DeployError(message, hint="run the command with sudo", code=ExitCode.CONFIG)
    if not probe.may_make_machines():
        hint = "python3 build.py dev serves the backend without a lab"
        raise DeployError(f"cannot run a lab: {probe.NO_MACHINES}", hint=hint, code=ExitCode.CONFIG)
    for path in (REPO, REPO / "build.py"):
        # A readable copy of the checkout would be outdated after the next `git pull`.
        if not path.stat().st_mode & stat.S_IROTH:
            message = f"only root can read {path}, but the user in a lab must read it too"
            hint = f"chmod -R go+rX {REPO}"
            raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    packages.ensure_lab_packages(assume_yes=assume_yes)
    lab_state.sweep()
    with contextlib.ExitStack() as stack:
        # Bound first, to report a port in use immediately.
        listening = {stack.enter_context(_listen(port)): publish[port] for port in publish}
        folder, lock = lab_state.claim(name)
        stack.callback(lab_state.discard, folder)
        life = stack.enter_context(contextlib.closing(_LifeLine()))
        # They are closed here after the supervisor has inherited them.
        with contextlib.ExitStack() as lent:
            lent.callback(os.close, lock)
            lent.callback(os.close, life.reader)
            tree = lab_rootfs.ensure()
            plan = lab_supervisor.Plan(
                name=name,
                folder=str(folder),
                tree=str(tree),
                cache=str(lab_rootfs.shared_cache()),
                checkout=str(REPO),
                life=life.reader,
                listening={sock.fileno(): port for sock, port in listening.items()},
                systemd=Path("/run/systemd/system").exists(),
            )
            used = lent.enter_context(lab_rootfs.in_use(tree))
            with step(f"Booting the lab {name}"):
                lab = _boot(plan, publish, life, keep=(lock, used, *plan.listening))
        for sock in listening:
            sock.close()
        yield lab, life


def _boot(
    plan: lab_supervisor.Plan, publish: Mapping[int, int], life: _LifeLine, keep: tuple[int, ...]
) -> Lab:
    folder = Path(plan.folder)
    with (folder / "keeper.log").open("w+") as log:
        # Otherwise an interrupt before the assignment would leave a supervisor that is not awaited.
        with interrupts_postponed():
            # `deploy.process` is not used: the supervisor of a kept lab outlives this process.
            keeper = life.keeper = subprocess.Popen(
                lab_supervisor.keeper_argv(plan),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(*keep, life.reader),
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONPATH": str(REPO / "src"), "LC_ALL": "C.UTF-8"},
            )
        try:
            record = lab_state.Record(
                plan.name, _inner(keeper), dict(publish), plan.tree, plan.checkout
            )
            lab_state.write(folder, record)
            lab = Lab(record)
            lab.wait_ready()
        except (DeployError, OSError):
            if keeper.poll() is None:
                raise
            log.seek(0)
            said = [line.strip() for line in log if line.strip()] or ["it printed nothing"]
            message = f"the lab {plan.name!r} cannot be started: {said[-1]}"
            raise DeployError(message, code=ExitCode.UNAVAILABLE) from None
    return lab


def _inner(keeper: subprocess.Popen[bytes]) -> int:
    """Return the process ID of the supervisor, a child of the `unshare` process."""
    while (inner := lab_processes.find_child(keeper.pid)) is None:
        if keeper.poll() is not None:
            message = "the lab's supervisor did not start"
            raise DeployError(message, code=ExitCode.UNAVAILABLE)
        time.sleep(_POLL_S)
    return inner


def _listen(port: int) -> socket.socket:
    """Listen on the host's loopback; raise DeployError if the port is in use or invalid."""
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        listening.close()
        told = error.strerror if isinstance(error, OSError) else None
        cause = told.lower() if told else str(error)
        message = f"cannot publish port {port} of this host: {cause}"
        hint = "stop the program that uses it, or publish another port"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None
    return listening
