"""`build.py lab`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from plumbum import cli

from deploy import command_hints
from deploy.bootstrap.entrypoint import write_output
from deploy.cli.command import Command, usage
from deploy.errors import DeployError, ExitCode
from deploy.host import volumes
from deploy.lab import manager
from deploy.lab import state as lab_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plumbum.cli.application import SwitchParseInfo

    from deploy.host.volumes import Volume

_PORTS = range(1, 65536)


class Lab(Command):
    """A throwaway Debian 13 with systemd and Podman (needs root)."""


@Lab.subcommand("up")
class LabUp(Command):
    """Start a lab that runs until `lab down`."""

    assume_yes = cli.Flag("--yes", help="install missing Debian packages")
    _publish: tuple[str, ...] = ()

    @cli.switch("--publish", str, list=True, argname="HOST:LAB")
    def publish(self, pairs: list[str]) -> None:
        """Forward a port of this host's loopback to a port of the lab's; repeatable."""
        self._publish = tuple(pairs)

    def main(self, name: str = command_hints.DEFAULT_LAB) -> int:
        """Start the lab NAME."""
        publish = dict(_pair(text) for text in self._publish)
        started = manager.start(name, publish=publish, assume_yes=bool(self.assume_yes))
        write_output(f"{started.name} is running; to open a shell: build.py lab shell {name}\n")
        return 0


@Lab.subcommand("run")
class LabRun(Command):
    """Run a program in a lab and return its exit code: `lab run [NAME] -- PROGRAM …`.

    If no lab of that name is running, start a temporary one.
    """

    root = cli.Flag("--root", help="run as root instead of todo")
    assume_yes = cli.Flag("--yes", help="install missing Debian packages")
    _argv: tuple[str, ...] = ()

    def main(self, name: str = command_hints.DEFAULT_LAB) -> int:
        """Run the program in the lab NAME."""
        if not self._argv:
            message = "lab run requires a program after --"
            raise usage(message, str(self.PROGNAME))
        with contextlib.ExitStack() as stack:
            running = lab_state.find(name)
            there = (
                manager.attach(name)
                if running
                else stack.enter_context(manager.throwaway(assume_yes=bool(self.assume_yes)))
            )
            return there.interact(self._argv, user="root" if self.root else "todo")

    def _parse_args(
        self, argv: list[str]
    ) -> tuple[dict[Callable[..., None], SwitchParseInfo], list[str]]:
        # plumbum does not keep the position of --.
        if "--" in argv:
            at = argv.index("--")
            self._argv = tuple(argv[at + 1 :])
            argv = argv[:at]
        return super()._parse_args(argv)


@Lab.subcommand("shell")
class LabShell(Command):
    """Open a shell in a running lab."""

    root = cli.Flag("--root", help="as root instead of todo")

    def main(self, name: str = command_hints.DEFAULT_LAB) -> int:
        """Open a shell in the lab NAME."""
        return manager.attach(name).shell(user="root" if self.root else "todo")


@Lab.subcommand("down")
class LabDown(Command):
    """Halt a lab and delete everything in it; asks for confirmation if it contains data."""

    all = cli.Flag("--all", help="all running labs")
    assume_yes = cli.Flag("--yes", help="do not ask for confirmation")

    def main(self, name: str = command_hints.DEFAULT_LAB) -> int:
        """Halt the lab NAME."""
        ending = manager.list_labs() if self.all else [manager.attach(name)]
        data = {there.name: found for there in ending if (found := there.volumes)}
        if data and not self.assume_yes:
            confirm(data)
        for there in ending:
            manager.stop(there.name)
        return 0


@Lab.subcommand("list")
class LabList(Command):
    """List the running labs."""

    def main(self) -> int:
        """Print the name, ports and volumes of each lab."""
        for there in manager.list_labs():
            ports = ", ".join(f"127.0.0.1:{port} -> {to}" for port, to in there.publish.items())
            write_output(f"{there.name}\t{ports}\t{volumes.describe(there.volumes)}\n")
        return 0


def confirm(data: Mapping[str, Sequence[Volume]]) -> None:
    """Ask for confirmation before the volumes of labs are deleted; only `yes` confirms.

    Raises:
        DeployError: The answer was not `yes`, or standard input is not a terminal.
    """
    held = "; ".join(f"the lab {name} holds {volumes.describe(data[name])}" for name in data)
    if not sys.stdin.isatty():
        message = f"{held}; cannot ask for confirmation, because standard input is not a terminal"
        raise DeployError(message, hint="add --yes to confirm", code=ExitCode.USAGE)
    sys.stderr.write(f"{held[:1].upper()}{held[1:]}. Type yes to delete it: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise DeployError("nothing was deleted", code=ExitCode.FAILED)


def _pair(text: str) -> tuple[int, int]:
    host, _, inner = text.partition(":")
    if not all(part.isascii() and part.isdigit() and int(part) in _PORTS for part in (host, inner)):
        message = f"--publish {text} is invalid: write two port numbers, such as 8000:8000"
        raise usage(message, "build.py lab up")
    return int(host), int(inner)
