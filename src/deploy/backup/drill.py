"""Restore drill on request: starts its service and waits for the outcome."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import backups, journal, systemd
from deploy.stack.services import DRILL

if TYPE_CHECKING:
    from pathlib import Path

_POLL_S = 0.2
_CODES = {2: ExitCode.DATA, 69: ExitCode.UNAVAILABLE, 78: ExitCode.CONFIG}
"""Exit code of the drill -> exit code of build.py."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of a drill.

    Attributes:
        ok: Whether the backup is complete.
        reason: Cause of the failure; empty on success.
        rpo_seconds: Age, at the start of the restore, of the oldest change missing in the backup.
        rto_seconds: Seconds from the start of the restore until the server was verified.
        rows: Number of restored rows.
    """

    at: str
    ok: bool
    reason: str = ""
    rpo_seconds: float | None = None
    rto_seconds: float | None = None
    rows: int | None = None


def run() -> Outcome:
    """Run a drill, or wait for the running one; raise a DeployError if it fails."""
    folder = backups.find_folder()
    before = read_outcome(folder)
    with progress.step("Restoring the newest backup and verifying it") as step:
        systemd.systemctl("reset-failed", DRILL, check=False)
        systemd.systemctl("start", "--no-block", DRILL)
        state = systemd.state(DRILL)
        # TimeoutStartSec= bounds the wait.
        while state.has_job or state.active in {"activating", "deactivating"}:
            step.note(f"{state.active} ({state.sub})")
            time.sleep(_POLL_S)
            state = systemd.state(DRILL)
    outcome = read_outcome(folder)
    if state.active != "failed" and outcome is not None and outcome.ok:
        return outcome
    recorded = "" if outcome is None or outcome == before else outcome.reason
    reason = recorded or journal.last_line(DRILL, state.invocation)
    raise DeployError(
        f"the drill failed: {reason or 'its log does not say why'}",
        hint=f"see {command_hints.build('logs drill drill-db')}",
        code=_CODES.get(state.status, ExitCode.FAILED),
    )


def read_outcome(folder: Path) -> Outcome | None:
    """Return the outcome of the last drill, or None; raise a DeployError for a malformed record."""
    path = folder / "state.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("drill")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        message = f"{path} cannot be read: {error}"
        raise DeployError(
            message, hint="move it aside, and run the drill again", code=ExitCode.DATA
        ) from None
    if found is None:
        return None
    names = {field.name for field in dataclasses.fields(Outcome)}
    return Outcome(**{name: value for name, value in found.items() if name in names})


def render(outcome: Outcome) -> str:
    """Return the outcome as one line."""
    return (
        f"the backup is complete: {outcome.rows} rows restored and verified in "
        f"{outcome.rto_seconds:g} s (RTO), {outcome.rpo_seconds:g} s of changes lost (RPO)"
    )
