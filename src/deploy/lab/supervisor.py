"""Process that owns a running lab: its machine, its network and its folder.

The supervisor is process 1 of a PID namespace and has its own mount namespace. When it exits, for
any reason, the kernel kills its child processes and removes its mounts. The supervisor also
removes the lab's folder; if it is killed, the next lab command does that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.host import cgroup as lab_cgroup
from deploy.lab import rootfs as lab_rootfs

if TYPE_CHECKING:
    from collections.abc import Sequence

KEEP = b"k"
"""Message on the lifeline, after which the lab outlives the command that started it."""
NSPAWN_REBOOT = 133
"""Exit code of systemd-nspawn when the machine requests a reboot."""
RESOLVER = "10.0.2.3"
"""Address of slirp4netns's DNS server, which forwards to the host's resolver."""

KUBE_CONF = "/etc/containers/lab-kube.conf"
"""Podman configuration in the lab for `podman kube play` on a host without cgroup controllers."""

_HALT_TIMEOUT_S = 5.0
"""Timeout of a halt in seconds, after which the lab is removed anyway."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Parameters of a supervisor.

    Attributes:
        tree: Path of the cached root file system.
        cache: Path of the folder that all labs share.
        life: Descriptor of the read end of the lifeline.
        listening: Ports in the lab by descriptor of the listening socket.
        systemd: Whether the host's systemd delegates control groups.
    """

    name: str
    folder: str
    tree: str
    cache: str
    checkout: str
    life: int
    listening: dict[int, int]
    systemd: bool


def keeper_argv(plan: Plan) -> list[str]:
    """Return the command that starts a supervisor."""
    contain = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    python = [sys.executable, "-m", __name__]
    return [*contain, "--mount-proc", *python, json.dumps(dataclasses.asdict(plan))]


def parse_plan(text: str) -> Plan:
    """Parse the JSON argument of a supervisor."""
    fields = json.loads(text)
    # JSON keys are text.
    fields["listening"] = {int(key): port for key, port in fields["listening"].items()}
    return Plan(**fields)


def nspawn_argv(plan: Plan) -> list[str]:
    """Return the command that boots the machine, to be run in the lab's folder."""
    binds = {"disk/home": "/home", "disk/containers": "/var/lib/containers"}
    binds |= {"disk/tmp": "/var/tmp", plan.cache: lab_rootfs.CACHE}  # noqa: S108 - in the lab
    folder = Path(plan.folder)
    return [
        "systemd-nspawn",
        f"--directory={folder / 'root'}",
        "--boot",
        "--register=no",
        *([] if plan.systemd else ["--keep-unit"]),
        f"--machine=todo-lab-{plan.name}",
        f"--hostname={plan.name}",
        "--private-users=no",
        f"--network-namespace-path={folder / 'netns'}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
        "--capability=all",
        "--system-call-filter=add_key keyctl bpf perf_event_open",
        *(f"--bind={_escaped(folder / source)}:{target}" for source, target in binds.items()),
        f"--bind-ro={_escaped(Path(plan.checkout))}:{lab_rootfs.CHECKOUT}",
    ]


def containers_conf(controllers: frozenset[str]) -> str:
    """Return Podman's configuration for a machine with the given cgroup controllers."""
    # Events of health checks would fill the journal, and no program in a lab reads them.
    events = "[engine]\nhealthcheck_events = false\n"
    if controllers >= lab_cgroup.WANTED:
        return events
    # Podman's default limit for every container fails without the controller.
    return f"{events}[containers]\npids_limit = 0\n"


def log_filter(controllers: frozenset[str]) -> str:
    """Return a drop-in for the user manager that filters log lines caused by the lab, or ""."""
    if "memory" in controllers:
        return ""
    # Without the controller, conmon logs two lines about a missing file for each health check.
    return "[Service]\nLogFilterPatterns=~/memory\\.events\n"


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:")


