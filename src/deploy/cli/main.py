"""`build.py` itself: the list of its commands, none of which is imported before it is used."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from plumbum import cli

from deploy import paths
from deploy.cli.command import Command, strict, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from plumbum.cli.application import SwitchParseInfo

COMMANDS = (
    "image",
    "up",
    "down",
    "status",
    "config",
    "restart",
    "token",
    "install",
    "uninstall",
    "kube",
    "scan",
    "audit",
    "push",
    "sign",
    "verify",
    "lab",
    "test",
    "dev",
    "doctor",
    "lock",
    "bench",
)
"""`NAME` is the class `Name` in the module `deploy.cli.NAME`."""

DEFAULT = "image"


class Build(Command):
    """Build, run and test the todo backend."""

    PROGNAME = "build.py"
    VERSION = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["project"]["version"]

    @cli.switch(["-h", "--help"], overridable=True, group="Meta-switches")
    def help(self) -> None:
        """Print this help and quit."""
        sys.stdout.write(render_help())

    def main(self) -> None:
        """Without a command, build the image."""
        if self.nested_command is None:
            command = strict(self._subcommands[DEFAULT].get())
            self.nested_command = (command, [f"{self.PROGNAME} {DEFAULT}"])

    def _parse_args(
        self, argv: list[str]
    ) -> tuple[dict[Callable[..., None], SwitchParseInfo], list[str]]:
        # No switch of this level takes a value, so the first other word is the command.
        word = next((word for word in argv if not word.startswith("-")), DEFAULT)
        if word not in COMMANDS:
            unknown(f"unknown command {word}", word, COMMANDS, str(self.PROGNAME))
        return super()._parse_args(argv)


for _name in COMMANDS:
    Build.subcommand(_name, f"deploy.cli.{_name}.{_name.capitalize()}")


def describe(name: str) -> str:
    """What a command does: the first line of its class's docstring, read without importing it."""
    source = Path(__file__).with_name(f"{name}.py")
    if not source.exists():
        return ""
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == name.capitalize():
            return (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
    return ""


def render_help() -> str:
    """The help of `build.py`: every command with what it does."""
    width = max(map(len, COMMANDS))
    lines = [
        f"{Build.__doc__}",
        "",
        "Usage: python3 build.py [--verbose] [COMMAND] [SWITCHES]",
        "",
        "Commands:",
        *(f"  {name:<{width}}  {describe(name)}" for name in COMMANDS),
        "",
        f"Without a command: {DEFAULT}. More about one: python3 build.py COMMAND --help",
        "",
        "Switches:",
        "  -h, --help     this help",
        "  -v, --version  the version of the project",
        "  --verbose      show the programs that are run, and what they print",
        "",
    ]
    return "\n".join(lines)
