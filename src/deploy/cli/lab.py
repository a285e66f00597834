"""`build.py lab`: a throwaway Debian machine with systemd and Podman."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from plumbum import cli

from deploy.cli.command import Command, usage
from deploy.lab import labs
from deploy.lab import state as lab_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from plumbum.cli.application import SwitchParseInfo

_DEFAULT = "default"
_PORTS = range(1, 65536)


class Lab(Command):
    """A throwaway Debian 13 with systemd and Podman (needs root)."""


@Lab.subcommand("up")
class LabUp(Command):
    """Start a lab that runs until `lab down`."""

    _publish: tuple[str, ...] = ()

    @cli.switch("--publish", str, list=True, argname="HOST:LAB")
    def publish(self, pairs: list[str]) -> None:
        """Reach a port of the lab's loopback through a port of this host's; repeatable."""
        self._publish = tuple(pairs)

    def main(self, name: str = _DEFAULT) -> int:
        """Start the lab NAME."""
        started = labs.start(name, publish=dict(_pair(text) for text in self._publish))
        sys.stdout.write(f"{started.name} runs; a shell in it: build.py lab shell {name}\n")
        return 0


@Lab.subcommand("run")
class LabRun(Command):
    """Run a program in a lab and return its exit code: `lab run [NAME] -- PROGRAM …`.

    Without a running lab of that name, in one that starts for it and goes with it.
    """

    root = cli.Flag("--root", help="run as root rather than as todo")
    _argv: tuple[str, ...] = ()

    def main(self, name: str = _DEFAULT) -> int:
        """Run the program in the lab NAME."""
        if not self._argv:
            message = "lab run needs a program behind --"
            raise usage(message, str(self.PROGNAME))
        with contextlib.ExitStack() as stack:
            running = lab_state.find(name)
            there = labs.attach(name) if running else stack.enter_context(labs.throwaway())
            return there.interact(self._argv, user="root" if self.root else "todo")

    def _parse_args(
        self, argv: list[str]
    ) -> tuple[dict[Callable[..., None], SwitchParseInfo], list[str]]:
        # plumbum forgets where the -- was.
        if "--" in argv:
            at = argv.index("--")
            self._argv = tuple(argv[at + 1 :])
            argv = argv[:at]
        return super()._parse_args(argv)


@Lab.subcommand("shell")
class LabShell(Command):
    """Open a shell in a running lab."""

    root = cli.Flag("--root", help="as root rather than as todo")

    def main(self, name: str = _DEFAULT) -> int:
        """Open a shell in the lab NAME."""
        return labs.attach(name).shell(user="root" if self.root else "todo")


@Lab.subcommand("down")
class LabDown(Command):
    """Halt a lab and remove everything it had."""

    all = cli.Flag("--all", help="all labs that run")

    def main(self, name: str = _DEFAULT) -> int:
        """Halt the lab NAME."""
        for each in [there.name for there in labs.list_labs()] if self.all else [name]:
            labs.stop(each)
        return 0


@Lab.subcommand("list")
class LabList(Command):
    """List the labs that run."""

    def main(self) -> int:
        """Print a line for each."""
        for there in labs.list_labs():
            ports = ", ".join(f"127.0.0.1:{port} -> {to}" for port, to in there.publish.items())
            sys.stdout.write(f"{there.name}\t{ports}\n")
        return 0


def _pair(text: str) -> tuple[int, int]:
    host, _, inner = text.partition(":")
    if not all(part.isascii() and part.isdigit() and int(part) in _PORTS for part in (host, inner)):
        message = f"--publish {text} is wrong: two port numbers are needed, as in 8000:8000"
        raise usage(message, "build.py lab up")
    return int(host), int(inner)
