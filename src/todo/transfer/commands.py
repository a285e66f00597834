"""`todo.admin export` and `todo.admin import`."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from todo.db import Database
from todo.errors import UnavailableError
from todo.fatal import ExitCode, FatalError
from todo.settings import Settings, load_settings
from todo.transfer.export import export_accounts
from todo.transfer.importing import Importer, Report

_STDIO = "-"
_SHOWN_PROGRESS = "\r{} lines"


def run_export(options: argparse.Namespace) -> int:
    """Write accounts to a file or to standard output; return the exit code.

    Raises:
        FatalError: The file cannot be written, or the database not read.
    """
    settings = load_settings()
    if options.output == _STDIO:
        asyncio.run(_write(settings, options.owner, sys.stdout.buffer))
        sys.stdout.flush()
        return ExitCode.OK
    target = Path(options.output)
    # Whole or not at all: it gets its name when it is complete.
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # Everybody's tasks are for whoever exports them alone.
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - opened with its mode
            asyncio.run(_write(settings, options.owner, file))
        draft.replace(target)
    except OSError as error:
        message = f"--output: cannot write {target}: {error.strerror}"
        raise FatalError(ExitCode.USAGE, message) from None
    finally:
        draft.unlink(missing_ok=True)
    return ExitCode.OK


async def _write(settings: Settings, owner: str | None, file: IO[bytes]) -> None:
    database = Database(settings)
    accounts = 0
    try:
        async with database.reading() as session, session.one_view():
            async for line in export_accounts(session, owner):
                accounts += line.startswith(b'{"account"')
                file.write(line)
    except UnavailableError as error:
        raise FatalError(ExitCode.DATABASE_UNAVAILABLE, error.reason) from None
    finally:
        await database.dispose()
    if owner is not None and not accounts:
        raise FatalError(ExitCode.USAGE, f"--owner: there is no account of {owner!r}")


def run_import(options: argparse.Namespace) -> int:
    """Take in a file and say what became of it; return the exit code.

    Raises:
        FatalError: The file cannot be read, or the database not written; nothing was taken.
    """
    if options.format == "ical" and not options.owner:
        raise FatalError(ExitCode.USAGE, "--owner: a calendar file does not say whose tasks it has")
    settings = load_settings()
    with tempfile.TemporaryFile() as spool:
        try:
            if options.file == _STDIO:
                shutil.copyfileobj(sys.stdin.buffer, spool)
            else:
                with Path(options.file).open("rb") as file:
                    shutil.copyfileobj(file, spool)
        except OSError as error:
            message = f"cannot read {options.file}: {error.strerror}"
            raise FatalError(ExitCode.USAGE, message) from None
        report = asyncio.run(_take(settings, options, spool))
    return _tell(report, dry_run=options.dry_run)


async def _take(settings: Settings, options: argparse.Namespace, spool: IO[bytes]) -> Report:
    def read() -> Iterator[bytes]:
        spool.seek(0)
        return iter(spool)

    database = Database(settings)
    now = datetime.now(UTC)
    try:
        async with database.unit_of_work() as session:
            importer = Importer(session, now, _show_progress)
            if options.format == "ical":
                from todo.transfer.calendar import import_calendar  # noqa: PLC0415 - icalendar

                spool.seek(0)
                report = await import_calendar(importer, spool.read(), options.owner, now)
            else:
                report = await importer.run(read, options.owner)
            if not options.dry_run:
                await session.commit()
    except UnavailableError as error:
        raise FatalError(ExitCode.DATABASE_UNAVAILABLE, error.reason) from None
    finally:
        await database.dispose()
    return report


def _show_progress(lines: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(_SHOWN_PROGRESS.format(lines))
        sys.stderr.flush()


def _tell(report: Report, *, dry_run: bool) -> int:
    for line, why in sorted(report.skipped.items()):
        sys.stdout.write(f"line {line}: not taken: {why}\n")
    taken = ", ".join(f"{kind} {count}" for kind, count in sorted(report.taken.items()))
    would = "would take" if dry_run else "took"
    sys.stdout.write(
        f"{would}: {taken or 'nothing'}; there already: {report.present};"
        f" not taken: {len(report.skipped)}\n"
    )
    return ExitCode.INCOMPLETE if report.skipped else ExitCode.OK
