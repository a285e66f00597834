"""A throwaway Debian machine with systemd and Podman, on any host where this runs as root.

It has its own processes, mounts and network: several run side by side, each with the same
ports. Inside, the user `todo` has a running user manager, and the checkout is at
/srv/todo-backend.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import host, lab_cgroup, lab_keeper, lab_processes, lab_root, lab_state, tools
from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.progress import Step

_BOOT_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.1
_TOOLS = {
    "systemd-nspawn": "systemd-container",
    "slirp4netns": "slirp4netns",
    "nsenter": "util-linux",
}
_INHERITED = ("TERM", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_HOMES = {"root": "/root", lab_root.USER: f"/home/{lab_root.USER}"}


class Lab:
    """A lab that runs.

    Args:
        record: What its folder says about it.
    """

    def __init__(self, record: lab_state.Record) -> None:
        self._record = record
        self._pid = 0

    @property
    def name(self) -> str:
        """The lab's name, which is its host name too."""
        return self._record.name

    @property
    def publish(self) -> dict[int, int]:
        """Port on the host's loopback -> port on the lab's."""
        return dict(self._record.publish)

    @property
    def pid(self) -> int:
        """Process id, on this host, of the systemd inside; a reboot changes it.

        Raises:
            DeployError: The machine does not run.
        """
        if self._pid == 0 or not Path(f"/proc/{self._pid}").exists():
            found = lab_processes.find_inner_init(self._record.keeper)
            if found is None:
                message = f"the lab {self.name!r} does not run any more"
                raise DeployError(message, code=ExitCode.UNAVAILABLE)
            self._pid = found
        return self._pid

    @property
    def kube_env(self) -> dict[str, str]:
        """What `podman kube play` needs in its environment here; empty on an ordinary host."""
        if lab_cgroup.controllers() >= lab_cgroup.WANTED:
            return {}
        return {"CONTAINERS_CONF_OVERRIDE": lab_keeper.KUBE_CONF}

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = lab_root.USER,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> tools.Completed:
        """Run a program inside, as `tools.run` does here.

        Args:
            argv: The program and its arguments.
            user: `todo` or `root`.
            check: Whether an exit code other than 0 raises.
            timeout_s: Seconds after which the program is ended.
            stdin: Text for its standard input.
            env: Variables to add to the user's.

        Raises:
            ToolError: The program timed out, or failed with `check` set.
        """
        inner = self._argv(argv, user, env)
        return tools.run(inner, check=check, timeout_s=timeout_s, stdin=stdin)

    def stream(
        self,
        argv: Sequence[str],
        step: Step,
        *,
        timeout_s: float,
        user: str = lab_root.USER,
        env: Mapping[str, str] | None = None,
    ) -> tools.Completed:
        """Run a long program inside, as `tools.stream` does here."""
        return tools.stream(self._argv(argv, user, env), step, timeout_s=timeout_s)

    def interact(
        self,
        argv: Sequence[str],
        *,
        user: str = lab_root.USER,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program inside on this terminal and return its exit code."""
        return tools.interact(self._argv(argv, user, env))

    def shell(self, *, user: str = lab_root.USER) -> int:
        """Open a shell inside on this terminal and return its exit code."""
        # A terminal of the lab's own: the shell's job control does not work on one from outside.
        command = ["script", "--quiet", "--return", "--command", "bash -l", "/dev/null"]
        return self.interact(command, user=user)

    def netns_argv(self, argv: Sequence[str]) -> list[str]:
        """The command that runs a program of this host in the lab's network."""
        return ["nsenter", f"--target={self.pid}", "--net", "--", *argv]

    def reboot(self) -> None:
        """Boot the machine again, with the same disk, and wait until it is ready.

        Raises:
            DeployError: It did not come back.
        """
        before = self.pid
        self.run(["systemctl", "reboot"], user="root", check=False)
        deadline = time.monotonic() + _BOOT_TIMEOUT_S
        while lab_processes.find_inner_init(self._record.keeper) in (before, None):
            if time.monotonic() > deadline or not lab_state.is_running(self._folder):
                message = f"the lab {self.name!r} did not boot again"
                raise DeployError(message, code=ExitCode.UNAVAILABLE)
            time.sleep(_POLL_S)
        self._pid = 0
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the machine has booted and the user manager of `todo` runs.

        Raises:
            DeployError: It took longer than a minute, or the machine ended.
        """
        deadline = time.monotonic() + _BOOT_TIMEOUT_S
        while time.monotonic() < deadline:
            if lab_processes.find_inner_init(self._record.keeper) is not None:
                if self._is_up():
                    return
            elif not lab_state.is_running(self._folder):
                break
            time.sleep(_POLL_S)
        log = self._folder / "keeper.log"
        said = log.read_text(errors="replace").split("\n")[-3:] if log.exists() else []
        message = f"the lab {self.name!r} did not become ready: {' '.join(said).strip()}"
        raise DeployError(message, code=ExitCode.UNAVAILABLE)

    def halt(self) -> None:
        """Shut the machine down, and wait until nothing of the lab is left."""
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._record.keeper, signal.SIGTERM)
            while lab_state.is_running(self._folder):
                if time.monotonic() > deadline:
                    os.kill(self._record.keeper, signal.SIGKILL)
                    break
                time.sleep(_POLL_S)
        lab_state.discard(self._folder)

    @property
    def _folder(self) -> Path:
        return lab_state.folder_of(self.name)

    def _is_up(self) -> bool:
        """Whether the system and the user's own manager have started all they should."""
        asked = (
            (["systemctl", "is-system-running", "--wait"], "root"),
            (["systemctl", "--user", "is-system-running", "--wait"], lab_root.USER),
        )
        for argv, user in asked:
            with contextlib.suppress(DeployError):
                state = self.run(argv, user=user, check=False, timeout_s=_BOOT_TIMEOUT_S)
                if state.stdout.strip() in {"running", "degraded"}:
                    continue
            return False
        return True

    def _argv(self, argv: Sequence[str], user: str, env: Mapping[str, str] | None) -> list[str]:
        variables = {**_environment(user), **(env or {})}
        spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        # nsenter waits for a program in another PID namespace. Were it to end by the Ctrl-C that
        # both get, nobody would wait for what the program does on its way out.
        return [
            "env",
            "--ignore-signal=INT,TERM",
            "nsenter",
            f"--target={self.pid}",
            *spaces,
            "--",
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--init-groups",
            "--",
            "env",
            "--default-signal=INT,TERM",
            "--ignore-environment",
            f"--chdir={_HOMES[user]}",
            *(f"{name}={value}" for name, value in variables.items()),
            *argv,
        ]


@contextlib.contextmanager
def throwaway(
    name: str | None = None, *, publish: Mapping[int, int] | None = None
) -> Iterator[Lab]:
    """A lab that ends with the block, or with this process, however that ends.

    Args:
        name: A name of its own when None.
        publish: Port on the host's loopback -> port on the lab's.

    Raises:
        DeployError: It cannot be started.
    """
    with _launched(name or f"run-{secrets.token_hex(4)}", publish or {}) as (lab, _):
        yield lab


def start(name: str, *, publish: Mapping[int, int] | None = None) -> Lab:
    """Start a lab that runs until it is stopped.

    Raises:
        DeployError: One of that name runs already, a port is taken, or it cannot be started.
    """
    with _launched(name, publish or {}) as (lab, life):
        life.keep()
        return lab


def attach(name: str) -> Lab:
    """The running lab of that name.

    Raises:
        DeployError: There is none.
    """
    record = lab_state.find(name)
    if record is None:
        message = f"no lab {name!r} runs"
        hint = f"python3 build.py lab up {name}"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    return Lab(record)


def stop(name: str) -> None:
    """Halt a lab and remove everything it had.

    Raises:
        DeployError: There is none of that name.
    """
    lab_state.sweep()
    lab = attach(name)
    with step(f"Stopping the lab {name}"):
        lab.halt()


def list_labs() -> list[Lab]:
    """The labs that run, by name; what killed ones left behind is removed."""
    lab_state.sweep()
    return [Lab(record) for record in lab_state.records()]


class _LifeLine:
    """The pipe whose end, by whatever cause, tells a keeper that nobody needs its lab."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        self.keeper: subprocess.Popen[bytes] | None = None
        self._kept = False

    def keep(self) -> None:
        """Let the lab go on without this process."""
        os.write(self._writer, lab_keeper.KEEP)
        self._kept = True

    def close(self) -> None:
        """Let go; unless the lab was told to go on, wait until its keeper has ended."""
        os.close(self._writer)
        if self.keeper is None:
            return
        if self._kept:
            self.keeper.returncode = 0  # so that nobody warns of a process left behind
            return
        try:
            self.keeper.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()


@contextlib.contextmanager
def _launched(name: str, publish: Mapping[int, int]) -> Iterator[tuple[Lab, _LifeLine]]:
    """Start a lab, which ends with the block unless its life line is told otherwise."""
    _require(_TOOLS)
    lab_state.sweep()
    with contextlib.ExitStack() as stack:
        # Bound before anything else: a port that is taken costs no time.
        listening = {stack.enter_context(_listen(port)): publish[port] for port in publish}
        folder, lock = lab_state.claim(name)
        stack.callback(lab_state.discard, folder)
        life = stack.enter_context(contextlib.closing(_LifeLine()))
        # What the keeper alone shall hold once it is there.
        with contextlib.ExitStack() as lent:
            lent.callback(os.close, lock)
            lent.callback(os.close, life.reader)
            tree = lab_root.ensure()
            plan = lab_keeper.Plan(
                name=name,
                folder=str(folder),
                tree=str(tree),
                cache=str(lab_root.shared_cache()),
                checkout=str(REPO),
                life=life.reader,
                listening={sock.fileno(): port for sock, port in listening.items()},
                systemd=Path("/run/systemd/system").exists(),
            )
            used = lent.enter_context(lab_root.in_use(tree))
            with step(f"Booting the lab {name}"):
                lab = _boot(plan, publish, life, keep=(lock, used, *plan.listening))
        for sock in listening:
            sock.close()
        yield lab, life


def _boot(
    plan: lab_keeper.Plan, publish: Mapping[int, int], life: _LifeLine, keep: tuple[int, ...]
) -> Lab:
    """Start the keeper and wait until its machine is ready."""
    folder = Path(plan.folder)
    with (folder / "keeper.log").open("w+") as log:
        # Not through tools.py: it outlives this process when the lab is to stay.
        keeper = life.keeper = subprocess.Popen(
            lab_keeper.keeper_argv(plan),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(*keep, life.reader),
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(REPO / "src"), "LC_ALL": "C.UTF-8"},
        )
        try:
            while (inner := lab_processes.find_child(keeper.pid)) is None:
                if keeper.poll() is not None:
                    break
                time.sleep(_POLL_S / 10)
            record = lab_state.Record(plan.name, inner or 0, dict(publish), plan.tree)
            lab_state.write(folder, record)
            lab = Lab(record)
            lab.wait_ready()
        except (DeployError, OSError):
            if keeper.poll() is None:
                raise
            log.seek(0)
            said = [line.strip() for line in log if line.strip()] or ["it said nothing"]
            message = f"the lab {plan.name!r} cannot be started: {said[-1]}"
            raise DeployError(message, code=ExitCode.UNAVAILABLE) from None
    return lab


def _listen(port: int) -> socket.socket:
    """A socket that listens on this host's loopback.

    Raises:
        DeployError: The port is taken, or not one that this user may have.
    """
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        listening.close()
        message = f"port {port} of this host cannot be published: {error}"
        hint = "stop what uses it, or publish another one"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG) from None
    return listening


def _require(needed: Mapping[str, str]) -> None:
    if os.geteuid() != 0:
        message = "a lab needs root"
        raise DeployError(message, hint="sudo python3 build.py lab …", code=ExitCode.CONFIG)
    missing = sorted({package for tool, package in needed.items() if tools.find(tool) is None})
    if missing:
        host.ensure_packages(missing, assume_yes=True)


def _environment(user: str) -> dict[str, str]:
    """The variables that a log-in of this user would have, and the way to the network."""
    variables = {
        "HOME": _HOMES[user],
        "LANG": "C.UTF-8",
        "LOGNAME": user,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SHELL": "/bin/bash",
        # Large files do not belong into the memory that /tmp is made of.
        "TMPDIR": "/var/tmp",  # noqa: S108 - the lab's own
        "USER": user,
    }
    if user == lab_root.USER:
        runtime = f"/run/user/{lab_root.UID}"
        variables["XDG_RUNTIME_DIR"] = runtime
        variables["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
        variables["XDG_CACHE_HOME"] = lab_root.CACHE
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return variables | inherited
