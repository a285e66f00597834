"""Command `todo.admin verify`: verifies journals and prints the result, line by line."""

from collections.abc import Callable

from todo.config.settings import Settings
from todo.core.errors import UnavailableError, to_fatal
from todo.core.exit import ExitCode, FatalError
from todo.core.files import Files
from todo.db.database import Database
from todo.journal.checkpoints import read_heads, write_heads
from todo.journal.verify import VerificationResult, is_known, verify

MAX_SHOWN = 100


async def run_check(
    settings: Settings,
    say: Callable[[str], None],
    *,
    owner: str | None = None,
    heads: str | None = None,
    export: str | None = None,
    files: Files | None = None,
    with_state: bool = False,
) -> None:
    """Verify journals; print each finding, or the number of verified entries.

    `heads` is a file with previously exported heads. Without findings, the current heads are
    written to the file `export`. `with_state` also compares the tasks with their journal.

    Raises:
        FatalError: There are findings, or the journals could not be verified.
    """
    files = files or Files()
    known = None
    if heads is not None:
        with files.reading(heads) as file:
            known = read_heads(heads, file)
    if known is not None and owner is not None and owner not in known:
        raise FatalError(ExitCode.USAGE, f"{heads} has no head of {owner}")
    database = Database(settings)
    total, journals, broken = VerificationResult(), 0, 0
    try:
        if owner is not None and known is None and not await is_known(database, owner):
            raise FatalError(ExitCode.USAGE, f"--owner: unknown account {owner}")
        async for each in verify(database, owner=owner, heads=known, with_state=with_state):
            journals += 1
            broken += bool(each.findings)
            total.entries += each.entries
            total.findings += each.findings[: MAX_SHOWN - len(total.findings)]
            if export is not None:
                total.heads += each.heads
    except UnavailableError as error:
        raise to_fatal(error) from None
    finally:
        await database.dispose()
    if total.findings:
        for finding in total.findings:
            say(str(finding))
        message = f"{broken} of {journals} journals failed verification; first: {total.findings[0]}"
        raise FatalError(ExitCode.BROKEN, message)
    if export is not None:
        with files.writing(export) as file:
            write_heads(file, total.heads)
    say(f"verified {journals} journals, {total.entries} entries")
