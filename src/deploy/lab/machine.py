"""A running lab: programs, shells, reboot and shutdown."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.host import cgroup as lab_cgroup
from deploy.host import volumes
from deploy.lab import processes as lab_processes
from deploy.lab import rootfs as lab_rootfs
from deploy.lab import state as lab_state
from deploy.lab import supervisor as lab_supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.progress import Step

_BOOT_TIMEOUT_S = 600.0
"""Timeout of a boot in seconds; on an idle host a boot takes 3 s."""
_STOP_TIMEOUT_S = 600.0
"""Timeout of a stop in seconds; halting is quick, but removing many images takes longer."""
_POLL_S = 0.1
_INHERITED = (
    *("TERM", "NO_COLOR"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY"),
)
_HOMES = {"root": "/root", lab_rootfs.USER: f"/home/{lab_rootfs.USER}"}


class Lab:
    """A running lab."""

    def __init__(self, record: lab_state.Record) -> None:
        self._record = record
        self._pid = 0

    @property
    def name(self) -> str:
        """Name of the lab, also its host name."""
        return self._record.name

    @property
    def publish(self) -> dict[int, int]:
        """Ports on the lab's loopback by port on the host's loopback."""
        return dict(self._record.publish)

    @property
    def checkout(self) -> str:
        """Path on the host of the checkout that is mounted in the lab."""
        return self._record.checkout

    @property
    def volumes(self) -> list[volumes.Volume]:
        """Podman volumes in the lab, with their paths on the host."""
        disk = self._folder / "disk"
        homes = (disk / "home").glob("*/.local/share/containers/storage/volumes")
        found = [one for folder in sorted(homes) for one in volumes.scan(folder)]
        return found + volumes.scan(disk / "containers" / "storage" / "volumes")

    @property
    def pid(self) -> int:
        """Process ID on the host of the lab's systemd, which a reboot changes.

        Raises:
            DeployError: The lab is no longer running.
        """
        if self._pid == 0 or not Path(f"/proc/{self._pid}").exists():
            found = lab_processes.find_inner_init(self._record.keeper)
            if found is None:
                message = f"the lab {self.name!r} is no longer running"
                raise DeployError(message, code=ExitCode.UNAVAILABLE)
            self._pid = found
        return self._pid

    @property
    def kube_env(self) -> dict[str, str]:
        """Environment variables that `podman kube play` needs on this host; usually empty."""
        if lab_cgroup.controllers() >= lab_cgroup.WANTED:
            return {}
        return {"CONTAINERS_CONF_OVERRIDE": lab_supervisor.KUBE_CONF}

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = lab_rootfs.USER,
        check: bool = True,
        timeout_s: float = 600.0,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> process.Completed:
        """Run a program in the lab like `process.run`, as the user `todo` or `root`."""
        inner = self.argv(argv, user=user, env=env)
        with self._replayable(argv):
            return process.run(inner, check=check, timeout_s=timeout_s, stdin=stdin)

    def stream(
        self,
        argv: Sequence[str],
        step: Step,
        *,
        timeout_s: float,
        user: str = lab_rootfs.USER,
        env: Mapping[str, str] | None = None,
    ) -> process.Completed:
        """Run a long program in the lab like `process.stream`."""
        inner = self.argv(argv, user=user, env=env)
        with self._replayable(argv):
            return process.stream(inner, step, timeout_s=timeout_s)

    def interact(
        self,
        argv: Sequence[str],
        *,
        user: str = lab_rootfs.USER,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program in the lab on this terminal and return its exit code."""
        return process.interact(self.argv(argv, user=user, env=env))

    def shell(self, *, user: str = lab_rootfs.USER) -> int:
        """Run a shell in the lab on this terminal, or with a script from standard input."""
        if not os.isatty(0):
            return self.interact(["bash", "-l"], user=user)
        # Job control requires a terminal of the lab itself.
        command = ["script", "--quiet", "--return", "--command", "bash -l", "/dev/null"]
        return self.interact(command, user=user)

    def argv(
        self,
        argv: Sequence[str],
        *,
        user: str = lab_rootfs.USER,
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the host command that runs a program in the lab as one of its users."""
        variables = {**_environment(user), **(env or {})}
        spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        # Both processes receive Ctrl-C. nsenter must ignore it, because it waits for the program,
        # which may have to clean up.
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

    def netns_argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs a host program in the lab's network namespace."""
        return ["nsenter", f"--target={self.pid}", "--net", "--", *argv]

    def reboot(self) -> None:
        """Reboot the machine with the same disk and wait until it is ready, as in `wait_ready`."""
        before = self.pid
        self.run(["systemctl", "reboot"], user="root", check=False)
        deadline = time.monotonic() + _BOOT_TIMEOUT_S
        while lab_processes.find_inner_init(self._record.keeper) in (before, None):
            if time.monotonic() > deadline or not lab_state.is_running(self._folder):
                message = f"the lab {self.name!r} did not reboot"
                raise DeployError(message, code=ExitCode.UNAVAILABLE)
            time.sleep(_POLL_S)
        self._pid = 0
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the machine has booted and the user manager of `todo` is running.

        Raises:
            DeployError: The boot took more than ten minutes, or the machine stopped.
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
        """Shut down the machine and wait until the lab is removed."""
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

    @contextlib.contextmanager
    def _replayable(self, argv: Sequence[str]) -> Iterator[None]:
        """Make errors refer to the program in the lab, not to the command that enters it."""
        try:
            yield
        except process.ToolError as error:
            error.message = error.message.replace("env", f"{argv[0]} (in a lab)", 1)
            if error.hint.startswith("to replay"):
                error.hint = f"to replay: build.py lab run {self.name} -- {shlex.join(argv)}"
            raise

    def _is_up(self) -> bool:
        """Return whether the system and the user manager have finished starting."""
        asked = (
            (["systemctl", "is-system-running", "--wait"], "root"),
            (["systemctl", "--user", "is-system-running", "--wait"], lab_rootfs.USER),
        )
        for argv, user in asked:
            with contextlib.suppress(DeployError):
                state = self.run(argv, user=user, check=False, timeout_s=_BOOT_TIMEOUT_S)
                if state.stdout.strip() in {"running", "degraded"}:
                    continue
            return False
        return True


def _environment(user: str) -> dict[str, str]:
    """Return the login environment of a user, with the host's proxy settings."""
    variables = {
        "HOME": _HOMES[user],
        "LANG": "C.UTF-8",
        "LOGNAME": user,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SHELL": "/bin/bash",
        # /tmp is in memory, which is too small for large files.
        "TMPDIR": "/var/tmp",  # noqa: S108 - the lab's own
        "USER": user,
    }
    if user == lab_rootfs.USER:
        runtime = f"/run/user/{lab_rootfs.UID}"
        variables["XDG_RUNTIME_DIR"] = runtime
        variables["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
        variables["XDG_CACHE_HOME"] = lab_rootfs.CACHE
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return variables | inherited