class _Keeper:
    """Supervisor of a lab; as process 1 it also reaps all orphaned processes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = Path(plan.folder)
        self._ended: dict[int, int] = {}
        self._machine = 0
        self._reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        # Only the command on the terminal handles Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> None:
        """Run the lab until it stops."""
        if not self._plan.systemd:
            lab_cgroup.enter(Path(self._plan.folder))
        self._mount()
        self._connect()
        self._machine = self._start(nspawn_argv(self._plan))
        kind = self._watch()
        if kind == "halt":
            os.kill(self._machine, signal.SIGTERM)
            self._wait(self._machine, _HALT_TIMEOUT_S)

    def clean(self) -> None:
        """Kill all processes of the lab and remove its folder."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # only in this namespace, except process 1
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        if not self._plan.systemd:
            lab_cgroup.leave()
            lab_cgroup.remove(Path(self._plan.folder))
        for mount in ("netns", "root"):
            # It is not mounted if the start failed earlier.
            subprocess.run(  # noqa: PLW1510 - failures are ignored
                ["umount", "--lazy", self._folder / mount], stderr=subprocess.DEVNULL
            )
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mount(self) -> None:
        # Otherwise systemd-nspawn leaves a folder on the host.
        runtime = "/run/systemd/nspawn" if self._plan.systemd else "/run"
        Path(runtime).mkdir(parents=True, exist_ok=True)
        self._call(["mount", "-t", "tmpfs", "-o", "mode=0755", "lab", runtime])
        disk = self._folder / "disk"
        for name, mode in (
            ("home", 0o755),
            ("containers", 0o755),
            ("tmp", 0o1777),
            ("upper", 0o755),
            ("work", 0o755),
            ("../root", 0o755),
        ):
            (disk / name).mkdir(parents=True)
            (disk / name).chmod(mode)
        shutil.copytree(Path(self._plan.tree) / "home", disk / "home", dirs_exist_ok=True)
        home = disk / "home" / lab_rootfs.USER
        for path in (home, *home.rglob("*")):
            os.chown(path, lab_rootfs.UID, lab_rootfs.UID, follow_symlinks=False)
        # Mount options cannot escape a comma or a colon in a path, hence the link.
        (self._folder / "lower").symlink_to(self._plan.tree)
        options = "lowerdir=lower,upperdir=disk/upper,workdir=disk/work"
        try:
            self._call(["mount", "-t", "overlay", "-o", options, "lab", "root"])
        except subprocess.CalledProcessError:
            # The folder's file system does not support overlays; a copy is only slower.
            self._call(["cp", "--archive", "--reflink=auto", f"{self._plan.tree}/.", "root"])
        self._write("etc/resolv.conf", f"nameserver {RESOLVER}\n")
        self._write("etc/hostname", f"{self._plan.name}\n")
        self._write("etc/hosts", f"127.0.0.1 localhost {self._plan.name}\n::1 localhost\n")
        # With a machine ID, systemd does not treat this boot as the first one.
        self._write("etc/machine-id", f"{os.urandom(16).hex()}\n")
        controllers = lab_cgroup.controllers()
        conf = containers_conf(controllers)
        self._write("etc/containers/containers.conf.d/10-lab.conf", conf)
        if not controllers >= lab_cgroup.WANTED:
            self._write(KUBE_CONF[1:], f'{conf}cgroups = "disabled"\n')
        filtering = log_filter(controllers)
        if filtering:
            self._write("etc/systemd/system/user@.service.d/lab.conf", filtering)

    def _write(self, path: str, content: str) -> None:
        target = self._folder / "root" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(content)

    def _connect(self) -> None:
        """Create the lab's network namespace and start slirp4netns and the port forwarding."""
        netns = self._folder / "netns"
        netns.touch()
        self._call(["unshare", f"--net={netns}", "true"])
        reader, writer = os.pipe()
        self._start(
            [
                "slirp4netns",
                "--configure",
                "--mtu=65520",
                "--disable-host-loopback",
                f"--ready-fd={writer}",
                "--netns-type=path",
                str(netns),
                "tap0",
            ],
            keep=(writer,),
        )
        os.close(writer)
        # No timeout is needed: if slirp4netns exits, the pipe is closed.
        if not os.read(reader, 1):
            message = "slirp4netns did not set up the lab's network"
            raise RuntimeError(message)
        os.close(reader)
        pairs = [f"{descriptor}:{port}" for descriptor, port in self._plan.listening.items()]
        if pairs:
            enter = [
                "nsenter",
                f"--net={netns}",
                "--",
                sys.executable,
                "-m",
                "deploy.lab.port_forward",
            ]
            self._start([*enter, *pairs], keep=tuple(self._plan.listening))

    def _watch(self) -> str:
        """Wait until the lab stops or must be stopped; restart the machine when it reboots.

        Return "gone" if the machine has stopped, otherwise how to stop it: "halt" or "kill".
        """
        life = [self._plan.life]
        while True:
            ready, _, _ = select.select([*life, self._reader], [], [])
            if self._reader in ready and signal.SIGTERM in os.read(self._reader, 512):
                return "halt"
            self._reap()
            if self._machine in self._ended:
                if self._ended.pop(self._machine) != NSPAWN_REBOOT:
                    return "gone"
                self._machine = self._start(nspawn_argv(self._plan))
            if life and life[0] in ready:
                if os.read(life[0], 1) != KEEP:
                    # The disk is not needed anymore, so a clean halt is unnecessary.
                    return "kill"
                life = []

    def _start(self, argv: Sequence[str], keep: tuple[int, ...] = ()) -> int:
        environment = {
            **os.environ,
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
        }
        # `process.run` would wait for the program, which runs until the lab stops.
        process = subprocess.Popen(
            argv, cwd=self._folder, stdin=subprocess.DEVNULL, pass_fds=keep, env=environment
        )
        process.returncode = 0  # `_reap` collects it
        return process.pid

    def _call(self, argv: Sequence[str]) -> None:
        subprocess.run(argv, cwd=self._folder, stdin=subprocess.DEVNULL, check=True)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._ended[pid] = os.waitstatus_to_exitcode(status)

    def _wait(self, pid: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while pid not in self._ended and (left_s := deadline - time.monotonic()) > 0:
            if select.select([self._reader], [], [], left_s)[0]:
                os.read(self._reader, 512)
            self._reap()


def main(argument: str) -> int:
    """Run a supervisor with a plan as JSON."""
    keeper = _Keeper(parse_plan(argument))
    try:
        keeper.run()
    finally:
        keeper.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
