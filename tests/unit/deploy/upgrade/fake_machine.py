"""A machine of an upgrade in memory: volumes with writes, what systemd starts, and backups.

It can be killed at each place: before and after each thing that a call does.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy.errors import DeployError
from deploy.upgrade.machine import Copied

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD, NEW = ("17", "todo-data"), ("18", "todo-data-18-1")
DOWN = ("", "")


class KilledError(BaseException):
    """The program ends without any handler, as after SIGKILL."""


@dataclasses.dataclass
class FakeMachine:
    """A machine with two volumes.

    Attributes:
        fails: The call that fails, once.
        interrupted: The call during which Ctrl-C comes.
        killed: The call before which the program is killed.
        dies_at: The number of the place at which it is killed.
        changes: What the running database has other than at the switch, besides its writes.
        calls: What was done.
        volumes: Volume -> what was written to it.
        installed: Version and volume of the units.
        held: What is pinned before them.
        latest: The version of the image that the units name.
        images: Version -> that of the image which is kept under its name.
        loaded: What systemd has read, and starts after a crash.
        running: What runs.
        backups: Version and time of each backup, in the folder.
        left: Folder beside it -> the same.
        now: The time, which every name takes.
    """

    fails: str = ""
    interrupted: str = ""
    killed: str = ""
    dies_at: int = 0
    changes: list[str] = dataclasses.field(default_factory=list)
    calls: list[str] = dataclasses.field(default_factory=list)
    volumes: dict[str, list[str]] = dataclasses.field(default_factory=lambda: {OLD[1]: []})
    installed: tuple[str, str] = OLD
    held: tuple[str, str] | None = None
    latest: str = "17"
    images: dict[str, str] = dataclasses.field(default_factory=lambda: {"18": "18"})
    loaded: tuple[str, str] = OLD
    running: tuple[str, str] = OLD
    is_writable: bool = True
    is_killed: bool = False
    has_backups_on: bool = True
    backups: list[tuple[str, int]] = dataclasses.field(
        default_factory=lambda: [("17", 0), ("17", 1)]
    )
    left: dict[str, list[tuple[str, int]]] = dataclasses.field(default_factory=dict)
    now: int = 1
    _places: int = 0

    @property
    def starts(self) -> tuple[str, str]:
        """Return the services that the next start of the machine starts."""
        return self.held or self.installed

    # What happens besides the program.

    def reboot(self) -> None:
        self.loaded = self.starts
        self.crash()

    def crash(self) -> None:
        """The server ends, and systemd starts it again."""
        self.running, self.is_writable = self.loaded, True

    def write(self, text: str) -> bool:
        """A write of a client; whether it is acknowledged."""
        if self.running == DOWN or not self.is_writable:
            return False
        self.volumes[self.running[1]].append(text)
        return True

    def back_up(self) -> None:
        """A backup of a timer, which refuses a folder with those of another database."""
        if self.running != DOWN and {major for major, _ in self.backups} <= {self.running[0]}:
            self.backups.append((self.running[0], self.make_time()))

    def make_time(self) -> int:
        self.now += 1
        return self.now

    def new_stamp(self) -> str:
        return str(self.make_time())

    def revive(self) -> None:
        """Let another program do the rest."""
        self.killed, self.dies_at, self.is_killed, self._places = "", 0, False, 0

    def pass_place(self) -> None:
        """A place at which the program may be killed."""
        self._places += 1
        if self._places == self.dies_at:
            # A kill runs no handler: whatever one would do in this test does nothing.
            self.is_killed = True
        if self.is_killed:
            raise KilledError

    # What the program does.

    def _call(self, name: str) -> None:
        if name == self.killed:
            self.is_killed = True
        self.pass_place()
        self.calls.append(name)
        if name == self.interrupted:
            self.interrupted = ""
            raise KeyboardInterrupt
        if name == self.fails:
            self.fails = ""
            raise DeployError(name)

    def _load(self) -> None:
        self.pass_place()
        self.loaded = self.starts
        self.pass_place()

    def new_volume_name(self) -> str:
        return f"todo-data-18-{len(self.volumes)}"

    def current_volume(self) -> str:
        return self.installed[1]

    def has_volume(self, name: str) -> bool:
        return name in self.volumes

    def remove_volume(self, name: str) -> None:
        self._call("remove_volume")
        assert name not in {self.starts[1], self.running[1]}
        self.volumes.pop(name, None)
        self.pass_place()

    def refuse_writes(self) -> None:
        self._call("refuse_writes")
        if self.running == DOWN:
            raise DeployError("no such container")
        self.is_writable = False
        self.pass_place()

    def accept_writes(self) -> None:
        self._call("accept_writes")
        self.is_writable = True
        self.pass_place()

    def copy(self, volume: str) -> Copied:
        assert not self.is_writable
        self.volumes[volume] = []
        self._call("copy")
        self.volumes[volume] = [*self.volumes[self.running[1]]]
        self.pass_place()
        return Copied({"task": "|".join(self.volumes[volume])}, 1, 1000, 1.0)

    def find_changes(self, content: Mapping[str, str]) -> list[str]:
        assert not self.is_writable
        self._call("find_changes")
        differs = "|".join(self.volumes[self.running[1]]) != content["task"]
        return [*self.changes, *(["task: 1 -> 2 rows"] if differs else [])]

    def serves(self, major: str) -> bool:
        return self.running[0] == major

    def keep_image(self, major: str) -> None:
        self._call("keep_image")
        assert self.latest == major
        self.images[major] = major
        self.pass_place()

    def hold(self, major: str, volume: str) -> None:
        self._call("hold")
        assert self.images.get(major) == major
        self.held = (major, volume)
        self._load()

    def is_held(self) -> bool:
        return self.held is not None

    def point(self, major: str, volume: str) -> None:
        self._call("point")
        # One file after the other.
        self.installed = (self.installed[0], volume)
        self.pass_place()
        self.installed = (major, volume)
        self._load()
        self.latest = self.images[major]
        self.pass_place()

    def release(self) -> None:
        self._call("release")
        self.held = None
        self._load()

    def restart(self) -> str:
        self._call("restart")
        self.loaded = self.starts
        self.crash()
        self.pass_place()
        return "http://127.0.0.1:8000"

    def wait(self) -> str:
        self._call("wait")
        return "http://127.0.0.1:8000"

    def stop_backups(self) -> None:
        self._call("stop_backups")
        self.has_backups_on = False
        self.pass_place()

    def resume_backups(self) -> None:
        self._call("resume_backups")
        self.has_backups_on = self.running != DOWN
        self.pass_place()

    def set_apart(self, left: str) -> None:
        self._call("set_apart")
        self.has_backups_on = False
        until = int(left)
        for each in [each for each in self.backups if each[1] < until]:
            self.pass_place()
            self.left.setdefault(left, []).append(each)
            self.backups.remove(each)
        self.pass_place()

    def settle(self, left: str) -> None:
        self._call("settle")
        self.set_apart(left)
        self.has_backups_on = True
        self.pass_place()
        self.back_up()
        self.pass_place()
