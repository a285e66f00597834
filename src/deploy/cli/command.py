"""Base class of the `build.py` commands: short usage errors and --verbose."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from plumbum import cli
from plumbum.cli.application import (
    Application,
    ShowCompletion,
    ShowHelp,
    ShowHelpAll,
    ShowVersion,
    SwitchParseInfo,
)
from plumbum.cli.switches import (
    PositionalArgumentsError,
    SwitchError,
    UnknownSwitch,
    WrongArgumentType,
)

from deploy.cli import listing
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_REQUESTS = (ShowHelp, ShowHelpAll, ShowVersion, ShowCompletion)


class Command(cli.Application):
    """Application whose usage errors are one line each, raised as DeployError.

    plumbum would print its help instead, and silently treat a BrokenPipeError or EINVAL from
    anywhere inside a command as a closed pipe.
    """

    SUBCOMMAND_HELPMSG = False

    @cli.switch("--verbose", group="Meta-switches", overridable=True)
    def verbose(self) -> None:
        """Show the programs that are run, and what they print."""
        show_log()

    @classmethod
    def start(cls, argv: Sequence[str]) -> int:
        """Run with these arguments, the program's name first, and return the exit code."""
        code: int = cls.run(list(argv), exit=False)[1]
        return code

    @classmethod
    def run(cls, argv: list[str] | None = None, *, exit: bool = True) -> Any:  # noqa: A002, ANN401
        """Run like plumbum's method, but without its handling of broken pipes."""
        arguments = list(sys.argv if argv is None else argv)
        instance, code = cls(arguments.pop(0))._parse_and_dispatch(arguments)  # noqa: SLF001 - its own class
        if exit:
            sys.exit(code)
        return instance, code

    def _parse_args(
        self, argv: list[str]
    ) -> tuple[dict[Callable[..., None], SwitchParseInfo], list[str]]:
        try:
            parsed = super()._parse_args(argv)
        except SwitchError as error:
            self._refuse(error)
        if self.nested_command:
            command, arguments = self.nested_command
            self.nested_command = (strict(command), arguments)
        return parsed

    def _validate_args(
        self, swfuncs: dict[Callable[..., Any], SwitchParseInfo], tailargs: Sequence[str]
    ) -> tuple[list[tuple[Callable[..., Any], tuple[Any, ...]]], list[str]]:
        try:
            validated = super()._validate_args(swfuncs, tailargs)
        except _REQUESTS:
            raise
        except SwitchError as error:
            self._refuse(error)
        if self._subcommands and not self.nested_command and _only_dispatches(self):
            self._choose(tailargs)
        return validated

    def _choose(self, words: Sequence[str]) -> NoReturn:
        names = list(self._subcommands)
        if words:
            unknown(f"unknown subcommand {words[0]}", words[0], names, str(self.PROGNAME))
        raise usage(f"{self.PROGNAME} requires a subcommand: {', '.join(names)}", "")

    def _refuse(self, error: SwitchError) -> NoReturn:
        text = " ".join(str(error).split())
        if isinstance(error, PositionalArgumentsError):
            # plumbum's text ends with a Python list.
            text = text.partition(", got ")[0]
        if isinstance(error, WrongArgumentType):
            # plumbum's text contains the representation of a Python function.
            reason = str(error.__context__)
            reason = "not a whole number" if "invalid literal" in reason else reason
            name = text.split(" expected to be ")[0].removeprefix("Argument of ")
            if name in self._switches_by_name:
                # Name the switch by its longest name.
                name = f"--{max(self._switches_by_name[name].names, key=len)}"
            text = f"{name} is {reason}" if reason.startswith("not ") else f"{name}: {reason}"
        if isinstance(error, UnknownSwitch):
            names = [f"--{name}" for name in self._switches_by_name if len(name) > 1]
            unknown(text, text.rsplit(maxsplit=1)[-1], names, str(self.PROGNAME))
        raise usage(text[:1].lower() + text[1:], str(self.PROGNAME))


def _only_dispatches(command: Application) -> bool:
    return type(command).main is Application.main


# --help is enough, and plumbum's completion would import every command.
Command.unbind_switches("--help-all", "--completions")


def strict(command: type[Application]) -> type[Command]:
    """Return the command as a subclass of `Command`, for its error handling."""
    if issubclass(command, Command):
        return command
    return type(command.__name__, (Command, command), {"__doc__": command.__doc__})


def show_log() -> None:
    """Write this program's whole log to standard error."""
    logger = logging.getLogger("deploy")
    if not logger.handlers:
        # On a terminal, clear the line that a step may have drawn.
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(f"{clear}  %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


def usage(message: str, program: str) -> DeployError:
    """Return the error for an invalid command line."""
    hint = f"see: python3 {program} --help" if program else ""
    return DeployError(message, hint=hint, code=ExitCode.USAGE)


def unknown(message: str, word: str, names: Iterable[str], program: str) -> NoReturn:
    """Raise the error for an unknown word, with the nearest name as a hint."""
    raise listing.unknown(message[:1].lower() + message[1:], word, names, program)
