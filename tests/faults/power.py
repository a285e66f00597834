"""Power cuts for a lab: its users' files lie on a disk that loses what was not flushed.

/home of the lab (the stack's volumes with the database, Podman's storage, units and secrets) is an
ext4 on a loop device on a `volatile_disk`. The rest of the lab (/usr, /etc, /var) lies on this
host's disk, whose cache no cut of a lab can empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process
from deploy.lab import state as lab_state
from tests.faults.volatile_disk import BLOCK
from tests.system.stack_in_lab import open_machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.lab.manager import Lab
    from tests.system.stack_in_lab import Stack

_PROGRAM = Path(__file__).with_name("volatile_disk.py")
_SIZE = 16 * 1024**3
"""Of the disk; its file is sparse."""
_WITHIN_S = 300.0
_REBOOT = "import ctypes;ctypes.CDLL(None).reboot(0x01234567)"
"""The kernel kills every process of the machine, and systemd-nspawn boots it again."""
_SIGKILL = 1 << (signal.SIGKILL - 1)
_EXITING = 4
"""PF_EXITING in the flags of /proc/PID/stat."""


@contextlib.contextmanager
def open_machine_with_power() -> Iterator[tuple[Stack, Power]]:
    """A lab without the stack whose /home loses what was not flushed when the power is cut."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.ExitStack() as after,  # the machine holds the disk until it has ended
        open_machine() as stack,
    ):
        power = Power(stack.lab, Path(folder))
        after.callback(power.close)
        power.attach()
        yield stack, power


class Power:
    """The power supply of a lab with such a disk.

    Args:
        lab: The lab, booted already; it is booted again with the disk.
        folder: For the disk's image.
    """

    def __init__(self, lab: Lab, folder: Path) -> None:
        record = lab_state.find(lab.name)
        assert record is not None
        self._lab = lab
        self._keeper = record.keeper
        self._home = lab_state.folder_of(lab.name) / "disk" / "home"
        self._image = folder / "image"
        self._file = folder / "disk"
        self._server: subprocess.Popen[str] | None = None
        self._loop = ""
        self._seed = 0
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        self._file.touch()

    def attach(self) -> None:
        """Move /home to the disk, and boot the lab with it."""
        self._serve()
        process.run(["mkfs.ext4", "-q", self._loop], timeout_s=_WITHIN_S)
        fresh = self._home.with_name("fresh")
        fresh.mkdir()
        self._run_in_keeper("mount", self._loop, str(fresh))
        self._run_in_keeper("cp", "--archive", f"{self._home}/.", str(fresh))
        self._run_in_keeper("mount", "--move", str(fresh), str(self._home))
        self._lab.reboot()

    def cut(self) -> dict[str, int]:
        """Cut the power, and boot from what is left.

        Returns:
            `unflushed` and `lost`: how many blocks were in the disk's cache, and are gone.
        """
        assert self._server is not None
        assert self._server.stdout is not None
        machine = self._lab.pid
        # Otherwise it would boot the machine before the disk is there again.
        os.kill(self._keeper, signal.SIGSTOP)
        try:
            self._server.send_signal(signal.SIGUSR1)
            found: dict[str, int] = json.loads(self._server.stdout.readline())
            enter = ["nsenter", f"--target={machine}", "--pid", "--"]
            process.run([*enter, sys.executable, "-c", _REBOOT], check=False)
            wait_until(lambda: _is_doomed(machine), _WITHIN_S, "killed")
            self._server.send_signal(signal.SIGUSR2)
            wait_until(lambda: not Path(f"/proc/{machine}").exists(), _WITHIN_S, "ended")
            self._run_in_keeper("umount", str(self._home))
            self.close()
            self._serve()
            self._run_in_keeper("mount", self._loop, str(self._home))
        finally:
            os.kill(self._keeper, signal.SIGCONT)
        return found

    def close(self) -> None:
        """Remove the disk that is not mounted any more; its image stays."""
        if self._server is None:
            return
        process.run(["losetup", "--detach", self._loop])
        process.run(["umount", str(self._file)])
        # A machine that booted meanwhile has a copy of the mount, so it would not end by itself.
        self._server.terminate()
        self._server.communicate(timeout=_WITHIN_S)
        self._server = None

    def _serve(self) -> None:
        """Attach the image as a disk."""
        argv = [sys.executable, str(_PROGRAM), str(self._image), str(self._file), str(self._seed)]
        self._seed += 1
        self._server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "mounted\n"
        sectors = f"--sector-size={BLOCK}"
        found = process.run(["losetup", "--find", "--show", sectors, str(self._file)])
        self._loop = found.stdout.strip()

    def _run_in_keeper(self, *argv: str) -> None:
        """Run a program where the lab's disk is mounted."""
        enter = ["nsenter", f"--target={self._keeper}", "--mount", "--"]
        process.run([*enter, *argv], timeout_s=_WITHIN_S)


def _is_doomed(machine: int) -> bool:
    """Return whether no process of the machine will run another instruction of its program."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int(_find_stat(int(folder.name))[1])
            children.setdefault(parent, []).append(int(folder.name))
    left = [machine]
    while left:
        pid = left.pop()
        left += children.get(pid, [])
        with contextlib.suppress(OSError):
            state, _, *_, flags = _find_stat(pid)[:7]
            status = Path(f"/proc/{pid}/status").read_text()
            pending = [int(line.split()[1], 16) for line in status.splitlines() if "Pnd:" in line]
            killed = any(each & _SIGKILL for each in pending)
            if not killed and state not in "ZX" and not int(flags) & _EXITING:
                return False
    return True


def _find_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the program's name: state, parent, ..., flags."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
