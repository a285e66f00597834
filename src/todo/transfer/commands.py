"""Commands `todo.admin export` and `todo.admin import`."""

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO

from todo.config.settings import Settings, load_settings
from todo.core.errors import UnavailableError, to_fatal
from todo.core.exit import ExitCode, FatalError
from todo.core.files import STDIO, Files, put, write_error, write_output
from todo.db.database import Database
from todo.transfer.export import export_accounts
from todo.transfer.importer import Importer, Report

_SHOWN_PROGRESS = "\r{} lines"
_HEAD_BYTES = 512
_CALENDAR = b"BEGIN:VCALENDAR"
_FORMAT = re.compile(rb'\s*\{\s*"todo-backend"\s*:')
"""Pattern of the first line of an export, in any format version."""


def run_export(options: argparse.Namespace, files: Files) -> int:
    """Write accounts to a file or to standard output; return the exit code.

    Raises:
        FatalError: The file is not writable, the database is unavailable, or the owner is unknown.
    """
    settings = load_settings()
    with files.writing(options.output) as file:
        asyncio.run(_write(settings, options.owner, file))
    return ExitCode.OK


async def _write(settings: Settings, owner: str | None, file: IO[bytes]) -> None:
    database = Database(settings)
    accounts = 0
    try:
        async with database.reading() as session, session.one_view():
            async for line in export_accounts(session, owner):
                accounts += line.startswith(b'{"account"')
                put(file, line)
    except UnavailableError as error:
        raise to_fatal(error) from None
    finally:
        await database.dispose()
    if owner is not None and not accounts:
        raise FatalError(ExitCode.USAGE, f"--owner: unknown account {owner}")


def run_import(options: argparse.Namespace, files: Files) -> int:
    """Import a file, print a report and return the exit code.

    Raises:
        FatalError: The file is unreadable or not an export, or the database is unavailable.
            Nothing has been imported.
    """
    if options.format == "ical" and not options.owner:
        raise FatalError(
            ExitCode.USAGE,
            "--owner is required, because a calendar file does not name the owner of its tasks",
        )
    settings = load_settings()
    with files.reading(options.input) as file:
        if options.format == "json":
            _require_export(options.input, file)
        report = asyncio.run(_take(settings, options, file))
    return _tell(report, dry_run=options.dry_run)


async def _take(settings: Settings, options: argparse.Namespace, file: IO[bytes]) -> Report:
    def read() -> Iterator[bytes]:
        file.seek(0)
        return iter(file)

    database = Database(settings)
    now = datetime.now(UTC)
    try:
        if options.format == "ical":
            from todo.transfer.ical.importer import import_calendar  # noqa: PLC0415 - icalendar

            file.seek(0)
            data = file.read()
            return await import_calendar(
                database, data, options.owner, now, _show_progress, dry_run=options.dry_run
            )
        async with database.unit_of_work() as session:
            report = await Importer(session, now, _show_progress).run(read, options.owner)
            if not options.dry_run:
                await session.commit()
    except UnavailableError as error:
        raise to_fatal(error) from None
    finally:
        await database.dispose()
    return report


def _require_export(name: str, file: IO[bytes]) -> None:
    """Raise FatalError if no line names the format, instead of reporting every line."""
    shown = "standard input" if name == STDIO else name
    if file.read(_HEAD_BYTES).lstrip(b"\xef\xbb\xbf \r\n\t").upper().startswith(_CALENDAR):
        message = f"{shown} is a calendar file; --format ical --owner USER imports it"
        raise FatalError(ExitCode.USAGE, message)
    file.seek(0)
    if not any(map(_FORMAT.match, file)):
        message = f'{shown} is not an export: it lacks the line {{"todo-backend":{{"format":1}}}}'
        raise FatalError(ExitCode.USAGE, message)


def _show_progress(lines: int) -> None:
    if sys.stderr.isatty():
        write_error(_SHOWN_PROGRESS.format(lines))


def _tell(report: Report, *, dry_run: bool) -> int:
    for line, why in sorted(report.skipped.items()):
        write_output(f"line {line}: skipped: {why}\n")
    taken = ", ".join(f"{kind} {count}" for kind, count in sorted(report.taken.items()))
    would = "would import" if dry_run else "imported"
    write_output(
        f"{would}: {taken or 'nothing'}; already present: {report.present}; skipped: "
        f"{len(report.skipped)}\n"
    )
    return ExitCode.INCOMPLETE if report.skipped else ExitCode.OK
