"""`python -m todo.admin`: operator commands, run by hand or from a unit.

A program that runs a command in a container puts three options before it: `--as PROGRAM` is the
command that the user typed, `--plan` only checks the command line and prints its file names, and
`--descriptors` passes these files (`todo.core.files`).
"""

import argparse
import json
import logging
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from todo.core.exit import ExitCode, FatalError, report_error
from todo.core.files import (
    STDIO,
    Files,
    ReaderLeftError,
    discard_unwritten,
    receive,
    write_error,
    write_output,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import SupportsWrite

    from todo.config.settings import Settings

_DAY_S = 86_400
_MAX_DAYS = 365
_MAX_WRITES = 1_000_000
_PROGRAM = "todo.admin"


class _Parser(argparse.ArgumentParser):
    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> object:
        # argparse turns the value of `--output=--` into an empty list.
        if action.option_strings and arg_strings == ["--"]:
            raise argparse.ArgumentError(action, "expected one argument")
        return super()._get_values(action, arg_strings)

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        # Write help at once: argparse would leave it in the buffer until the interpreter exits.
        if file in {None, sys.stdout}:
            write_output(message)
        else:
            write_error(message)

    def error(self, message: str) -> NoReturn:
        """Raise FatalError with the usage error in one line."""
        raise FatalError(ExitCode.USAGE, f"{_in_plain_words(message)} — see: {self.prog} --help")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    # A failed command prints only one line, so log events are discarded.
    logging.getLogger("todo").addHandler(logging.NullHandler())
    words = list(sys.argv[1:] if arguments is None else arguments)
    program = words[1] if words[:1] == ["--as"] and len(words) > 1 else None
    shown = program.partition(" ")[0] if program else _PROGRAM
    try:
        parser = _make_parser(f"python3 {program or '-m todo.admin'}")
        options = parser.parse_args(words)
        if options.plan:
            write_output(f"{json.dumps(_plan(options))}\n")
            return ExitCode.OK
        options.files = receive(options.descriptors) if options.descriptors else Files()
        return int(options.run(options))
    except FatalError as error:
        code = report_error(shown, error)
    except (BrokenPipeError, ReaderLeftError):
        code = 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        # The calling program was interrupted as well, and reports it.
        interrupted = FatalError(ExitCode.INTERNAL, "interrupted")
        code = 128 + signal.SIGINT if program else report_error(shown, interrupted)
    except Exception as error:  # noqa: BLE001 - the boundary: any failure is one line
        message = f"internal error: {type(error).__name__}: {error}"
        code = report_error(shown, FatalError(ExitCode.INTERNAL, message))
    discard_unwritten()
    return code


def _make_parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program, description="Operator commands of the todo backend.", allow_abbrev=False
    )
    parser.add_argument("--as", help=argparse.SUPPRESS)
    parser.add_argument("--plan", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--descriptors", help=argparse.SUPPRESS)
    parser.set_defaults(input=None, output=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_tokens(commands)
    migrate = commands.add_parser("migrate", help="migrate the database schema")
    migrate.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="maximum time to wait for the database (default 0)",
    )
    migrate.add_argument(
        "--stay",
        action="store_true",
        help="keep running until SIGTERM afterwards, for a container of a pod",
    )
    migrate.add_argument(
        "--contract",
        action="store_true",
        help="also remove what only earlier versions need; they can no longer run afterwards",
    )
    migrate.set_defaults(run=_migrate)
    _add_transfer(commands)
    verify = commands.add_parser("verify", help="verify the journals' hash chains")
    verify.add_argument("--owner", metavar="USER", help="owner of the journal (default: all)")
    verify.add_argument(
        "--head",
        dest="input",
        type=_file,
        metavar="FILE",
        help="journal heads that --export-head wrote earlier",
    )
    verify.add_argument(
        "--export-head",
        dest="output",
        type=_file,
        metavar="FILE",
        help="write the head of each journal; - for standard output",
    )
    verify.add_argument(
        "--state", action="store_true", help="also compare the tasks with their journals"
    )
    verify.set_defaults(run=_verify)
    options = commands.add_parser("options", help="print all options as a Markdown table")
    options.set_defaults(run=_options)
    return parser


def _add_tokens(commands: "argparse._SubParsersAction[_Parser]") -> None:
    token = commands.add_parser("token", help="create a bearer token and print it")
    token.add_argument("--subject", required=True, metavar="USER", help="owner of the token")
    token.add_argument(
        "--days",
        type=_up_to(_MAX_DAYS),
        default=30,
        help="days until expiry, 1 to 365 (default 30)",
    )
    token.add_argument(
        "--scope",
        action="append",
        type=_scope,
        metavar="SCOPE",
        help="scope: read, write, delete, assistant or admin; repeatable (default: all)",
    )
    token.add_argument("--name", help="create an API token with this name, which `tokens` lists")
    token.add_argument(
        "--writes-per-hour",
        type=_up_to(_MAX_WRITES),
        metavar="NUMBER",
        help="with --name: maximum changes per hour (default: no limit)",
    )
    token.set_defaults(run=_token)
    tokens = commands.add_parser("tokens", help="list API tokens with scopes, expiry and last use")
    tokens.add_argument("--owner", metavar="USER", help="user whose tokens to list (default: all)")
    tokens.add_argument("--json", action="store_true", help="print one JSON object per line")
    tokens.set_defaults(run=_tokens)
    revoke = commands.add_parser("revoke", help="revoke API tokens by ID, or all tokens of a user")
    revoke.add_argument("id", nargs="*", metavar="ID", help="ID of a token, from `tokens`")
    revoke.add_argument("--owner", metavar="USER", help="revoke all API tokens of this user")
    revoke.add_argument(
        "--jwt", action="store_true", help="with --owner: also revoke the user's JSON Web Tokens"
    )
    revoke.set_defaults(run=_revoke)


def _add_transfer(commands: "argparse._SubParsersAction[_Parser]") -> None:
    export = commands.add_parser("export", help="export accounts with all their data")
    export.add_argument("--owner", metavar="USER", help="user to export (default: all)")
    export.add_argument(
        "--output",
        default=STDIO,
        type=_file,
        metavar="FILE",
        help="output file (default: standard output)",
    )
    export.set_defaults(run=_export)
    importing = commands.add_parser("import", help="import an export or an iCalendar file")
    importing.add_argument("input", type=_file, metavar="FILE", help="input; - for standard input")
    importing.add_argument(
        "--format", choices=("json", "ical"), default="json", help="(default json)"
    )
    importing.add_argument(
        "--owner", metavar="USER", help="user whose records to import (ical: new owner)"
    )
    importing.add_argument(
        "--dry-run", action="store_true", help="report what would change without changing anything"
    )
    importing.set_defaults(run=_import)


def _in_plain_words(message: str) -> str:
    """Return argparse's error about a command line in plain words."""
    choice = re.fullmatch(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message)
    if choice:
        what = "unknown command" if choice[1] == "COMMAND" else f"{choice[1]}: invalid value"
        names = choice[3].replace("'", "")
        return f"{what} {choice[2]}, must be one of: {names}"
    for pattern, replacement in _PLAIN:
        message, found = re.subn(f"^{pattern}$", replacement, message)
        if found:
            break
    return message


_PLAIN = (
    (r"argument (\S+): ignored explicit argument .*", r"\1: does not accept a value"),
    (r"argument (\S+): expected (?:one|at least one) argument", r"\1: requires a value"),
    (r"argument (\S+): (.*)", r"\1: \2"),
    (r"unrecognized arguments: (.*)", r"unknown: \1"),
    (r"the following arguments are required: (.*)", r"missing: \1"),
)


def _plan(options: argparse.Namespace) -> dict[str, str | None]:
    """Return the input and output files in a command line; they can be `-` or None."""
    return {"input": options.input, "output": options.output}


def _file(text: str) -> str:
    if not text:
        msg = "must be a file name or -"
        raise argparse.ArgumentTypeError(msg)
    return text


def _up_to(most: int) -> "Callable[[str], int]":
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            msg = f"must be a whole number from 1 to {most}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return parse


def _scope(text: str) -> str:
    from todo.core.caller import SCOPES  # noqa: PLC0415 - each command loads its own

    if text not in SCOPES:
        msg = f"unknown scope {text}, must be one of: {', '.join(sorted(SCOPES))}"
        raise argparse.ArgumentTypeError(msg)
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _DAY_S:
        msg = "must be a number of seconds from 0 to 86400"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _token(options: argparse.Namespace) -> int:
    from todo.auth.tokens import TokenVerifier, load_secret  # noqa: PLC0415
    from todo.config.settings import in_container, load_settings  # noqa: PLC0415

    settings = load_settings()
    if options.name is not None:
        return _create_token(settings, options)
    if options.writes_per_hour is not None:
        raise FatalError(
            ExitCode.USAGE, "--writes-per-hour requires --name: it limits an API token"
        )
    secret = load_secret(settings.token_secret_file, create=not in_container(os.environ))
    try:
        tokens = TokenVerifier(
            secret, audience=settings.token_audience, issuer=settings.token_issuer
        )
        token = tokens.issue(
            options.subject, lifetime_s=options.days * _DAY_S, scopes=options.scope
        )
    except ValueError as error:
        raise FatalError(ExitCode.USAGE, f"--subject: {error}") from None
    write_output(f"{token}\n")
    return ExitCode.OK


def _create_token(settings: "Settings", options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from todo.auth.commands import create_token  # noqa: PLC0415
    from todo.core.caller import SCOPES  # noqa: PLC0415

    scopes, limits = options.scope or SCOPES, (options.days, options.writes_per_hour)
    run = create_token(settings, options.subject, options.name, scopes, *limits)
    write_output(f"{asyncio.run(run)}\n")
    return ExitCode.OK


def _tokens(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from todo.auth.commands import list_tokens_of  # noqa: PLC0415
    from todo.config.settings import load_settings  # noqa: PLC0415

    run = list_tokens_of(load_settings(), _say, owner=options.owner, as_json=options.json)
    asyncio.run(run)
    return ExitCode.OK


def _revoke(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from todo.auth.commands import revoke_tokens  # noqa: PLC0415
    from todo.config.settings import load_settings  # noqa: PLC0415

    run = revoke_tokens(
        load_settings(), _say, ids=options.id, owner=options.owner, with_jwt=options.jwt
    )
    asyncio.run(run)
    return ExitCode.OK


def _migrate(options: argparse.Namespace) -> int:
    from todo.config.settings import load_settings  # noqa: PLC0415
    from todo.db.commands import run_migrate  # noqa: PLC0415

    run_migrate(load_settings(), options.wait, _say, contracts=options.contract)
    if options.stay:
        _wait_for_the_end()
    return ExitCode.OK


def _wait_for_the_end() -> None:
    """Replace the process with one that needs little memory and only waits for a signal to exit."""
    ends = [signal.SIGTERM, signal.SIGINT]
    # Blocked signals stay pending for `sigwait`; otherwise, process 1 would ignore them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    program = f"import signal; signal.sigwait({[int(end) for end in ends]})"
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program])  # noqa: S606 - no shell


def _export(options: argparse.Namespace) -> int:
    from todo.transfer.commands import run_export  # noqa: PLC0415

    return run_export(options, options.files)


def _import(options: argparse.Namespace) -> int:
    from todo.transfer.commands import run_import  # noqa: PLC0415

    return run_import(options, options.files)


def _verify(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from todo.config.settings import load_settings  # noqa: PLC0415
    from todo.journal.commands import run_check  # noqa: PLC0415

    run = run_check(
        load_settings(),
        # With `--export-head -`, standard output contains only the heads.
        _say_aside if options.output == STDIO else _say,
        owner=options.owner,
        heads=options.input,
        export=options.output,
        files=options.files,
        with_state=options.state,
    )
    asyncio.run(run)
    return ExitCode.OK


def _options(_options: argparse.Namespace) -> int:
    from todo.config.reference import render_options  # noqa: PLC0415

    write_output(render_options())
    return ExitCode.OK


def _say(line: str) -> None:
    write_output(f"{line}\n")


def _say_aside(line: str) -> None:
    write_error(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
