"""`python -m todo.admin`: what operators do by hand or from a unit."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from todo.fatal import ExitCode, FatalError, report_fatal

_DAY_S = 86_400
_MAX_DAYS = 365


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report wrong usage in one line."""
        raise FatalError(ExitCode.USAGE, f"{message} (see {self.prog} --help)")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    # What a command has to say is its one line.
    logging.getLogger("todo").addHandler(logging.NullHandler())
    try:
        options = _make_parser().parse_args(arguments)
        return int(options.run(options))
    except FatalError as error:
        return report_fatal(error)
    except KeyboardInterrupt:
        return report_fatal(FatalError(ExitCode.INTERNAL, "interrupted"))
    except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, one line
        message = f"internal error: {type(error).__name__}: {error}"
        return report_fatal(FatalError(ExitCode.INTERNAL, message))


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python3 -m todo.admin", description="Operate the todo backend.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    token = commands.add_parser("token", help="print a bearer token")
    token.add_argument("--subject", required=True, help="whom the token stands for")
    token.add_argument(
        "--days", type=_days, default=30, help="days until it expires, 1 to 365 (default 30)"
    )
    token.set_defaults(run=_token)
    migrate = commands.add_parser("migrate", help="bring the database schema up to date")
    migrate.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to wait for the database (default 0)",
    )
    migrate.set_defaults(run=_migrate)
    _add_transfer(commands)
    verify = commands.add_parser("verify", help="find what was altered or is missing in journals")
    verify.add_argument("--owner", metavar="USER", help="one user's journal (default: all)")
    verify.add_argument(
        "--head", type=Path, metavar="FILE", help="heads that --export-head wrote earlier"
    )
    verify.add_argument(
        "--export-head", type=Path, metavar="FILE", help="write where each journal ends"
    )
    verify.add_argument(
        "--state", action="store_true", help="compare the tasks with their journals as well"
    )
    verify.set_defaults(run=_verify)
    options = commands.add_parser("options", help="print every option as a table")
    options.set_defaults(run=_options)
    return parser


def _add_transfer(commands: "argparse._SubParsersAction[_Parser]") -> None:
    export = commands.add_parser("export", help="write everything that accounts hold")
    export.add_argument("--owner", help="whose account (default: all)")
    export.add_argument(
        "--output", default="-", metavar="FILE", help="where to (default: standard output)"
    )
    export.set_defaults(run=_export)
    importing = commands.add_parser("import", help="take in an export, or tasks of a calendar file")
    importing.add_argument("file", metavar="FILE", help="what to read; - for standard input")
    importing.add_argument(
        "--format", choices=("json", "ical"), default="json", help="(default json)"
    )
    importing.add_argument("--owner", help="whose records (ical: whose tasks they become)")
    importing.add_argument(
        "--dry-run", action="store_true", help="report what would happen, and change nothing"
    )
    importing.set_defaults(run=_import)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_DAYS:
        msg = f"must be a whole number from 1 to {_MAX_DAYS}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _DAY_S:
        msg = "must be a number of seconds, at most a day"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _token(options: argparse.Namespace) -> int:
    from todo.auth.tokens import Tokens, load_secret  # noqa: PLC0415 - each command loads its own
    from todo.settings import in_container, load_settings  # noqa: PLC0415

    settings = load_settings()
    secret = load_secret(settings.token_secret_file, create=not in_container(os.environ))
    try:
        tokens = Tokens(secret, audience=settings.token_audience, issuer=settings.token_issuer)
        token = tokens.issue(options.subject, lifetime_s=options.days * _DAY_S)
    except ValueError as error:
        raise FatalError(ExitCode.USAGE, f"--subject: {error}") from None
    sys.stdout.write(token + "\n")
    return ExitCode.OK


def _migrate(options: argparse.Namespace) -> int:
    from todo.migrate import migrate_patiently  # noqa: PLC0415
    from todo.models import EXPECTED_REVISION  # noqa: PLC0415
    from todo.settings import load_settings  # noqa: PLC0415

    found = migrate_patiently(load_settings(), options.wait, _say)
    if found == EXPECTED_REVISION:
        _say(f"the schema is already at revision {EXPECTED_REVISION}")
    else:
        _say(f"migrated the schema from {found or 'nothing'} to revision {EXPECTED_REVISION}")
    return ExitCode.OK


def _export(options: argparse.Namespace) -> int:
    from todo.transfer.commands import run_export  # noqa: PLC0415

    return run_export(options)


def _import(options: argparse.Namespace) -> int:
    from todo.transfer.commands import run_import  # noqa: PLC0415

    return run_import(options)


def _verify(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from todo.journal.check import run_check  # noqa: PLC0415
    from todo.settings import load_settings  # noqa: PLC0415

    run = run_check(
        load_settings(),
        _say,
        owner=options.owner,
        heads=options.head,
        export=options.export_head,
        with_state=options.state,
    )
    asyncio.run(run)
    return ExitCode.OK


def _options(_options: argparse.Namespace) -> int:
    from todo.options import render_options  # noqa: PLC0415

    sys.stdout.write(render_options())
    return ExitCode.OK


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
