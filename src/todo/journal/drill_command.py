"""`python -m todo.journal.drill_command`: compare a restored copy with the live database.

`TODO_DATABASE_URL` is the address of the copy. The outcome is recorded in the backup folder.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select, text

from todo.config.settings import Settings, load_settings
from todo.core.errors import UnavailableError, to_fatal
from todo.core.exit import ExitCode, FatalError, report_error
from todo.core.files import write_output
from todo.db.database import Database
from todo.db.statement import Statement
from todo.journal.commands import MAX_SHOWN
from todo.journal.drill import Comparison, compare, find_wal_file

BEGAN, FAILED, RESTORED = "began", "failed", "restored"
"""Files of the restore: the first is written at its start, one of the others at its end."""
_PROGRAM = "todo-drill"
_STATE = "state.json"
_POLL_S = 0.5
# ALTER ROLE accepts no parameters: `format` quotes the value that this statement stores.
_REMEMBER = Statement(
    select(func.set_config("todo.outcome", bindparam("outcome"), literal_column("false")))
)
_KEEP = {
    name: Statement(
        text(
            "DO $$ BEGIN EXECUTE format('ALTER ROLE CURRENT_USER SET "
            f"todo.{name} = %L', current_setting('todo.outcome')); END $$"
        )
    )
    for name in ("drill", "drill_failure")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """Parameters of a drill: URL of the live database, folders, and maximum RPO in seconds."""

    live: str
    backup: Path
    restored: Path
    max_rpo_s: float


def main(arguments: list[str]) -> int:
    """Run the drill and return the exit code."""
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__, allow_abbrev=False)
    parser.add_argument("--live", required=True, metavar="URL", help="address of the live database")
    parser.add_argument(
        "--backup", required=True, type=Path, metavar="FOLDER", help="the backup folder"
    )
    parser.add_argument(
        "--restored", required=True, type=Path, metavar="FOLDER", help="the outcome of the restore"
    )
    parser.add_argument(
        "--max-rpo",
        dest="max_rpo_s",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="minimum age, at the start of the restore, of a change that the copy must have",
    )
    try:
        drill = Drill(**vars(parser.parse_args(arguments)))
        asyncio.run(run_drill(load_settings(), drill, lambda line: write_output(f"{line}\n")))
    except FatalError as error:
        return report_error(_PROGRAM, error)
    except Exception as error:  # noqa: BLE001 - reports any error as one line
        message = f"internal error: {type(error).__name__}: {error}"
        return report_error(_PROGRAM, FatalError(ExitCode.INTERNAL, message))
    return ExitCode.OK


async def run_drill(settings: Settings, drill: Drill, say: Callable[[str], None]) -> None:
    """Compare the databases, print the findings, and record the outcome in the backup folder.

    `settings` are those of the copy's database; `say` receives each line of output.

    Raises:
        FatalError: The backup failed the drill, or the drill could not run.
    """
    began = _find_start(drill.restored)
    try:
        result = await _compare(settings, drill, began)
    except FatalError as error:
        outcome = {"at": _now(), "ok": False, "reason": error.message}
        write_outcome(drill.backup, outcome)
        await _publish(settings, drill, outcome)
        raise
    rto_s = max(0.0, time.time() - began.timestamp())
    found = result.findings
    reason = str(found[0]) if found else ""
    outcome = {"at": _now(), "ok": not found, "reason": reason}
    figures = {"rpo_seconds": round(result.rpo_s, 1), "rto_seconds": round(rto_s, 1)}
    outcome |= {**figures, "rows": sum(result.rows.values())}
    write_outcome(drill.backup, outcome)
    await _publish(settings, drill, outcome)
    for finding in found[:MAX_SHOWN]:
        say(str(finding))
    if found:
        message = f"the backup failed the drill: {len(found)} findings; first: {reason}"
        raise FatalError(ExitCode.BROKEN, message)
    rows = ", ".join(f"{number} {what}" for what, number in result.rows.items())
    say(f"restored and verified {result.journals} journals, {result.entries} entries; {rows}")
    say(f"RPO {result.rpo_s:.1f} s, RTO {rto_s:.1f} s")


def _find_start(folder: Path) -> datetime:
    try:
        return datetime.fromtimestamp((folder / BEGAN).stat().st_mtime, UTC)
    except OSError:
        message = f"{folder} has no restore: start todo-drill-db.service first"
        raise FatalError(ExitCode.CONFIGURATION, message) from None


async def _compare(settings: Settings, drill: Drill, began: datetime) -> Comparison:
    if (drill.restored / FAILED).exists():
        # The reason is in the last line that the restore wrote.
        lines = (drill.restored / FAILED).read_text().split("\n")
        reason = next((line for line in reversed(lines) if line.strip()), "the restore failed")
        raise FatalError(ExitCode.BROKEN, reason.removeprefix("restore: "))
    if not (drill.restored / RESTORED).exists():
        raise FatalError(ExitCode.DATABASE_UNAVAILABLE, "the restore was interrupted")
    restored, live = Database(settings), Database(_live_settings(settings, drill))
    try:
        await _wait_for_wal(live, drill)
        return await compare(restored, live, began, drill.max_rpo_s)
    except UnavailableError as error:
        raise to_fatal(error) from None
    finally:
        await restored.dispose()
        await live.dispose()


def _live_settings(settings: Settings, drill: Drill) -> Settings:
    return settings.model_copy(update={"database_url": drill.live})


async def _wait_for_wal(live: Database, drill: Drill) -> None:
    """Wait until the live database's current WAL file has arrived in the backup."""
    ends_at = time.monotonic() + drill.max_rpo_s
    name = await find_wal_file(live)
    while not any((drill.backup / "wal").glob(f"{name}*")):
        if time.monotonic() > ends_at:
            message = f"WAL file {name}, which the database has written, is missing from the backup"
            raise FatalError(ExitCode.BROKEN, message)
        await asyncio.sleep(_POLL_S)


async def _publish(settings: Settings, drill: Drill, outcome: dict[str, Any]) -> None:
    """Store the outcome in the live database, as a setting of the role, for metrics."""
    live = Database(_live_settings(settings, drill))
    try:
        async with live.reading() as session:
            await session.fetch(_REMEMBER, {"outcome": json.dumps(outcome)})
            await session.fetch(_KEEP["drill" if outcome["ok"] else "drill_failure"], {})
    except UnavailableError:
        # An alert reports a stored outcome that is too old.
        pass
    finally:
        await live.dispose()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_outcome(folder: Path, outcome: dict[str, Any]) -> None:
    """Replace the drill's outcome in the state file, whose lines shell scripts read."""
    path = folder / _STATE
    try:
        outcomes = json.loads(path.read_text()) if path.exists() else {}
        outcomes["drill"] = outcome
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in outcomes.items())
        descriptor, draft = tempfile.mkstemp(dir=folder, prefix=f".{_STATE}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                # Readable for `build.py status`; the folder's mode excludes other users.
                os.fchmod(descriptor, 0o644)
                file.write(f"{{\n{lines}\n}}\n")
                file.flush()
                os.fsync(descriptor)
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise FatalError(ExitCode.CONFIGURATION, f"cannot write {path}: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
