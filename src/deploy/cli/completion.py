"""`build.py completion`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from deploy.bootstrap.entrypoint import write_output
from deploy.cli import completion_script, listing
from deploy.cli.command import Command, strict, unknown
from deploy.stack import admin

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADMIN_COMMAND = re.compile(r"^    (\w+) +(\S.*)$", re.MULTILINE)
_ADMIN_SWITCH = re.compile(r"^  (?:-\w, )?(--[\w-]+).*?(?:  +(\S.*))?$", re.MULTILINE)


class Completion(Command):
    """Print a script that completes commands and switches: for bash, zsh or fish.

    For this shell: source <(python3 build.py completion bash). For every shell: docs/operate.md
    """

    WORDS: ClassVar[Mapping[str, str]] = {
        shell: f"print the completion script for {shell}" for shell in completion_script.SHELLS
    }

    def main(self, shell: str) -> int:
        """Print the script for SHELL."""
        if shell not in completion_script.SHELLS:
            names = completion_script.SHELLS
            message = f"completion supports {', '.join(names)}, not {shell}"
            unknown(message, shell, names, str(self.PROGNAME))
        write_output(completion_script.render(shell, collect()))
        return 0


def collect() -> completion_script.Tree:
    """Import every command, and return all commands with their switches."""
    from deploy.cli.main import Build  # noqa: PLC0415 - circular import

    tree: completion_script.Tree = {}
    _collect(Build, (), tree)
    names = {name: listing.describe(name) for name in listing.COMMANDS}
    tree[()] = completion_script.Completions(names, tree[()].switches)
    tree["help",] = completion_script.Completions(names, tree["help",].switches)
    _collect_admin(tree)
    return tree


def _collect(command: type[Command], path: tuple[str, ...], tree: completion_script.Tree) -> None:
    application = command(path[-1] if path else listing.PROGRAM)
    switches = {
        f"--{name}": " ".join(str(found.help or "").split())
        for name, found in sorted(application._switches_by_name.items())  # noqa: SLF001 - no public attribute
        if len(name) > 1
    }
    nested = {
        name: strict(found.get())
        for name, found in application._subcommands.items()  # noqa: SLF001
    }
    words: Mapping[str, str] = getattr(command, "WORDS", {})
    if nested:
        words = {
            name: (each.__doc__ or "").partition("\n")[0].rstrip(".")
            for name, each in nested.items()
        }
    tree[path] = completion_script.Completions(words, switches)
    for name, each in nested.items():
        _collect(each, (*path, name), tree)


def _collect_admin(tree: completion_script.Tree) -> None:
    """Add the backend's commands and switches, parsed from their help."""
    words = dict(_ADMIN_COMMAND.findall(admin.get_help()))
    tree["admin",] = completion_script.Completions(words, tree["admin",].switches)
    for word in words:
        switches = dict(_ADMIN_SWITCH.findall(admin.get_help(word))) | {
            name: text for name, text in tree["admin",].switches.items() if name.endswith("lab")
        }
        tree["admin", word] = completion_script.Completions({}, switches)
