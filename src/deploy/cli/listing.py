"""List of the commands, and handling of command lines that need no environment.

This module uses only the standard library, so that it reports a misspelled command or test tier
before an environment is created.
"""

from __future__ import annotations

import ast
import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import paths
from deploy.bootstrap import commands, switches
from deploy.bootstrap.entrypoint import write_output
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COMMANDS = (
    "image",
    "up",
    "down",
    "status",
    "config",
    "restart",
    "update",
    "rollback",
    "contract",
    "logs",
    "diagnose",
    "backup",
    "restore",
    "drill",
    "upgrade-db",
    "token",
    "mcp-token",
    "admin",
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
    "lint",
    "format",
    "dev",
    "doctor",
    "lock",
    "bench",
    "completion",
    "help",
    "version",
)
"""Command names: `some-name` is the class `SomeName` in the module `deploy.cli.some_name`."""

DEFAULT = "image"
PROGRAM = "build.py"
SUMMARY = "Build, run and test the todo backend."
_HELP = {"-h", "--help"}
_VERSION = {"-v", "--version"}


def answer(words: Sequence[str]) -> bool:
    """Print the help or the version if it is requested, and return whether it was.

    Raises:
        DeployError: A command, a switch or a test tier is unknown.
    """
    # No switch of this level takes a value, so the first other word is the command.
    at = next((at for at, word in enumerate(words) if not word.startswith("-")), len(words))
    word = words[at] if at < len(words) else DEFAULT
    rest = words[at + 1 :]
    if word not in COMMANDS:
        raise unknown(f"unknown command {word}", word, COMMANDS)
    if word == "help" and rest and rest[0] not in COMMANDS and not rest[0].startswith("-"):
        raise unknown(f"unknown command {rest[0]}", rest[0], COMMANDS)
    if word == "test":
        commands.split_tiers(rest)
    fault = switches.find_usage_problem(word, rest)
    if fault and fault.switch:
        program = " ".join((PROGRAM, *fault.command))
        raise unknown(f"unknown switch {fault.switch}", fault.switch, fault.names, program)
    if _HELP & set(words[:at]) or (word == "help" and not rest):
        write_output(render_help())
        return True
    if _VERSION & set(words[:at]) or (word == "version" and not rest):
        write_output(f"{PROGRAM} {version()}\n")
        return True
    return False


def unknown(message: str, word: str, names: Iterable[str], program: str = PROGRAM) -> DeployError:
    """Return the error for an unknown word, with the nearest name as a hint."""
    near = difflib.get_close_matches(word.partition("=")[0], list(names), n=1)
    hint = f"did you mean {near[0]}?" if near else f"see: python3 {program} --help"
    return DeployError(message, hint=hint, code=ExitCode.USAGE)


def version() -> str:
    """Return the version of the project."""
    project = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def describe(name: str) -> str:
    """Return the first line of a command's docstring, without importing the command."""
    source = Path(__file__).with_name(f"{switches.find_module(name)}.py")
    if not source.exists():
        return ""
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == switches.find_class(name):
            return (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
    return ""


def render_help() -> str:
    """Render the help of `build.py`: every command with its description."""
    width = max(map(len, COMMANDS))
    lines = [
        SUMMARY,
        "",
        f"Usage: python3 {PROGRAM} [--verbose] [COMMAND] [SWITCHES]",
        "",
        "Commands:",
        *(f"  {name:<{width}}  {describe(name)}" for name in COMMANDS),
        "",
        f"The default command is {DEFAULT}. Help for a command: python3 {PROGRAM} COMMAND --help",
        "",
        "Switches:",
        "  -h, --help     show this help",
        "  -v, --version  show the version",
        "  --verbose      show the programs that are run, and what they print",
        "",
    ]
    return "\n".join(lines)
